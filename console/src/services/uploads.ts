import { ApiError } from './client';
import type { Answer, ErrorAnswer } from './types';

export interface UploadHandle {
  done: Promise<Answer<'upload_file'>>;
  cancel: () => void;
}

/** Sends a file's bytes; `fetch` cannot tell how far an upload is, so this is the one place that uses XMLHttpRequest. */
export function upload(file: File, onProgress: (sent: number, total: number) => void): UploadHandle {
  const xhr = new XMLHttpRequest();
  const done = new Promise<Answer<'upload_file'>>((resolve, reject) => {
    xhr.open('POST', `/api/v1/uploads?name=${encodeURIComponent(file.name)}`);
    xhr.setRequestHeader('X-Polder', '1');
    xhr.setRequestHeader('Content-Type', 'application/octet-stream');
    xhr.upload.onprogress = (event) => onProgress(event.loaded, event.lengthComputable ? event.total : file.size);
    xhr.onerror = () =>
      reject(new ApiError(0, { kind: 'connection', message: `the upload of ${file.name} was cut off`, hint: 'nothing was kept; try again' }));
    xhr.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
    xhr.onload = () => {
      if (xhr.status >= 200 && xhr.status < 300) {
        resolve(JSON.parse(xhr.responseText) as Answer<'upload_file'>);
        return;
      }
      reject(uploadError(xhr, file.name));
    };
    xhr.send(file);
  });
  return { done, cancel: () => xhr.abort() };
}

function uploadError(xhr: XMLHttpRequest, name: string): ApiError {
  try {
    const parsed = JSON.parse(xhr.responseText) as Partial<ErrorAnswer>;
    if (parsed.error) return new ApiError(xhr.status, parsed.error);
  } catch {
    // Not ours: a proxy in between answered.
  }
  return new ApiError(xhr.status, { kind: 'unavailable', message: `the server answered ${xhr.status} to the upload of ${name}` });
}

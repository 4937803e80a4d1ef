import { makeStore } from '../lib/store';
import { type ApiError, asApiError, isAbort } from './client';
import { upload } from './uploads';

export interface QueueItem {
  id: number;
  name: string;
  sent: number;
  total: number;
  state: 'sending' | 'done' | 'failed';
  uploadId: string | null;
  error: ApiError | null;
  cancel: () => void;
}

/** Files on their way to the server, and those that arrived and wait to be loaded. */
export const queue = makeStore<QueueItem[]>([]);
let last = 0;

function change(id: number, part: Partial<QueueItem>): void {
  queue.set((items) => items.map((item) => (item.id === id ? { ...item, ...part } : item)));
}

export function dismiss(id: number): void {
  queue.set((items) => items.filter((item) => item.id !== id));
}

/** Sends files; resolves with the first upload's id when it has arrived, or `null` when none did. */
export async function sendFiles(files: File[]): Promise<string | null> {
  let first: string | null = null;
  const runs = files.map((file) => {
    const id = (last += 1);
    const handle = upload(file, (sent, total) => change(id, { sent, total }));
    queue.set((items) => [...items.filter((item) => item.state !== 'failed'), { id, name: file.name, sent: 0, total: file.size, state: 'sending', uploadId: null, error: null, cancel: handle.cancel }]);
    return handle.done.then(
      (done) => {
        first ??= done.upload_id;
        change(id, { state: 'done', uploadId: done.upload_id, sent: file.size });
      },
      (error: unknown) => {
        if (isAbort(error)) dismiss(id);
        else change(id, { state: 'failed', error: asApiError(error) });
      },
    );
  });
  await Promise.all(runs);
  return first;
}

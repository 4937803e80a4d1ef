import type { ErrorAnswer, ErrorBody, ErrorKind, QueryError } from './types';

const BASE = '/api/v1';

/** An error that the server explained, or a connection that failed. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly kind: ErrorKind | 'connection';
  readonly line: number | null;
  readonly column: number | null;
  readonly hint: string | null;
  readonly requestId: string | null;

  constructor(status: number, body: Partial<Omit<ErrorBody, 'kind'>> & { message: string; kind: ErrorKind | 'connection' }) {
    super(body.message);
    this.name = 'ApiError';
    this.status = status;
    this.code = body.code ?? '';
    this.kind = body.kind;
    this.line = body.line ?? null;
    this.column = body.column ?? null;
    this.hint = body.hint ?? null;
    this.requestId = body.request_id ?? null;
  }

  /** The error of a statement or a load that ended after its answer had begun. */
  static fromRecord(error: QueryError, id: string): ApiError {
    return new ApiError(0, {
      code: error.code,
      kind: 'invalid_input',
      message: error.message,
      line: error.position?.line ?? null,
      column: error.position?.column ?? null,
      hint: error.hint,
      request_id: id,
    });
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** What to show for anything that was thrown. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new ApiError(0, { kind: 'connection', message: text });
}

async function errorOf(response: Response): Promise<ApiError> {
  const requestId = response.headers.get('X-Request-Id');
  const text = await response.text();
  try {
    const parsed = JSON.parse(text) as Partial<ErrorAnswer>;
    if (parsed.error) return new ApiError(response.status, { ...parsed.error, request_id: parsed.error.request_id || (requestId ?? '') });
  } catch {
    // Not ours: a proxy in between answered. Its status says what it can.
  }
  return new ApiError(response.status, {
    kind: response.status === 401 ? 'unauthenticated' : 'unavailable',
    message: `the server answered ${response.status} ${response.statusText}`.trim(),
    request_id: requestId ?? undefined,
  });
}

type Listener = () => void;
const onSignedOut = new Set<Listener>();

/** Calls back when the server says that the session has ended. */
export function whenSignedOut(listener: Listener): () => void {
  onSignedOut.add(listener);
  return () => onSignedOut.delete(listener);
}

export interface CallOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  body?: unknown;
  signal?: AbortSignal;
}

/** One request; throws [`ApiError`] for every answer that is no success. */
export async function request(path: string, options: CallOptions = {}): Promise<Response> {
  const method = options.method ?? 'GET';
  const headers: Record<string, string> = {};
  if (method !== 'GET') headers['X-Polder'] = '1';
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal,
      credentials: 'same-origin',
    });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, {
      kind: 'connection',
      message: 'the server cannot be reached',
      hint: 'check that `polder up` is running, then try again',
    });
  }
  if (response.ok) return response;
  const error = await errorOf(response);
  if (response.status === 401 && path !== '/login' && path !== '/me') for (const listener of onSignedOut) listener();
  throw error;
}

export async function call<T>(path: string, options: CallOptions = {}): Promise<T> {
  const response = await request(path, options);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

/** A random UUID, also on plain HTTP, where the browser hides `crypto.randomUUID`. */
export function uuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

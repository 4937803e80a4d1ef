import { ApiError, asApiError, isAbort, request, uuid } from './client';
import { api } from './api';
import type { Notice, StatementRequest } from './types';
import type { ResultSet } from '../lib/result';

/** Rows that the console asks for at most; the grid says so when an answer is cut. */
export const ROW_LIMIT = 1_000_000;

export interface StatementOptions {
  sql: string;
  queryId?: string;
  session?: string;
  rowLimit?: number;
  signal?: AbortSignal;
  /** Called when the shape is known, and again for every batch. */
  onRows?: (result: ResultSet) => void;
}

export interface StatementAnswer {
  queryId: string;
  /** `SELECT`, `INSERT`, `CREATE TABLE`, … */
  command: string;
  /** Rows changed, for statements that change rows. */
  rowsChanged: number | null;
  snapshot: number | null;
  notices: Notice[];
  result: ResultSet;
  /** There are more rows than were asked for. */
  cut: boolean;
}

const END_OF_STREAM = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/** Passes bytes through and remembers the last eight, which tell a whole Arrow stream from one that was cut off. */
function watchEnd(): { transform: TransformStream<Uint8Array, Uint8Array>; complete: () => boolean } {
  let tail: number[] = [];
  const transform = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      tail = [...tail, ...chunk.subarray(Math.max(0, chunk.length - 8))].slice(-8);
      controller.enqueue(chunk);
    },
  });
  return { transform, complete: () => END_OF_STREAM.every((byte, index) => tail[index] === byte) };
}

function noticesOf(response: Response): Notice[] {
  const header = response.headers.get('Polder-Notices');
  if (!header) return [];
  try {
    return JSON.parse(decodeURIComponent(header)) as Notice[];
  } catch {
    return [];
  }
}

function numberHeader(response: Response, name: string): number | null {
  const header = response.headers.get(name);
  return header === null || header === '' ? null : Number(header);
}

/** The reason why a stream ended early, from the record of statements. */
async function reasonOf(queryId: string): Promise<ApiError> {
  try {
    const record = await api.query(queryId);
    if (record.error) return ApiError.fromRecord(record.error, queryId);
    if (record.state === 'cancelled') return new ApiError(499, { kind: 'cancelled', message: 'the statement was cancelled', request_id: queryId });
  } catch (error) {
    return asApiError(error);
  }
  return new ApiError(0, {
    kind: 'connection',
    message: 'the connection ended before the whole answer had arrived',
    hint: 'run the statement again',
    request_id: queryId,
  });
}

/** Runs SQL and reads the answer as it streams in. Aborting the signal drops the connection, which cancels the work. */
export async function runStatement(options: StatementOptions): Promise<StatementAnswer> {
  const queryId = options.queryId ?? uuid();
  const rowLimit = options.rowLimit ?? ROW_LIMIT;
  const [{ RecordBatchReader }, { ResultSet }, response] = await Promise.all([
    import('apache-arrow'),
    import('../lib/result'),
    request('/statements', {
      method: 'POST',
      body: { sql: options.sql, query_id: queryId, format: 'arrow', row_limit: rowLimit, session: options.session } satisfies StatementRequest,
      signal: options.signal,
    }),
  ]);
  if (!response.body) throw await reasonOf(queryId);
  const { transform, complete } = watchEnd();
  let result: ResultSet;
  try {
    const reader = await RecordBatchReader.from(response.body.pipeThrough(transform));
    await reader.open();
    result = new ResultSet(reader.schema);
    options.onRows?.(result);
    for await (const batch of reader) {
      result.push(batch);
      options.onRows?.(result);
    }
  } catch (error) {
    if (isAbort(error) || options.signal?.aborted) throw new DOMException('cancelled', 'AbortError');
    throw await reasonOf(queryId);
  }
  if (!complete()) throw await reasonOf(queryId);
  return {
    queryId,
    command: response.headers.get('Polder-Command') ?? 'SELECT',
    rowsChanged: numberHeader(response, 'Polder-Rows'),
    snapshot: numberHeader(response, 'Polder-Snapshot'),
    notices: noticesOf(response),
    result,
    cut: result.rows >= rowLimit,
  };
}

import { makeStore } from '../../lib/store';
import type { ResultSet } from '../../lib/result';
import { type Place, placeAt, splitStatements } from '../../lib/sql';
import { api } from '../../services/api';
import { type ApiError, asApiError, isAbort, uuid } from '../../services/client';
import { runStatement, type StatementAnswer } from '../../services/statements';
import { type QueryTab, updateTab } from '../../services/tabs';
import type { QueryRecord } from '../../services/types';

/** What a tab ran last, and how far it is. Lives outside the page, so that leaving it stops nothing. */
export interface Run {
  phase: 'running' | 'done' | 'failed' | 'cancelled';
  sql: string;
  /** Where the SQL begins in the editor, so that an error can be underlined there. */
  offset: number;
  start: Place;
  queryId: string;
  startedAt: number;
  elapsedMs: number;
  progress: QueryRecord | null;
  result: ResultSet | null;
  /** Changes whenever rows have come. */
  version: number;
  answer: StatementAnswer | null;
  error: ApiError | null;
  /** `BEGIN` has run in this tab's conversation and neither `COMMIT` nor `ROLLBACK` since. */
  inTransaction: boolean;
}

export const runStore = makeStore<ReadonlyMap<string, Run>>(new Map());
const controllers = new Map<string, AbortController>();

const POLL_MS = 500;

function change(tab: string, queryId: string, part: Partial<Run>): void {
  runStore.set((runs) => {
    const before = runs.get(tab);
    if (!before || before.queryId !== queryId) return runs;
    return new Map(runs).set(tab, { ...before, ...part });
  });
}

/** Lets go of a closed tab: what runs in it stops, and its conversation ends. */
export function forgetRun({ id: tab, session }: QueryTab): void {
  controllers.get(tab)?.abort();
  // One that ran nothing has no conversation, and an old one has ended by itself.
  if (runStore.get().has(tab)) api.endSession(session).catch(() => undefined);
  runStore.set((runs) => {
    const next = new Map(runs);
    next.delete(tab);
    return next;
  });
}

/** Stops the work in the server; the connection is dropped as well, in case the server cannot be asked. */
export function cancelRun(tab: string): void {
  const run = runStore.get().get(tab);
  if (!run || run.phase !== 'running') return;
  api.cancelQuery(run.queryId).catch(() => undefined);
  controllers.get(tab)?.abort();
}

function pollProgress(tab: string, queryId: string, signal: AbortSignal): void {
  const ask = async (): Promise<void> => {
    if (signal.aborted || runStore.get().get(tab)?.queryId !== queryId || runStore.get().get(tab)?.phase !== 'running') return;
    try {
      change(tab, queryId, { progress: await api.query(queryId) });
    } catch {
      // The statement may not be recorded yet, or the connection is busy; the next question will tell.
    }
    setTimeout(() => void ask(), POLL_MS);
  };
  setTimeout(() => void ask(), POLL_MS);
}

/** True inside a transaction after these statements, as far as their first words tell. */
function transactionAfter(sql: string, before: boolean): boolean {
  let inside = before;
  for (const { text } of splitStatements(sql)) {
    if (/^(begin|start\s+transaction)\b/i.test(text)) inside = true;
    else if (/^(commit|rollback|end|abort)\b/i.test(text) && !/^rollback\s+to\b/i.test(text)) inside = false;
  }
  return inside;
}

/** Runs SQL in a tab, in place of what it ran before. `onDone` is called however it ends. */
export async function startRun(tab: QueryTab, sql: string, offset: number, onDone: () => void): Promise<void> {
  controllers.get(tab.id)?.abort();
  const controller = new AbortController();
  controllers.set(tab.id, controller);
  const queryId = uuid();
  const startedAt = Date.now();
  const inTransaction = runStore.get().get(tab.id)?.inTransaction ?? false;
  const begun: Run = { phase: 'running', sql, offset, start: placeAt(tab.sql, offset), queryId, startedAt, elapsedMs: 0, progress: null, result: null, version: 0, answer: null, error: null, inTransaction };
  runStore.set((runs) => new Map(runs).set(tab.id, begun));
  pollProgress(tab.id, queryId, controller.signal);
  let drawn = 0;
  try {
    const answer = await runStatement({
      sql,
      queryId,
      session: tab.session,
      signal: controller.signal,
      onRows: (result) => {
        // A million rows come in a hundred pieces; the screen follows a few times a second.
        const now = Date.now();
        if (now - drawn < 120 && result.version > 1) return;
        drawn = now;
        change(tab.id, queryId, { result, version: result.version });
      },
    });
    const elapsedMs = Date.now() - startedAt;
    change(tab.id, queryId, { phase: 'done', answer, result: answer.result, version: answer.result.version, elapsedMs, inTransaction: transactionAfter(sql, inTransaction) });
    updateTab(tab.id, { last: { sql, ms: elapsedMs, at: Date.now() } });
    onDone();
  } catch (error) {
    const elapsedMs = Date.now() - startedAt;
    const shown = asApiError(error);
    if (isAbort(error) || shown.kind === 'cancelled') change(tab.id, queryId, { phase: 'cancelled', elapsedMs });
    else change(tab.id, queryId, { phase: 'failed', error: shown, elapsedMs, result: null });
    onDone();
  }
}

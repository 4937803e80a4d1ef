import { expect, test } from 'vitest';

import type { JobRun } from '../services/types';
import { bars, ticks } from './timeline';

const run = (given: Partial<JobRun>): JobRun => ({
  run_id: 'r',
  job: 'j',
  kind: 'statement',
  state: 'done',
  reason: 'schedule',
  attempt: 1,
  due_at: null,
  queued_at: '2026-01-01T00:00:00Z',
  not_before: '2026-01-01T00:00:00Z',
  started_at: null,
  ended_at: null,
  caused_by: null,
  error: null,
  ...given,
});

const FROM = Date.parse('2026-01-01T00:00:00Z');
const UNTIL = Date.parse('2026-01-01T10:00:00Z');
const shares = (runs: JobRun[]) => bars(runs, FROM, UNTIL).map((bar) => [bar.left, bar.width]);

test('a run is as long as it took, cut at the window', () => {
  expect(shares([run({ started_at: '2026-01-01T01:00:00Z', ended_at: '2026-01-01T03:00:00Z' })])).toEqual([[0.1, expect.closeTo(0.2)]]);
  expect(shares([run({ started_at: '2025-12-31T20:00:00Z', ended_at: '2026-01-01T01:00:00Z' })])).toEqual([[0, expect.closeTo(0.1)]]);
  expect(shares([run({ started_at: '2025-12-31T20:00:00Z', ended_at: '2025-12-31T21:00:00Z' })])).toEqual([]);
});

test('one that runs reaches until now, one that waits or was missed has no length', () => {
  expect(shares([run({ state: 'running', started_at: '2026-01-01T05:00:00Z' })])).toEqual([[0.5, 0.5]]);
  expect(shares([run({ state: 'waiting', queued_at: '2026-01-01T02:00:00Z' })])).toEqual([[0.2, 0]]);
  expect(shares([run({ state: 'missed', due_at: '2026-01-01T02:00:00Z', ended_at: '2026-01-01T09:00:00Z' })])).toEqual([[0.2, 0]]);
});

test('ticks stand at round times of the place', () => {
  const times = (zone: number) => ticks(FROM, UNTIL, 6, zone).map((tick) => new Date(tick.at).toISOString().slice(11, 16));
  expect(times(0)).toEqual(['00:00', '02:00', '04:00', '06:00', '08:00', '10:00']);
  expect(times(330)).toEqual(['00:30', '02:30', '04:30', '06:30', '08:30']);
});

import { expect, test } from 'vitest';

import type { JobRun } from '../services/types';
import { bars, clusters, tally, ticks, windowFor } from './timeline';

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

test('runs that ended alike and lie close are one; failures are drawn last', () => {
  const at = (minute: number, state: JobRun['state']) => run({ run_id: String(minute), state, started_at: new Date(FROM + minute * 60_000).toISOString(), ended_at: new Date(FROM + minute * 60_000 + 1000).toISOString() });
  const found = clusters(bars([at(1, 'done'), at(2, 'failed'), at(3, 'done'), at(300, 'done')], FROM, UNTIL), 0.01, 0.1);
  expect(found.map((cluster) => [cluster.state, cluster.runs.length])).toEqual([
    ['done', 2],
    ['done', 1],
    ['failed', 1],
  ]);
  expect(found[0]?.left).toBeCloseTo(1 / 600);
  expect(clusters(bars([at(1, 'done'), at(3, 'done')], FROM, UNTIL), 0.01, 0.001)).toHaveLength(2);
  expect(tally([at(1, 'done'), at(2, 'failed'), at(3, 'done')])).toEqual([
    ['failed', 1],
    ['done', 2],
  ]);
});

test('the window is as large as the runs need, and at most a day', () => {
  const since = (hours: number) => windowFor([run({ started_at: new Date(UNTIL - hours * 3_600_000).toISOString() })], UNTIL);
  expect([since(0.5), since(3), since(30)]).toEqual([1, 6, 24]);
});

import type { JobRun, RunState } from '../services/types';

/** A run as a bar: where it begins and how wide it is, both as shares of the window, 0 to 1. */
export interface Bar {
  run: JobRun;
  state: RunState;
  left: number;
  width: number;
}

/** Runs of one state that lie too close to be told apart, the oldest first. */
export interface Cluster {
  runs: JobRun[];
  state: RunState;
  left: number;
  width: number;
}

/** A tick of the time axis. */
export interface Tick {
  at: number;
  left: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Steps between ticks that people count in. */
const STEPS = [MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 168 * HOUR];

/** The bars of runs within a window of time, the oldest first. What has not started stands where it was queued. */
export function bars(runs: JobRun[], from: number, until: number): Bar[] {
  const span = until - from;
  if (span <= 0) return [];
  const found: Bar[] = [];
  for (const run of runs) {
    const start = Date.parse(run.started_at ?? run.due_at ?? run.queued_at);
    const end = run.ended_at && run.started_at ? Date.parse(run.ended_at) : run.state === 'running' ? until : start;
    if (end < from || start > until) continue;
    const left = Math.max(0, (start - from) / span);
    found.push({ run, state: run.state, left, width: Math.max(0, Math.min(1, (end - from) / span) - left) });
  }
  return found.sort((a, b) => a.left - b.left);
}

/** Bars drawn as one, of at most `most`, where less than `gap` is between them and they ended alike. What needs care comes last, so that it is drawn on top. */
export function clusters(found: Bar[], gap: number, most: number): Cluster[] {
  const open = new Map<RunState, Cluster>();
  const made: Cluster[] = [];
  for (const bar of found) {
    const last = open.get(bar.state);
    if (last && bar.left - (last.left + last.width) < gap && bar.left + bar.width - last.left < most) {
      last.runs.push(bar.run);
      last.width = Math.max(last.width, bar.left + bar.width - last.left);
    } else {
      const cluster = { runs: [bar.run], state: bar.state, left: bar.left, width: bar.width };
      open.set(bar.state, cluster);
      made.push(cluster);
    }
  }
  return made.sort((a, b) => WEIGHT[a.state] - WEIGHT[b.state] || a.left - b.left);
}

const WEIGHT: Record<RunState, number> = { done: 0, cancelled: 1, waiting: 2, running: 3, missed: 4, interrupted: 5, failed: 6 };

/** The states that occur, what needs care first, with how many runs each has. */
export function tally(runs: JobRun[]): [RunState, number][] {
  const counts = new Map<RunState, number>();
  for (const run of runs) counts.set(run.state, (counts.get(run.state) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => WEIGHT[b] - WEIGHT[a]);
}

/** The smallest of the windows, in hours, that shows every run; at most a day, so that today can be read. */
export function windowFor(runs: JobRun[], now: number): number {
  const oldest = Math.min(...runs.map((run) => Date.parse(run.started_at ?? run.queued_at)));
  return [1, 6].find((hours) => now - oldest <= hours * HOUR) ?? 24;
}

/** Ticks at round local times, at most `most` of them. `zone`: minutes that local time is ahead of UTC. */
export function ticks(from: number, until: number, most: number, zone: number): Tick[] {
  const span = until - from;
  const step = STEPS.find((size) => span / size <= most) ?? span;
  const shift = zone * MINUTE;
  const found: Tick[] = [];
  for (let at = Math.ceil((from + shift) / step) * step - shift; at <= until; at += step) found.push({ at, left: (at - from) / span });
  return found;
}

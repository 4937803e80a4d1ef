import { duration } from '../../lib/format';
import type { JobRun } from '../../services/types';

const REASONS: Record<JobRun['reason'], string> = { schedule: 'by its schedule', after: 'after another job', asked: 'asked for', retry: 'another attempt' };

export const why = (run: JobRun): string => (run.reason === 'retry' ? `attempt ${run.attempt}` : REASONS[run.reason]);

/** How long a run took, or has been going on. */
export function took(run: JobRun, now: number): string | null {
  if (!run.started_at) return null;
  const end = run.ended_at ? Date.parse(run.ended_at) : now;
  return duration(Math.max(0, end - Date.parse(run.started_at)));
}

/** `in 5 min`, `in 3 h`, `in 2 days`; `now` when it is due. */
export function soon(iso: string, now: number): string {
  const seconds = Math.round((Date.parse(iso) - now) / 1000);
  if (seconds <= 0) return 'now';
  if (seconds < 60) return `in ${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `in ${minutes} min`;
  const hours = Math.round(minutes / 60);
  if (hours < 48) return `in ${hours} h`;
  return `in ${Math.round(hours / 24)} days`;
}

/** A job to begin with. */
export const TEMPLATE = `CREATE JOB nightly
  SCHEDULE '30 2 * * *' IN TIME ZONE '${Intl.DateTimeFormat().resolvedOptions().timeZone}'
  RETRY 3
AS
  SELECT 1`;

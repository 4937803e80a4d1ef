import { inWords } from '../../lib/cron';
import type { Job } from '../../services/types';

/** When a job runs: in words where there are short ones, else by its schedule as it was written. */
export function When({ job, withSchedule = false }: { job: Job; withSchedule?: boolean }) {
  const words = job.schedule && inWords(job.schedule);
  const zone = job.time_zone === 'UTC' ? '' : ` ${job.time_zone}`;
  const after = job.after && `after ${job.after}`;
  if (!job.schedule) return <>{after ?? 'when asked'}</>;
  return (
    <span title={job.schedule}>
      {words ?? <span className="mono">{job.schedule}</span>}
      {zone}
      {words && withSchedule && <span className="mono quiet"> {job.schedule}</span>}
      {after && `, and ${after}`}
    </span>
  );
}

import type { ReactNode } from 'react';

import { Empty } from '../../components/Empty';
import { type ListColumn, ListTable } from '../../components/ListTable';
import { StateMark } from '../../components/StateMark';
import { TimeAgo } from '../../components/TimeAgo';
import { count } from '../../lib/format';
import { links } from '../../lib/link';
import type { JobRun } from '../../services/types';
import { took, why } from './words';
import classes from './Jobs.module.css';

const quiet = (value: string | null) => value ?? <span className="quiet">–</span>;

const JOB: ListColumn<JobRun> = {
  key: 'job',
  name: 'Job',
  width: '22%',
  sort: (run) => run.job,
  render: (run) => (
    <span className="ellipsis" title={run.job}>
      {run.job}
    </span>
  ),
};

const STATE: ListColumn<JobRun> = { key: 'state', name: 'State', width: 130, sort: (run) => run.state, render: (run) => <StateMark state={run.state} word /> };

const REST: ListColumn<JobRun>[] = [
  { key: 'why', name: 'Why', width: 140, wideOnly: true, sort: (run) => run.reason, render: why },
  { key: 'time', name: 'Queued', width: 120, sort: (run) => run.queued_at, render: (run) => <TimeAgo time={run.queued_at} /> },
  { key: 'took', name: 'Took', width: 100, wideOnly: true, numeric: true, render: (run) => quiet(took(run, Date.now())) },
  { key: 'error', name: 'What went wrong', wideOnly: true, render: (run) => <span title={run.error?.message}>{quiet(run.error?.message ?? null)}</span> },
];

/** Runs as a list, the newest first. */
export function RunList({ runs, most, withJob = false, action }: { runs: JobRun[]; most: number; withJob?: boolean; action?: ReactNode }) {
  if (runs.length === 0) return <Empty text={withJob ? 'No job has run yet. Runs stand here as soon as one is due, or asked for.' : 'It has not run yet.'} action={action} />;
  return (
    <>
      <ListTable
        label="Runs"
        noun="runs"
        rows={runs}
        columns={withJob ? [JOB, STATE, ...REST] : [STATE, ...REST]}
        rowKey={(run) => run.run_id}
        href={(run) => links.jobRun(run.job, run.run_id)}
        text={(run) => `${run.job} ${run.state} ${run.error?.message ?? ''}`}
        defaultSort="-time"
      />
      {runs.length >= most && <p className={`small second ${classes.note}`}>The newest {count(most)}; polder.runs has more.</p>}
    </>
  );
}

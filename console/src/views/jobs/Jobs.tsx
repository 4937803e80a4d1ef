import { Button } from '@mantine/core';
import { useMemo } from 'react';
import { useLocation } from 'wouter';

import { Empty } from '../../components/Empty';
import { Failure } from '../../components/Failure';
import { type ListColumn, ListTable } from '../../components/ListTable';
import { LinkTabs } from '../../components/LinkTabs';
import { Page } from '../../components/Page';
import { Skeleton, SkeletonRows } from '../../components/Skeleton';
import { StateMark } from '../../components/StateMark';
import { TimeAgo } from '../../components/TimeAgo';
import { IconClock, IconPlayerPause, IconPlus } from '../../components/icons';
import { plural } from '../../lib/format';
import { links } from '../../lib/link';
import { useParam } from '../../lib/params';
import { useJobs, useRuns } from '../../services/hooks';
import { openSql } from '../../services/tabs';
import type { Job, JobRun } from '../../services/types';
import { NextTime } from './NextTime';
import { Recent } from './Recent';
import { RunList } from './RunList';
import { Timeline } from './Timeline';
import { When } from './When';
import { TEMPLATE } from './words';
import classes from './Jobs.module.css';

const RUNS_SHOWN = 1000;

/** A job with its newest runs, the newest first. */
interface Row {
  job: Job;
  runs: JobRun[];
}

const COLUMNS: ListColumn<Row>[] = [
  {
    key: 'name',
    name: 'Name',
    sort: ({ job }) => job.name,
    render: ({ job }) => (
      <>
        {job.paused ? <IconPlayerPause size={16} stroke={1.6} aria-label="Paused" /> : <IconClock size={16} stroke={1.6} aria-hidden="true" />}
        <span className="ellipsis" title={job.name}>
          {job.name}
        </span>
      </>
    ),
  },
  { key: 'when', name: 'Runs', width: '26%', wideOnly: true, render: ({ job }) => <When job={job} /> },
  { key: 'next', name: 'Next', width: 110, sort: ({ job }) => job.next_at, render: ({ job }) => (job.paused ? 'paused' : <NextTime time={job.next_at} />) },
  { key: 'state', name: 'Last run', width: 120, sort: ({ job }) => job.last_run?.state ?? null, render: ({ job }) => (job.last_run ? <StateMark state={job.last_run.state} word /> : <span className="quiet">none yet</span>) },
  { key: 'recent', name: 'Recent runs', width: 140, wideOnly: true, render: ({ runs }) => <Recent runs={runs} /> },
  { key: 'last', name: 'Started', width: 120, wideOnly: true, sort: ({ job }) => job.last_run?.started_at ?? null, render: ({ job }) => <TimeAgo time={job.last_run?.started_at ?? null} /> },
];

function rowsOf(jobs: Job[], runs: JobRun[]): Row[] {
  const byJob = new Map<string, JobRun[]>();
  for (const run of runs) byJob.set(run.job, [...(byJob.get(run.job) ?? []), run]);
  return jobs.map((job) => ({ job, runs: byJob.get(job.name) ?? (job.last_run ? [job.last_run] : []) }));
}

/** Every job and when it runs next; every run on a line of time. */
export default function Jobs() {
  const jobs = useJobs();
  const runs = useRuns(RUNS_SHOWN);
  const rows = useMemo(() => rowsOf(jobs.data ?? [], runs.data ?? []), [jobs.data, runs.data]);
  const [tab, setTab] = useParam('tab', 'jobs');
  const [, navigate] = useLocation();
  const paused = jobs.data?.filter((job) => job.paused).length ?? 0;
  const own = jobs.data?.some((job) => job.kind === 'statement') ?? false;
  const make = (): void => navigate(openSql(TEMPLATE));
  return (
    <Page
      title="Jobs"
      description={jobs.data ? `${plural(jobs.data.length, 'job')}${paused ? `, ${paused} paused` : ''}` : 'SQL that runs by itself'}
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={make}>
          New job
        </Button>
      }
    >
      {jobs.error && <Failure error={jobs.error} what="The jobs could not be read" onRetry={() => void jobs.refetch()} />}
      {jobs.isPending && (
        <div className={classes.pending}>
          <Skeleton width={120} height={14} />
          <SkeletonRows rows={8} />
        </div>
      )}
      {jobs.data && (
        <LinkTabs
          label="Jobs and runs"
          value={tab}
          onChange={setTab}
          tabs={[
            { id: 'jobs', name: 'Jobs', count: jobs.data.length },
            { id: 'runs', name: 'Runs' },
          ]}
        >
          {tab === 'jobs' && <ListTable label="Jobs" noun="jobs" rows={rows} columns={COLUMNS} rowKey={({ job }) => job.name} href={({ job }) => links.job(job.name)} text={({ job }) => job.name} defaultSort="name" />}
          {tab === 'jobs' && !own && (
            <div className={classes.first}>
              <Empty
                text="Your own jobs stand here: SQL that runs by a schedule, after another job, or when you ask. Each keeps a record of its runs."
                action={<Button onClick={make}>New job</Button>}
              />
            </div>
          )}
          {tab === 'runs' && (
            <>
              {runs.error && <Failure error={runs.error} what="The runs could not be read" onRetry={() => void runs.refetch()} />}
              {runs.isPending && <SkeletonRows rows={8} />}
              {runs.data && runs.data.length > 0 && <Timeline runs={runs.data} />}
              {runs.data && <RunList runs={runs.data} most={RUNS_SHOWN} withJob />}
            </>
          )}
        </LinkTabs>
      )}
    </Page>
  );
}

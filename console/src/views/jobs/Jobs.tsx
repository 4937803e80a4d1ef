import { Button } from '@mantine/core';
import { useLocation } from 'wouter';

import { Empty } from '../../components/Empty';
import { Failure } from '../../components/Failure';
import { type ListColumn, ListTable } from '../../components/ListTable';
import { LinkTabs } from '../../components/LinkTabs';
import { Page } from '../../components/Page';
import { SkeletonRows } from '../../components/Skeleton';
import { StateMark } from '../../components/StateMark';
import { TimeAgo } from '../../components/TimeAgo';
import { IconClock, IconPlayerPause, IconPlus } from '../../components/icons';
import { plural } from '../../lib/format';
import { links } from '../../lib/link';
import { useParam } from '../../lib/params';
import { useJobs, useRuns } from '../../services/hooks';
import { openSql } from '../../services/tabs';
import type { Job } from '../../services/types';
import { NextTime } from './NextTime';
import { RunList } from './RunList';
import { Timeline } from './Timeline';
import { TEMPLATE, when } from './words';

const COLUMNS: ListColumn<Job>[] = [
  {
    key: 'name',
    name: 'Name',
    sort: (job) => job.name,
    render: (job) => (
      <>
        {job.paused ? <IconPlayerPause size={16} stroke={1.6} aria-label="Paused" /> : <IconClock size={16} stroke={1.6} aria-hidden="true" />}
        <span className="ellipsis" title={job.name}>
          {job.name}
        </span>
      </>
    ),
  },
  { key: 'when', name: 'Runs', width: '26%', wideOnly: true, render: (job) => <span className={job.schedule ? 'mono' : undefined}>{when(job)}</span> },
  { key: 'next', name: 'Next', width: 110, sort: (job) => job.next_at, render: (job) => (job.paused ? 'paused' : <NextTime time={job.next_at} />) },
  { key: 'state', name: 'Last run', width: 120, sort: (job) => job.last_run?.state ?? null, render: (job) => (job.last_run ? <StateMark state={job.last_run.state} word /> : <span className="quiet">none yet</span>) },
  { key: 'last', name: 'Started', width: 120, wideOnly: true, sort: (job) => job.last_run?.started_at ?? null, render: (job) => <TimeAgo time={job.last_run?.started_at ?? null} /> },
  { key: 'owner', name: 'Owner', width: 110, wideOnly: true, sort: (job) => job.owner, render: (job) => job.owner },
];

/** Every job and when it runs next; every run on a line of time. */
export default function Jobs() {
  const jobs = useJobs();
  const runs = useRuns(1000);
  const [tab, setTab] = useParam('tab', 'jobs');
  const [, navigate] = useLocation();
  const paused = jobs.data?.filter((job) => job.paused).length ?? 0;
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
      {jobs.isPending && <SkeletonRows rows={8} />}
      {jobs.data?.length === 0 && runs.data?.length === 0 && <Empty text="Jobs appear here when the first CREATE JOB has run." action={<Button onClick={make}>New job</Button>} />}
      {jobs.data && (jobs.data.length > 0 || (runs.data?.length ?? 0) > 0) && (
        <LinkTabs
          label="Jobs and runs"
          value={tab}
          onChange={setTab}
          tabs={[
            { id: 'jobs', name: 'Jobs', count: jobs.data.length },
            { id: 'runs', name: 'Runs' },
          ]}
        >
          {tab === 'jobs' && <ListTable label="Jobs" noun="jobs" rows={jobs.data} columns={COLUMNS} rowKey={(job) => job.name} href={(job) => links.job(job.name)} text={(job) => job.name} defaultSort="name" />}
          {tab === 'runs' && (
            <>
              {runs.error && <Failure error={runs.error} what="The runs could not be read" onRetry={() => void runs.refetch()} />}
              {runs.isPending && <SkeletonRows rows={8} />}
              {runs.data && <Timeline runs={runs.data} />}
              {runs.data && <RunList runs={runs.data} withJob />}
            </>
          )}
        </LinkTabs>
      )}
    </Page>
  );
}

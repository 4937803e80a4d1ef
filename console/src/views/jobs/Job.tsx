import { Button } from '@mantine/core';
import { useLocation, useParams } from 'wouter';

import { Failure } from '../../components/Failure';
import { Page } from '../../components/Page';
import { Skeleton, SkeletonRows } from '../../components/Skeleton';
import { SqlText } from '../../components/SqlText';
import { IconPlayerPause, IconPlayerPlay } from '../../components/icons';
import { duration } from '../../lib/format';
import { links } from '../../lib/link';
import { api } from '../../services/api';
import { useJob, useRuns } from '../../services/hooks';
import type { Job as JobOf } from '../../services/types';
import { NextTime } from './NextTime';
import { RunList } from './RunList';
import { Timeline } from './Timeline';
import { useAct } from './useAct';
import { when } from './words';
import classes from './Jobs.module.css';

/** One job: what it does, when, and how its runs went. */
export default function Job() {
  const { job: name = '' } = useParams<{ job: string }>();
  const job = useJob(name);
  const runs = useRuns(300, name);
  const [, navigate] = useLocation();
  const { act, busy, error } = useAct();
  const data = job.data;
  return (
    <Page
      title={name}
      above={[{ name: 'Jobs', href: links.jobs() }]}
      description={data ? <About job={data} /> : <Skeleton width={320} height={14} />}
      actions={
        data && (
          <>
            {data.paused ? (
              <Button variant="default" disabled={busy} leftSection={<IconPlayerPlay size={16} />} onClick={() => act(() => api.resumeJob(name))}>
                Resume
              </Button>
            ) : (
              <Button variant="default" disabled={busy} leftSection={<IconPlayerPause size={16} />} onClick={() => act(() => api.pauseJob(name))}>
                Pause
              </Button>
            )}
            <Button disabled={busy} leftSection={<IconPlayerPlay size={16} />} onClick={() => act(() => api.runJob(name), (run) => navigate(links.jobRun(name, run.run_id)))}>
              Run now
            </Button>
          </>
        )
      }
    >
      {error !== null && <Failure error={error} />}
      {job.error && <Failure error={job.error} what="This job cannot be shown" onRetry={() => void job.refetch()} />}
      {data && <SqlText text={typeof data.payload.sql === 'string' ? data.payload.sql : `${data.kind} ${JSON.stringify(data.payload)}`} plain={typeof data.payload.sql !== 'string'} />}
      <h2 className={classes.heading}>Runs</h2>
      {runs.error && <Failure error={runs.error} what="The runs could not be read" onRetry={() => void runs.refetch()} />}
      {runs.isPending && <SkeletonRows rows={6} />}
      {runs.data && runs.data.length > 0 && <Timeline runs={runs.data} />}
      {runs.data && <RunList runs={runs.data} />}
    </Page>
  );
}

function About({ job }: { job: JobOf }) {
  const facts = [
    `Owner ${job.owner}`,
    job.retries > 0 ? `up to ${job.retries + 1} attempts` : null,
    job.timeout_seconds === null ? null : `stopped after ${duration(job.timeout_seconds * 1000)}`,
  ].filter((fact) => fact !== null);
  return (
    <>
      <p>
        Runs <span className={job.schedule ? 'mono' : undefined}>{when(job)}</span>
        {job.paused ? ' · paused' : job.next_at && (
          <>
            {' '}
            · next <NextTime time={job.next_at} />
          </>
        )}
      </p>
      <p className="num">{facts.join(' · ')}</p>
    </>
  );
}

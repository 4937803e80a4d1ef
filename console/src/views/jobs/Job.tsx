import { Button } from '@mantine/core';
import { useLocation, useParams } from 'wouter';

import { CopyButton } from '../../components/CopyButton';
import { Failure } from '../../components/Failure';
import { Page } from '../../components/Page';
import { Skeleton, SkeletonRows } from '../../components/Skeleton';
import { SqlText } from '../../components/SqlText';
import { IconPlayerPause, IconPlayerPlay } from '../../components/icons';
import { usePageActions } from '../../frame/pageActions';
import { duration } from '../../lib/format';
import { createJob, workOf } from '../../lib/jobSql';
import { links } from '../../lib/link';
import { api } from '../../services/api';
import { useJob, useRuns } from '../../services/hooks';
import { openSql } from '../../services/tabs';
import type { Job as JobOf } from '../../services/types';
import { NextTime } from './NextTime';
import { RunList } from './RunList';
import { Timeline } from './Timeline';
import { useAct } from './useAct';
import { When } from './When';
import classes from './Jobs.module.css';

const RUNS_SHOWN = 300;

/** One job: what it does, when, and how its runs went. */
export default function Job() {
  const { job: name = '' } = useParams<{ job: string }>();
  const job = useJob(name);
  const runs = useRuns(RUNS_SHOWN, name);
  const [, navigate] = useLocation();
  const { act, busy, error } = useAct();
  const data = job.data;
  // The record of a job's runs outlives the job.
  const isKnown = !job.error || (runs.data?.length ?? 0) > 0;
  const run = (): void => act(() => api.runJob(name), (made) => navigate(links.jobRun(name, made.run_id)));
  const pause = (): void => act(() => (data?.paused ? api.resumeJob(name) : api.pauseJob(name)));
  usePageActions(
    data && !busy
      ? [
          { id: 'run', name: 'Run this job now', icon: IconPlayerPlay, act: run },
          { id: 'pause', name: data.paused ? 'Resume this job' : 'Pause this job', icon: data.paused ? IconPlayerPlay : IconPlayerPause, act: pause },
        ]
      : [],
  );
  return (
    <Page
      title={name}
      above={[{ name: 'Jobs', href: links.jobs() }]}
      description={data ? <About job={data} /> : job.isPending && <Skeleton width={320} height={14} />}
      actions={
        data && (
          <>
            {data.paused ? (
              <Button variant="default" disabled={busy} leftSection={<IconPlayerPlay size={16} />} onClick={pause}>
                Resume
              </Button>
            ) : (
              <Button variant="default" disabled={busy} leftSection={<IconPlayerPause size={16} />} onClick={pause}>
                Pause
              </Button>
            )}
            <Button disabled={busy} leftSection={<IconPlayerPlay size={16} />} onClick={run}>
              Run now
            </Button>
          </>
        )
      }
    >
      {error !== null && <Failure error={error} />}
      {job.error && <Failure error={job.error} what="This job cannot be shown" onRetry={() => void job.refetch()} />}
      {data && <Work job={data} />}
      {isKnown && <h2 className={classes.heading}>Runs</h2>}
      {runs.error && <Failure error={runs.error} what="The runs could not be read" onRetry={() => void runs.refetch()} />}
      {isKnown && runs.isPending && <SkeletonRows rows={6} />}
      {runs.data && runs.data.length > 0 && <Timeline runs={runs.data} single />}
      {isKnown && runs.data && <RunList runs={runs.data} most={RUNS_SHOWN} action={data && <Button onClick={run}>Run now</Button>} />}
    </Page>
  );
}

/** What it does, with a way to change it. */
function Work({ job }: { job: JobOf }) {
  const [, navigate] = useLocation();
  const text = workOf(job);
  const made = createJob(job);
  return (
    <section>
      <div className={classes.bar}>
        <h2>What it does</h2>
        {made !== null && (
          <Button size="compact-sm" variant="subtle" onClick={() => navigate(openSql(made, { name: job.name }))}>
            Edit
          </Button>
        )}
        <CopyButton text={text} label="Copy" />
      </div>
      <SqlText text={text} plain={made === null} />
    </section>
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
        Runs <When job={job} withSchedule />
        {!job.paused && job.next_at && (
          <>
            {' '}
            · next <NextTime time={job.next_at} />
          </>
        )}
        {job.paused && (
          <span className={classes.paused}>
            {' · '}
            <IconPlayerPause size={14} aria-hidden="true" /> paused, runs only when asked
          </span>
        )}
      </p>
      <p className="num">{facts.join(' · ')}</p>
    </>
  );
}

import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useLocation, useParams } from 'wouter';

import { Failure } from '../../components/Failure';
import { Page } from '../../components/Page';
import { ProgressBar } from '../../components/ProgressBar';
import { SkeletonRows } from '../../components/Skeleton';
import { StateMark } from '../../components/StateMark';
import { TimeAgo } from '../../components/TimeAgo';
import { IconPlayerStop, IconRefresh } from '../../components/icons';
import { bytes, exactTime, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { lastQuery } from '../../lib/runLog';
import { api } from '../../services/api';
import { ApiError } from '../../services/client';
import { useRunning } from '../../services/hooks';
import type { JobRun } from '../../services/types';
import { Log } from './Log';
import { useAct } from './useAct';
import { useLog } from './useLog';
import { took, why } from './words';
import classes from './Jobs.module.css';

const isOpen = (run: JobRun): boolean => run.state === 'waiting' || run.state === 'running';

/** One run: how it stands, its log as it grows, and what can be done about it. */
export default function Run() {
  const { job = '', run: id = '' } = useParams<{ job: string; run: string }>();
  const [, navigate] = useLocation();
  const { act, busy, error } = useAct();
  const run = useQuery({
    queryKey: ['run', id],
    queryFn: () => api.run(id),
    refetchInterval: (query) => (query.state.data && isOpen(query.state.data) ? 1_000 : false),
  });
  const data = run.data;
  const log = useLog(id);
  return (
    <Page
      title={`Run of ${job}`}
      above={[
        { name: 'Jobs', href: links.jobs() },
        { name: job, href: links.job(job) },
      ]}
      description={data && <About run={data} />}
      actions={
        data && (
          <>
            {isOpen(data) && (
              <Button variant="default" disabled={busy} leftSection={<IconPlayerStop size={16} />} onClick={() => act(() => api.cancelRun(id))}>
                Cancel
              </Button>
            )}
            <Button variant={isOpen(data) ? 'default' : 'filled'} disabled={busy} leftSection={<IconRefresh size={16} />} onClick={() => act(() => api.runAgain(id), (next) => navigate(links.jobRun(job, next.run_id)))}>
              Run again
            </Button>
          </>
        )
      }
    >
      {error !== null && <Failure error={error} />}
      {run.isPending && <SkeletonRows rows={4} />}
      {run.error && <Failure error={run.error} what="This run cannot be shown" onRetry={() => void run.refetch()} />}
      {data?.error && data.state !== 'cancelled' && <Failure error={ApiError.fromRecord(data.error, data.run_id)} what={data.state === 'failed' ? 'The run failed' : 'The run was not finished'} />}
      {data?.state === 'running' && <Progress query={lastQuery(log.text)} />}
      {data && <Log log={log} open={isOpen(data) || !log.ended} />}
    </Page>
  );
}

/** What the run's statement has read so far. */
function Progress({ query }: { query: string | null }) {
  const running = useRunning();
  const record = running.data?.queries.find((item) => item.query_id === query);
  if (!record) return null;
  return (
    <div className={classes.progress}>
      <ProgressBar part={record.rows_total ? record.rows_scanned / record.rows_total : null} label="The run's statement" />
      <span className="second small num">
        {plural(record.rows_scanned, 'row')} read{record.bytes_scanned > 0 && ` · ${bytes(record.bytes_scanned)}`}
      </span>
    </div>
  );
}

function About({ run }: { run: JobRun }) {
  const time = took(run, Date.now());
  return (
    <>
      <p>
        <StateMark state={run.state} word /> · {why(run)}
        {run.due_at && <> · due {exactTime(run.due_at)}</>}
      </p>
      <p className="num">
        {run.started_at ? (
          <>
            Started <TimeAgo time={run.started_at} />
            {time && ` · ${run.ended_at ? 'took' : 'running for'} ${time}`}
          </>
        ) : run.state === 'waiting' ? (
          <>Starts {Date.parse(run.not_before) > Date.now() ? exactTime(run.not_before) : 'as soon as there is room'}</>
        ) : (
          'It never started'
        )}
      </p>
    </>
  );
}

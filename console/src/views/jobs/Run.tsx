import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useLocation, useParams } from 'wouter';

import { Failure } from '../../components/Failure';
import { Page } from '../../components/Page';
import { SkeletonRows } from '../../components/Skeleton';
import { StateMark } from '../../components/StateMark';
import { TimeAgo } from '../../components/TimeAgo';
import { IconPlayerStop, IconRefresh } from '../../components/icons';
import { exactTime } from '../../lib/format';
import { links } from '../../lib/link';
import { api } from '../../services/api';
import { ApiError } from '../../services/client';
import type { JobRun } from '../../services/types';
import { Log } from './Log';
import { useAct } from './useAct';
import { took, why } from './words';

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
  return (
    <Page
      title="Run"
      name={`Run of ${job}`}
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
            <Button disabled={busy} leftSection={<IconRefresh size={16} />} onClick={() => act(() => api.runAgain(id), (next) => navigate(links.jobRun(job, next.run_id)))}>
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
      {data && <Log key={id} id={id} open={isOpen(data)} />}
    </Page>
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

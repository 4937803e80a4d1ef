import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useParams } from 'wouter';

import { Failure } from '../../components/Failure';
import { LinkButton } from '../../components/LinkButton';
import { Page } from '../../components/Page';
import { ProgressBar } from '../../components/ProgressBar';
import { SkeletonRows } from '../../components/Skeleton';
import { IconPlayerStop } from '../../components/icons';
import { bytes, duration, plural } from '../../lib/format';
import { api } from '../../services/api';
import { ApiError } from '../../services/client';
import { useRefresh } from '../../services/hooks';
import type { LoadStatus } from '../../services/types';
import { LoadedTable } from './LoadedTable';
import classes from './Load.module.css';

const PHASES: Record<string, string> = { inferring: 'Finding the types', loading: 'Loading', committing: 'Committing' };

/** A load as it runs, and what came of it. Can be left and found again under “running”. */
export default function Run() {
  const { load: id = '' } = useParams<{ load: string }>();
  const refresh = useRefresh();
  const status = useQuery({
    queryKey: ['load', id],
    queryFn: () => api.load(id),
    refetchInterval: (query) => (query.state.data?.state === 'running' ? 400 : false),
  });
  const state = status.data?.state;
  useEffect(() => {
    if (state && state !== 'running') refresh();
  }, [state, refresh]);
  const source = status.data?.progress.current_source.replace(/^.*[\\/]/, '') || 'Load';
  return (
    <Page
      title={source}
      above={[
        { name: 'Data', href: '/data' },
        { name: 'Load', href: '/load' },
      ]}
      narrow
    >
      {status.isPending && <SkeletonRows rows={3} />}
      {status.error && <Failure error={status.error} what="This load cannot be shown" onRetry={() => void status.refetch()} />}
      {status.data && <State status={status.data} onCancelled={() => void status.refetch()} />}
    </Page>
  );
}

function State({ status, onCancelled }: { status: LoadStatus; onCancelled: () => void }) {
  if (status.state === 'running') return <Running status={status} onCancelled={onCancelled} />;
  if (status.state === 'cancelled') {
    return (
      <div className={classes.run}>
        <p>The load was cancelled. Nothing of it was kept.</p>
        <div>
          <LinkButton href="/load">Load a file</LinkButton>
        </div>
      </div>
    );
  }
  if (status.error) return <Failure error={ApiError.fromRecord(status.error, status.load_id)} what="The load failed, and nothing was changed" />;
  const report = status.report;
  return <>{report?.tables.map((table, index) => <LoadedTable key={table.table} table={table} report={report} first={index === 0} />)}</>;
}

function Running({ status, onCancelled }: { status: LoadStatus; onCancelled: () => void }) {
  const { progress } = status;
  const part = progress.bytes_total ? progress.bytes_done / progress.bytes_total : null;
  const left = part !== null && part > 0.05 ? (progress.elapsed_ms / part) * (1 - part) : null;
  return (
    <div className={classes.run}>
      <p className="strong" role="status">
        {PHASES[progress.phase] ?? progress.phase}
      </p>
      <ProgressBar part={part} label="Load" />
      <p className={`${classes.facts} second num`}>
        <span>{plural(progress.rows, 'row')}</span>
        <span>
          {bytes(progress.bytes_done)}
          {progress.bytes_total !== null && ` of ${bytes(progress.bytes_total)}`}
        </span>
        {progress.elapsed_ms > 0 && <span>{bytes((progress.bytes_done / progress.elapsed_ms) * 1000)}/s</span>}
        <span>{duration(progress.elapsed_ms)}</span>
        {left !== null && left > 1000 && <span>about {duration(left)} left</span>}
      </p>
      <div>
        <Button variant="default" leftSection={<IconPlayerStop size={16} />} onClick={() => void api.cancelLoad(status.load_id).then(onCancelled, onCancelled)}>
          Cancel
        </Button>
      </div>
    </div>
  );
}

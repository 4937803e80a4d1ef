import { Popover } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';

import { IconX } from '../components/icons';
import { ProgressBar } from '../components/ProgressBar';
import { bytes, duration, plural } from '../lib/format';
import { links } from '../lib/link';
import { api } from '../services/api';
import { useRunning } from '../services/hooks';
import type { LoadStatus, QueryRecord } from '../services/types';
import classes from './RunningCount.module.css';

/** A quiet count of what is running; opens to progress and cancel. */
export function RunningCount() {
  const running = useRunning();
  const client = useQueryClient();
  const [open, setOpen] = useState(false);
  const queries = running.data?.queries ?? [];
  const loads = running.data?.loads ?? [];
  const total = queries.length + loads.length;
  const again = (): void => void client.invalidateQueries({ queryKey: ['running'] });
  const toggle = (): void => {
    setOpen(!open);
    if (!open) again();
  };
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" width={380} trapFocus returnFocus>
      <Popover.Target>
        <button type="button" className={classes.button} data-busy={total > 0 || undefined} onClick={toggle} aria-expanded={open}>
          <span className={classes.dot} aria-hidden="true" />
          <span className="num">{total}</span>
          <span className={classes.word}> running</span>
        </button>
      </Popover.Target>
      <Popover.Dropdown p={0} aria-label="Running now">
        {total === 0 && <p className={classes.none}>Nothing is running. Statements and loads appear here, and can be cancelled.</p>}
        <ul className={classes.list}>
          {loads.map((load) => (
            <LoadItem key={load.load_id} load={load} onDone={again} />
          ))}
          {queries.map((query) => (
            <QueryItem key={query.query_id} query={query} onDone={again} />
          ))}
        </ul>
      </Popover.Dropdown>
    </Popover>
  );
}

function QueryItem({ query, onDone }: { query: QueryRecord; onDone: () => void }) {
  return (
    <li className={classes.item}>
      <div className={classes.top}>
        <code className="ellipsis">{query.sql.replace(/\s+/g, ' ')}</code>
        <CancelButton label="Cancel statement" act={() => api.cancelQuery(query.query_id)} onDone={onDone} />
      </div>
      <ProgressBar part={query.rows_total ? query.rows_scanned / query.rows_total : null} label="Statement" />
      <span className="quiet small num">
        {plural(query.rows_scanned, 'row')}{query.bytes_scanned > 0 && ` · ${bytes(query.bytes_scanned)}`} · {duration(query.elapsed_ms)} · {query.user} by {query.via}
      </span>
    </li>
  );
}

function LoadItem({ load, onDone }: { load: LoadStatus; onDone: () => void }) {
  const { progress } = load;
  return (
    <li className={classes.item}>
      <div className={classes.top}>
        <Link href={links.loadRun(load.load_id)} className="ellipsis">
          {progress.current_source || 'Load'}
        </Link>
        <CancelButton label="Cancel load" act={() => api.cancelLoad(load.load_id)} onDone={onDone} />
      </div>
      <ProgressBar part={progress.bytes_total ? progress.bytes_done / progress.bytes_total : null} label="Load" />
      <span className="quiet small num">
        {plural(progress.rows, 'row')} · {bytes(progress.bytes_done)} · {duration(progress.elapsed_ms)} · {progress.phase}
      </span>
    </li>
  );
}

function CancelButton({ label, act, onDone }: { label: string; act: () => Promise<void>; onDone: () => void }) {
  const [busy, setBusy] = useState(false);
  const cancel = (): void => {
    setBusy(true);
    // It may have ended by itself in the meantime; the next list tells.
    act().then(onDone, onDone);
  };
  return (
    <button type="button" className={classes.cancel} onClick={cancel} disabled={busy} aria-label={label}>
      <IconX size={14} /> Cancel
    </button>
  );
}

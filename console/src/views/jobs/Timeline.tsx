import { SegmentedControl } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'wouter';

import { StateMark } from '../../components/StateMark';
import { count, exactTime, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { useParam } from '../../lib/params';
import { bars, type Cluster, clusters, tally, ticks, windowFor } from '../../lib/timeline';
import type { JobRun } from '../../services/types';
import { took } from './words';
import classes from './Timeline.module.css';

const HOUR = 3_600_000;
const WINDOWS = [
  { value: '1', label: '1 hour' },
  { value: '6', label: '6 hours' },
  { value: '24', label: '1 day' },
  { value: '168', label: '7 days' },
];
const TICKS_MAX = 7;
/** Nearer than this share of the line, bars cannot be told apart. */
const GAP = 0.004;
/** Many short runs do not look like a long one. */
const MERGED_MAX = 0.015;
/** A label that begins beyond has no room. */
const LAST_LABEL = 0.93;

/** Runs on a line of time, one line a job. */
export function Timeline({ runs, single = false }: { runs: JobRun[]; single?: boolean }) {
  const [chosen, setHours] = useParam('window', '');
  const until = Date.now();
  const hours = Number(chosen) || windowFor(runs, until);
  const from = until - hours * HOUR;
  const shown = bars(runs, from, until);
  const jobs = [...new Set(shown.map((bar) => bar.run.job))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const axis = ticks(from, until, TICKS_MAX, -new Date(until).getTimezoneOffset());
  const days = hours > 24;
  return (
    <section className={classes.timeline} aria-label="Runs over time">
      <div className={classes.tools}>
        <SegmentedControl size="xs" data={WINDOWS} value={String(hours)} onChange={setHours} aria-label="Window of time" />
        <ul className={classes.legend} aria-label="How they ended">
          {tally(shown.map((bar) => bar.run)).map(([state, number]) => (
            <li key={state}>
              <StateMark state={state} word /> <span className="num">{count(number)}</span>
            </li>
          ))}
        </ul>
      </div>
      {shown.length === 0 ? (
        <p className={`second ${classes.none}`}>No run in this time.</p>
      ) : (
        <div className={classes.grid} data-single={single || undefined}>
          <div className={classes.ruler} aria-hidden="true">
            {axis.map((tick) => (
              <i key={tick.at} style={{ left: `${tick.left * 100}%` }} />
            ))}
          </div>
          {jobs.map((job) => (
            <Line
              key={job}
              job={job}
              single={single}
              clusters={clusters(
                shown.filter((bar) => bar.run.job === job),
                GAP,
                MERGED_MAX,
              )}
            />
          ))}
          <div className={classes.axis} aria-hidden="true">
            {axis.map((tick) => tick.left < LAST_LABEL && (
              <span key={tick.at} style={{ left: `${tick.left * 100}%` }}>
                {label(tick.at, days)}
              </span>
            ))}
          </div>
        </div>
      )}
    </section>
  );
}

function label(at: number, days: boolean): string {
  const date = new Date(at);
  return days ? date.toLocaleDateString('en-GB', { weekday: 'short', day: 'numeric' }) : date.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}

/** One job's runs. Tab comes to the newest; the arrow keys go along the line. */
function Line({ job, clusters: list, single }: { job: string; clusters: Cluster[]; single: boolean }) {
  const [told, setTold] = useState<Cluster | null>(null);
  const inTime = [...list].sort((a, b) => a.left - b.left);
  const newest = inTime.at(-1);
  const onKeyDown = (event: React.KeyboardEvent<HTMLElement>): void => {
    const move = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    const here = event.target;
    if (move === 0 || !(here instanceof HTMLElement)) return;
    event.preventDefault();
    const next = Number(here.dataset.place) + move;
    event.currentTarget.querySelector<HTMLElement>(`[data-place="${next}"]`)?.focus();
  };
  return (
    <>
      {!single && (
        <Link href={links.job(job)} className={`ellipsis ${classes.name}`} title={job}>
          {job}
        </Link>
      )}
      <div className={classes.line} onKeyDown={onKeyDown} onMouseLeave={() => setTold(null)} onBlur={() => setTold(null)}>
        {list.map((cluster) => (
          <Link
            key={cluster.runs[0]?.run_id}
            href={links.jobRun(job, cluster.runs.at(-1)?.run_id ?? '')}
            className={classes.bar}
            data-state={cluster.state}
            data-place={inTime.indexOf(cluster)}
            tabIndex={cluster === newest ? 0 : -1}
            style={{ left: `${cluster.left * 100}%`, width: `calc(${cluster.width * 100}% - 2px)` }}
            aria-label={`${job}: ${about(cluster)}`}
            onMouseEnter={() => setTold(cluster)}
            onFocus={() => setTold(cluster)}
          />
        ))}
        {told && (
          <span className={classes.tip} style={told.left > 0.5 ? { right: `${(1 - told.left - told.width) * 100}%` } : { left: `${told.left * 100}%` }} aria-hidden="true">
            {about(told)}
          </span>
        )}
      </div>
    </>
  );
}

const beginning = (run: JobRun): string => exactTime(run.started_at ?? run.due_at ?? run.queued_at);

function about({ runs, state }: Cluster): string {
  const [first, last] = [runs[0], runs.at(-1)];
  if (!first || !last) return state;
  if (runs.length > 1) return `${plural(runs.length, 'run')}, ${state}, ${beginning(first)} to ${beginning(last)}`;
  const time = took(first, Date.now());
  return `${state}, ${beginning(first)}${time ? `, ${time}` : ''}`;
}

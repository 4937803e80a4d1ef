import { SegmentedControl, Tooltip } from '@mantine/core';
import { Link } from 'wouter';

import { exactTime } from '../../lib/format';
import { links } from '../../lib/link';
import { useParam } from '../../lib/params';
import { type Bar, bars, ticks } from '../../lib/timeline';
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

/** Runs on a line of time, one line a job. */
export function Timeline({ runs }: { runs: JobRun[] }) {
  const [hours, setHours] = useParam('window', '24');
  const until = Date.now();
  const from = until - (Number(hours) || 24) * HOUR;
  const shown = bars(runs, from, until);
  const jobs = [...new Set(shown.map((bar) => bar.run.job))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const axis = ticks(from, until, TICKS_MAX, -new Date(until).getTimezoneOffset());
  const days = until - from > 24 * HOUR;
  return (
    <section className={classes.timeline} aria-label="Runs over time">
      <SegmentedControl size="xs" data={WINDOWS} value={hours} onChange={setHours} aria-label="Window of time" />
      {shown.length === 0 ? (
        <p className="second">No run in this time.</p>
      ) : (
        <div className={classes.grid}>
          {jobs.map((job) => (
            <Line key={job} job={job} bars={shown.filter((bar) => bar.run.job === job)} />
          ))}
          <div className={classes.axis} aria-hidden="true">
            {axis.map((tick) => (
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

function Line({ job, bars: list }: { job: string; bars: Bar[] }) {
  return (
    <>
      <Link href={links.job(job)} className={`ellipsis ${classes.name}`} title={job}>
        {job}
      </Link>
      <div className={classes.line}>
        {list.map((bar) => (
          <Tooltip key={bar.run.run_id} label={about(bar.run)}>
            <Link
              href={links.jobRun(job, bar.run.run_id)}
              className={classes.bar}
              data-state={bar.state}
              style={{ left: `${bar.left * 100}%`, width: `${bar.width * 100}%` }}
              aria-label={`${job}: ${about(bar.run)}`}
            />
          </Tooltip>
        ))}
      </div>
    </>
  );
}

function about(run: JobRun): string {
  const time = took(run, Date.now());
  return `${run.state}, ${exactTime(run.started_at ?? run.due_at ?? run.queued_at)}${time ? `, ${time}` : ''}`;
}

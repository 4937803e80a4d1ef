import { useEffect, useState } from 'react';

import { ProgressBar } from '../../components/ProgressBar';
import { bytes, count, duration, plural } from '../../lib/format';
import type { Run } from './runs';
import classes from './RunProgress.module.css';

const SHOWN_AFTER_MS = 500;

/** Rows, bytes and seconds of a statement that takes longer than a moment; the rest of the time only when it is known. */
export function RunProgress({ run }: { run: Run }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 100);
    return () => clearInterval(timer);
  }, []);
  const elapsed = now - run.startedAt;
  if (elapsed < SHOWN_AFTER_MS) return null;
  const { progress } = run;
  const total = progress?.rows_total ?? null;
  const scanned = progress?.rows_scanned ?? 0;
  const part = total && total > 0 ? scanned / total : null;
  const left = part !== null && part > 0.05 && part < 1 ? (elapsed / part) * (1 - part) : null;
  return (
    <div className={classes.progress}>
      <ProgressBar part={part} label="The statement is running" />
      <p className="num second small">
        <span className={classes.time}>{duration(elapsed)}</span>
        {progress && (
          <>
            <span>
              {count(scanned)}
              {total ? ` of ${count(total)}` : ''} rows read
            </span>
            {progress.bytes_scanned > 0 && <span>{bytes(progress.bytes_scanned)}</span>}
            {progress.bytes_scanned > 0 && <span>{bytes((progress.bytes_scanned / Math.max(1, elapsed)) * 1000)}/s</span>}
            {left !== null && left > 1000 && <span>about {duration(left)} left</span>}
          </>
        )}
        {run.result && run.result.rows > 0 && <span>{plural(run.result.rows, 'row')} arrived</span>}
      </p>
    </div>
  );
}

import { useEffect, useRef } from 'react';

import { CopyButton } from '../../components/CopyButton';
import { Failure } from '../../components/Failure';
import { exactTime } from '../../lib/format';
import { logLines } from '../../lib/runLog';
import type { RunLog } from './useLog';
import classes from './Log.module.css';

/** Nearer to its end than this, a reader is thought to be there. */
const END_PIXELS = 60;

const clock = (time: string): string => new Date(time).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 });

/** A run's log. It stays at its end for who is there, and leaves alone who has scrolled up to read. */
export function Log({ log, open }: { log: RunLog; open: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [log.text]);
  const onScroll = (): void => {
    const element = box.current;
    if (element) atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < END_PIXELS;
  };
  return (
    <section aria-label="Log">
      <div className={classes.head}>
        <h2>Log</h2>
        {open && (
          <span className={classes.live}>
            <span className={classes.dot} aria-hidden="true" />
            live
          </span>
        )}
        {log.text !== '' && <CopyButton text={log.text} label="Copy the log" />}
      </div>
      {log.error !== null && <Failure error={log.error} what="The log could not be read" />}
      <div ref={box} className={classes.log} tabIndex={0} role="log" aria-live="polite" aria-label="Lines" onScroll={onScroll}>
        {log.text === '' && <p className="quiet">{open ? 'Nothing is logged yet.' : 'Nothing was logged.'}</p>}
        {logLines(log.text).map((line, number) => (
          <p key={number} data-bad={line.bad || undefined}>
            {line.time && (
              <time dateTime={line.time} title={exactTime(line.time)}>
                {clock(line.time)}
              </time>
            )}
            <span>{line.text}</span>
          </p>
        ))}
      </div>
    </section>
  );
}

import { Link } from 'wouter';

import { IconAlertTriangle, IconX } from '../components/icons';
import { ProgressBar } from '../components/ProgressBar';
import { bytes } from '../lib/format';
import { links } from '../lib/link';
import { useStore } from '../lib/store';
import { dismiss, queue, type QueueItem } from '../services/queue';
import classes from './Uploads.module.css';

/** Files on their way, in a corner, whichever page is open. */
export function Uploads() {
  const items = useStore(queue).filter((item) => item.state !== 'done');
  if (items.length === 0) return null;
  return (
    <section className={classes.panel} aria-label="Uploads">
      {items.map((item) => (
        <Item key={item.id} item={item} />
      ))}
    </section>
  );
}

function Item({ item }: { item: QueueItem }) {
  const failed = item.state === 'failed';
  return (
    <div className={classes.item} role={failed ? 'alert' : undefined}>
      <div className={classes.top}>
        <span className="ellipsis strong">{item.name}</span>
        <button type="button" className={classes.close} onClick={() => (failed ? dismiss(item.id) : item.cancel())} aria-label={failed ? `Dismiss ${item.name}` : `Cancel the upload of ${item.name}`}>
          <IconX size={14} />
        </button>
      </div>
      {failed ? (
        <p className={classes.bad}>
          <IconAlertTriangle size={14} aria-hidden="true" /> Failed: {item.error?.message}
          {item.error?.hint ? `; ${item.error.hint}` : ''}
        </p>
      ) : (
        <>
          <ProgressBar part={item.total > 0 ? item.sent / item.total : null} label={`Upload of ${item.name}`} />
          <span className="quiet small num">
            {bytes(item.sent)} of {bytes(item.total)}
          </span>
        </>
      )}
    </div>
  );
}

/** Links to the other files that have arrived and wait to be loaded. */
export function Waiting({ except }: { except: string }) {
  const items = useStore(queue).filter((item) => item.state === 'done' && item.uploadId !== except);
  if (items.length === 0) return null;
  return (
    <p className="second">
      Also waiting:{' '}
      {items.map((item, index) => (
        <span key={item.id}>
          {index > 0 && ', '}
          <Link href={links.load(item.uploadId ?? '')}>{item.name}</Link>
        </span>
      ))}
    </p>
  );
}

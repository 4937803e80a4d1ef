import { Button } from '@mantine/core';
import { useState } from 'react';
import { Link, useLocation, useParams } from 'wouter';

import { Failure } from '../../components/Failure';
import { Page } from '../../components/Page';
import { Skeleton, SkeletonRows } from '../../components/Skeleton';
import { SqlText } from '../../components/SqlText';
import { TimeAgo } from '../../components/TimeAgo';
import { IconPlayerPause, IconPlayerPlay, IconRefresh, IconTrash } from '../../components/icons';
import { bytes, compact, count, duration, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { quoteName, quoteText } from '../../lib/sql';
import { api } from '../../services/api';
import { ApiError } from '../../services/client';
import { PACES, REJECTED_MAX, useDelivery, useRejected, useStreamsRefresh, WAITING } from '../../services/streams';
import { openSql } from '../../services/tabs';
import type { Delivery as DeliveryOf, Redriven } from '../../services/types';
import { DeliveryMark } from './DeliveryMark';
import { Forget } from './Forget';
import { Lag } from './Lag';
import { WatchChart } from './WatchChart';
import { isTroubled, perSecond, placeOf } from './words';
import classes from './Streams.module.css';

/** One delivery: how it goes, what it could not deliver, and what it does. */
export default function Delivery() {
  const { delivery: name = '' } = useParams<{ delivery: string }>();
  const found = useDelivery(name);
  const refresh = useStreamsRefresh();
  const [, navigate] = useLocation();
  const [isLeaving, setLeaving] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [redriven, setRedriven] = useState<Redriven | null>(null);
  const delivery = found.data;
  const act = <T,>(work: Promise<T>, then?: (done: T) => void): void => {
    setBusy(true);
    setError(null);
    setRedriven(null);
    work
      .then((done) => then?.(done))
      .catch(setError)
      .finally(() => {
        setBusy(false);
        refresh();
      });
  };
  return (
    <Page
      title={name}
      above={[
        { name: 'Streams', href: links.streams() },
        { name: 'Deliveries', href: links.streams('deliveries') },
      ]}
      description={delivery ? <About delivery={delivery} /> : found.isPending && <Skeleton width={320} height={14} />}
      actions={
        delivery && (
          <>
            <Button variant="default" leftSection={<IconTrash size={16} stroke={1.6} />} onClick={() => setLeaving(true)}>
              Delete
            </Button>
            {delivery.state === 'paused' ? (
              <Button disabled={busy} leftSection={<IconPlayerPlay size={16} />} onClick={() => act(api.resumeDelivery(name))}>
                Resume
              </Button>
            ) : (
              <Button variant="default" disabled={busy} leftSection={<IconPlayerPause size={16} />} onClick={() => act(api.pauseDelivery(name))}>
                Pause
              </Button>
            )}
          </>
        )
      }
    >
      {isLeaving && <Forget noun="delivery" name={name} loss="Nothing more is delivered, and how far it has come is forgotten. What it has delivered, and what it has rejected, stay." remove={() => api.deleteDelivery(name)} onClose={() => setLeaving(false)} onGone={() => navigate(links.streams('deliveries'))} />}
      {error !== null && <Failure error={error} />}
      {found.error && <Failure error={found.error} what="This delivery cannot be shown" onRetry={() => void found.refetch()} />}
      {found.isPending && <SkeletonRows rows={8} />}
      {delivery && !found.error && (
        <div className={classes.stack}>
          <Figures delivery={delivery} />
          <LastError delivery={delivery} />
          <div className={classes.charts}>
            <WatchChart name="records a second" samples={PACES.of(name)} sql={asks('records_per_second', name)} />
            <WatchChart name="records behind" samples={WAITING.of(name)} sql={asks('lag_records', name)} />
          </div>
          <Rejections delivery={delivery} redriven={redriven} busy={busy} onRedrive={() => act(api.redriveDelivery(name), setRedriven)} />
          <Work delivery={delivery} />
        </div>
      )}
    </Page>
  );
}

/** How a number of a delivery is asked for. */
const asks = (column: string, name: string): string => `SELECT ${column}\nFROM polder.deliveries\nWHERE delivery_name = ${quoteText(name)}`;

function About({ delivery }: { delivery: DeliveryOf }) {
  return (
    <div className={classes.linked}>
      <p>
        From <Link href={links.topic(delivery.topic)}>{delivery.topic}</Link> into {placeOf(delivery)}{' '}
        {delivery.table ? <Link href={links.table(delivery.table.schema, delivery.table.name)}>{delivery.place}</Link> : <span className={classes.address}>{delivery.place}</span>}
      </p>
      <p>
        <DeliveryMark state={delivery.state} /> · owner {delivery.owner} · <Link href={links.job(delivery.name)}>runs and their logs</Link>
      </p>
    </div>
  );
}

function Figures({ delivery }: { delivery: DeliveryOf }) {
  return (
    <dl className={classes.figures} aria-label="How it goes">
      <Figure name="Delivers" value={perSecond(delivery.records_per_second)} note="over the last minute" />
      <Figure name="Behind by" value={<Lag lag={delivery.lag_records} />} note={waits(delivery)} />
      <Figure name="Delivered" value={compact(delivery.records)} note={`${bytes(delivery.bytes)} since the start`} />
      <Figure name="Rejected" value={<span className={delivery.rejected > 0 ? classes.care : undefined}>{count(delivery.rejected)}</span>} note="since the start" />
      <Figure name="Last lot" value={<TimeAgo time={delivery.last_delivery_at} />} note={delivery.buffered_bytes > 0 ? `${bytes(delivery.buffered_bytes)} gathered` : 'nothing gathered'} />
      {(delivery.held_bytes ?? 0) > 0 && <Figure name="Held in the log" value={<span className={classes.care}>{bytes(delivery.held_bytes ?? 0)}</span>} note="until it has arrived" />}
      {delivery.lost > 0 && <Figure name="Lost" value={<span className={classes.bad}>{count(delivery.lost)}</span>} note="deleted from the topic before" />}
    </dl>
  );
}

/** How long the oldest record has waited that has not arrived. */
function waits(delivery: DeliveryOf): string {
  if (delivery.lag_records === null) return 'not known yet';
  if (delivery.lag_records === 0) return 'all has arrived';
  return delivery.lag_ms === null ? 'records' : `oldest waits ${duration(delivery.lag_ms)}`;
}

function Figure({ name, value, note }: { name: string; value: React.ReactNode; note: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="num">
        <span className={classes.figure}>{value}</span>
        <span className="second small">{note}</span>
      </dd>
    </div>
  );
}

/** What went wrong last: as an alarm as long as nothing has arrived since. */
function LastError({ delivery }: { delivery: DeliveryOf }) {
  if (!delivery.last_error) return null;
  if (isTroubled(delivery)) {
    return (
      <section aria-label="Last error">
        <Failure error={ApiError.fromRecord(delivery.last_error, '')} what="The last lot was not delivered" />
        <p className={`second small num ${classes.after}`}>
          <TimeAgo time={delivery.last_error_at} />
          {delivery.next_attempt_at && `; it tries again by itself, with waits up to a minute`}
        </p>
      </section>
    );
  }
  return (
    <p className="second" aria-label="Last error">
      Last error <TimeAgo time={delivery.last_error_at} />, delivered since: {delivery.last_error.message}
    </p>
  );
}

interface RejectionsProps {
  delivery: DeliveryOf;
  /** What came of trying once more. */
  redriven: Redriven | null;
  busy: boolean;
  onRedrive: () => void;
}

/** What could not be delivered, and why; once the reason is gone, it is delivered again. */
function Rejections({ delivery, redriven, busy, onRedrive }: RejectionsProps) {
  const found = useRejected(delivery);
  const into = delivery.rejected_into;
  const some = found.data && found.data.count > 0;
  return (
    <section>
      <div className={classes.bar}>
        <h2>Rejected records</h2>
        {some && (
          <Button size="compact-sm" disabled={busy} leftSection={<IconRefresh size={14} />} onClick={onRedrive}>
            Deliver again
          </Button>
        )}
      </div>
      {redriven && (
        <p className={classes.before} role="status">
          {redriven.read === 0 ? 'There was nothing to deliver again.' : `${plural(redriven.read, 'record')} taken up: ${count(redriven.delivered)} delivered, ${count(redriven.rejected)} rejected again.`}
        </p>
      )}
      {found.error && <Failure error={found.error} what="The rejected records could not be read" onRetry={() => void found.refetch()} />}
      {found.isPending && <SkeletonRows rows={3} />}
      {found.data && !some && <p className="second">None. What makes no row is kept here with the reason, and can be delivered again.</p>}
      {some && (
        <>
          <table className={classes.table} aria-label="Rejected records">
            <thead>
              <tr>
                <th scope="col" className={classes.numeric}>
                  Offset
                </th>
                <th scope="col" className={`${classes.numeric} ${classes.wide}`}>
                  Partition
                </th>
                <th scope="col">Reason</th>
                <th scope="col" className={`${classes.when} ${classes.wide}`}>
                  Rejected
                </th>
              </tr>
            </thead>
            <tbody>
              {found.data.rows.map((row) => (
                <tr key={`${row.topic} ${row.partition} ${row.offset}`}>
                  <td className={`num ${classes.numeric}`}>
                    <Link href={links.message(row.topic, row.partition, row.offset)}>{row.offset}</Link>
                  </td>
                  <td className={`num ${classes.numeric} ${classes.wide}`}>{row.partition}</td>
                  <td className={classes.reason}>{row.reason}</td>
                  <td className={`${classes.when} ${classes.wide}`}>
                    <TimeAgo time={row.at} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          <p className={`second small num ${classes.after} ${classes.linked}`}>
            {found.data.count > REJECTED_MAX ? `The newest ${REJECTED_MAX} of ${plural(found.data.count, 'record')}` : plural(found.data.count, 'record')}, kept in{' '}
            <Link href={links.table(into.schema, into.name, 'sample')}>
              {into.schema}.{into.name}
            </Link>
          </p>
        </>
      )}
    </section>
  );
}

/** What it does, with a way to change it. */
function Work({ delivery }: { delivery: DeliveryOf }) {
  const [, navigate] = useLocation();
  const change = `ALTER DELIVERY ${quoteName(delivery.name)} SET ${delivery.transform ? `TRANSFORM AS\n${delivery.transform}` : `BUFFER ${Math.max(1, Math.round(delivery.buffer_bytes / 1_048_576))} MB OR ${delivery.buffer_seconds} SECONDS`}`;
  return (
    <section>
      <div className={classes.bar}>
        <h2>What it does</h2>
        <Button size="compact-sm" variant="subtle" onClick={() => navigate(openSql(change))}>
          Change
        </Button>
      </div>
      <p className={`second num ${classes.before}`}>
        A lot is delivered at {bytes(delivery.buffer_bytes)}, or after {plural(delivery.buffer_seconds, 'second')} · made <TimeAgo time={delivery.created_at} />
      </p>
      {delivery.transform ? <SqlText text={delivery.transform} /> : <p className="second">{delivery.kind === 'table' ? 'Without a transform: the fields of each JSON object are the columns, by name.' : 'Without a transform: records go on as they are.'}</p>}
    </section>
  );
}

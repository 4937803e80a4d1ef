import { Button } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';

import { Empty } from '../../components/Empty';
import { Failure } from '../../components/Failure';
import { SkeletonRows } from '../../components/Skeleton';
import { TimeAgo } from '../../components/TimeAgo';
import { compact, count, number, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { quoteName } from '../../lib/sql';
import { OWN_MARK } from '../../services/own';
import { runStatement } from '../../services/statements';
import type { Delivery } from '../../services/streams';
import { Lag } from './Lag';
import classes from './Streams.module.css';

interface Props {
  query: UseQueryResult<Delivery[]>;
  onNew: () => void;
}

/** What is brought on from topics, and how it goes. */
export function Deliveries({ query, onNew }: Props) {
  if (query.error) return <Failure error={query.error} what="The deliveries could not be read" onRetry={() => void query.refetch()} />;
  if (!query.data) return <SkeletonRows rows={4} />;
  if (query.data.length === 0) {
    return <Empty text="A delivery brings what comes into a topic on, in small lots: into a table, each record once, or into a bucket, a search index or another database." action={<Button onClick={onNew}>New delivery</Button>} />;
  }
  return (
    <ul className={classes.deliveries}>
      {query.data.map((delivery) => (
        <One key={delivery.name} delivery={delivery} onDone={() => void query.refetch()} />
      ))}
    </ul>
  );
}

const PLACES: Record<string, string> = { table: 'table', objects: 'bucket', http: 'endpoint', opensearch: 'index', splunk: 'Splunk', postgres: 'PostgreSQL' };

function One({ delivery, onDone }: { delivery: Delivery; onDone: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const alter = (what: string): void => {
    setBusy(true);
    setError(null);
    runStatement({ sql: `${OWN_MARK}ALTER DELIVERY ${quoteName(delivery.name)} ${what}` })
      .catch(setError)
      .finally(() => {
        setBusy(false);
        onDone();
      });
  };
  const paused = delivery.state === 'paused';
  const [schema, table] = delivery.target.split('.');
  return (
    <li className={classes.delivery} data-state={delivery.state}>
      <div className={classes.deliveryHead}>
        <h2 className="ellipsis">{delivery.name}</h2>
        <span className={classes.state}>{delivery.state}</span>
        <span className={classes.gap} />
        {delivery.rejected > 0 && (
          <Button variant="default" size="compact-sm" disabled={busy} onClick={() => alter('REDRIVE')}>
            Try rejected again
          </Button>
        )}
        <Button variant="default" size="compact-sm" disabled={busy} onClick={() => alter(paused ? 'RESUME' : 'PAUSE')}>
          {paused ? 'Resume' : 'Pause'}
        </Button>
      </div>
      <p className="second">
        <Link href={links.topic(delivery.topic)}>{delivery.topic}</Link> into {PLACES[delivery.targetKind] ?? delivery.targetKind}{' '}
        {delivery.targetKind === 'table' && schema && table ? <Link href={links.table(schema, table)}>{delivery.target}</Link> : delivery.target}
        {' · '}
        <Link href={links.job(delivery.name)}>runs</Link>
      </p>
      <dl className={classes.figures}>
        <Figure name="Delivered" value={compact(delivery.records)} />
        <Figure name="A second" value={number(delivery.rate, 1)} />
        <Figure name="Behind by" value={<Lag lag={delivery.lag} />} />
        <Figure name="Oldest waits" value={delivery.lagSeconds === null ? '–' : `${number(delivery.lagSeconds, 1)} s`} />
        <Figure name="Rejected" value={count(delivery.rejected)} />
        <Figure name="Last lot" value={<TimeAgo time={delivery.lastAt} />} />
      </dl>
      {delivery.rejected > 0 && <p className="quiet small">{plural(delivery.rejected, 'record')} rejected since the server started; each is in {delivery.errorsInto} with its reason.</p>}
      {delivery.lastError && <p className={classes.trouble}>{delivery.lastError}</p>}
      {error !== null && <Failure error={error} />}
    </li>
  );
}

function Figure({ name, value }: { name: string; value: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className="num">{value}</dd>
    </div>
  );
}

import { Button } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';

import { Empty } from '../../components/Empty';
import { Failure } from '../../components/Failure';
import { type ListColumn, ListTable } from '../../components/ListTable';
import { SkeletonRows } from '../../components/Skeleton';
import { TimeAgo } from '../../components/TimeAgo';
import { count } from '../../lib/format';
import { links } from '../../lib/link';
import type { Delivery } from '../../services/types';
import { DeliveryMark } from './DeliveryMark';
import { Lag } from './Lag';
import { isTroubled, perSecond, placeOf } from './words';
import classes from './Streams.module.css';

const COLUMNS: ListColumn<Delivery>[] = [
  {
    key: 'name',
    name: 'Delivery',
    sort: (delivery) => delivery.name,
    render: (delivery) => (
      <span className="ellipsis" title={delivery.name}>
        {delivery.name}
      </span>
    ),
  },
  { key: 'state', name: 'State', width: 104, sort: (delivery) => delivery.state, render: (delivery) => <DeliveryMark state={delivery.state} /> },
  { key: 'topic', name: 'From', width: '13%', wideOnly: true, sort: (delivery) => delivery.topic, render: (delivery) => <span title={delivery.topic}>{delivery.topic}</span> },
  {
    key: 'place',
    name: 'Into',
    width: '17%',
    wideOnly: true,
    sort: (delivery) => delivery.place,
    render: (delivery) => (
      <span title={delivery.place}>
        {placeOf(delivery)} {delivery.place}
      </span>
    ),
  },
  { key: 'rate', name: 'Delivers', width: 92, numeric: true, wideOnly: true, sort: (delivery) => delivery.records_per_second, render: (delivery) => perSecond(delivery.records_per_second) },
  { key: 'lag', name: 'Behind by', width: 104, numeric: true, sort: (delivery) => delivery.lag_records, render: (delivery) => <Lag lag={delivery.lag_records} /> },
  { key: 'rejected', name: 'Rejected', width: 92, numeric: true, wideOnly: true, sort: (delivery) => delivery.rejected, render: (delivery) => <span className={delivery.rejected > 0 ? classes.care : undefined}>{count(delivery.rejected)}</span> },
  { key: 'last', name: 'Last lot', width: 108, wideOnly: true, sort: (delivery) => delivery.last_delivery_at, render: (delivery) => <TimeAgo time={delivery.last_delivery_at} /> },
  {
    key: 'error',
    name: 'Last error',
    width: '18%',
    wideOnly: true,
    sort: (delivery) => delivery.last_error_at,
    render: (delivery) =>
      delivery.last_error ? (
        <span className={isTroubled(delivery) ? classes.bad : undefined} title={delivery.last_error.message}>
          {delivery.last_error.message}
        </span>
      ) : (
        <span className="quiet">–</span>
      ),
  },
];

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
    <ListTable label="Deliveries" noun="deliveries" rows={query.data} columns={COLUMNS} rowKey={(delivery) => delivery.name} href={(delivery) => links.delivery(delivery.name)} text={(delivery) => `${delivery.name} ${delivery.topic} ${delivery.place}`} defaultSort="name" />
  );
}

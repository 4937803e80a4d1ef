import { useMemo } from 'react';
import { useLocation, useParams } from 'wouter';
import { Button } from '@mantine/core';

import { Empty } from '../../components/Empty';
import { Failure } from '../../components/Failure';
import { LinkTabs } from '../../components/LinkTabs';
import { Page } from '../../components/Page';
import { Skeleton, SkeletonRows } from '../../components/Skeleton';
import { TimeAgo } from '../../components/TimeAgo';
import { IconTerminal2 } from '../../components/icons';
import { count, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { useParam } from '../../lib/params';
import { quoteName } from '../../lib/sql';
import { openSql } from '../../services/tabs';
import { type Partition, type Reading, usePartitions, useReadings, useTopics } from '../../services/streams';
import { Lag } from './Lag';
import { Messages } from './Messages';
import { kept } from './words';
import classes from './Streams.module.css';

/** One topic: its messages, its partitions, and who reads it. */
export default function Topic() {
  const { topic: name = '' } = useParams<{ topic: string }>();
  const topics = useTopics();
  const partitions = usePartitions(name);
  const readings = useReadings();
  const [tab, setTab] = useParam('tab', 'messages');
  const [, navigate] = useLocation();
  const topic = topics.data?.find((one) => one.name === name);
  const readers = useMemo(() => readings.data?.filter((reading) => reading.topic === name) ?? [], [readings.data, name]);
  const groups = new Set(readers.map((reading) => reading.group)).size;
  return (
    <Page
      title={name}
      above={[{ name: 'Streams', href: links.streams() }]}
      description={
        topic ? (
          <>
            {plural(topic.records, 'record')} in {plural(topic.partitions, 'partition')}, kept {kept(topic)} · newest <TimeAgo time={topic.newestAt} />
          </>
        ) : (
          topics.isPending && <Skeleton width={320} height={14} />
        )
      }
      actions={
        <Button variant="default" leftSection={<IconTerminal2 size={16} />} onClick={() => navigate(openSql(`SELECT partition, "offset", timestamp, key, value\nFROM topics.${quoteName(name)}\nORDER BY timestamp DESC\nLIMIT 100`, { run: true }))}>
          Query
        </Button>
      }
    >
      {partitions.error && <Failure error={partitions.error} what="This topic cannot be shown" onRetry={() => void partitions.refetch()} />}
      {topics.data && !topic && !partitions.isPending && <Empty text={`There is no topic ${name}, or you may not read it.`} />}
      {partitions.isPending && <SkeletonRows rows={8} />}
      {partitions.data && topic && (
        <LinkTabs
          label="Messages, partitions and readers"
          value={tab}
          onChange={setTab}
          tabs={[
            { id: 'messages', name: 'Messages' },
            { id: 'partitions', name: 'Partitions', count: partitions.data.length },
            { id: 'readers', name: 'Readers', count: readings.data ? groups : undefined },
          ]}
        >
          {tab === 'messages' && <Messages topic={name} partitions={partitions.data} />}
          {tab === 'partitions' && <Partitions partitions={partitions.data} />}
          {tab === 'readers' && readings.error && <Failure error={readings.error} what="The readers could not be read" onRetry={() => void readings.refetch()} />}
          {tab === 'readers' && !readings.error && (readers.length > 0 ? <Readers readers={readers} /> : <Empty text="A group of readers stands here once it has committed how far it is." />)}
        </LinkTabs>
      )}
    </Page>
  );
}

function Partitions({ partitions }: { partitions: Partition[] }) {
  const most = Math.max(1, ...partitions.map((one) => one.end - one.start));
  return (
    <table className={classes.table} aria-label="Partitions">
      <thead>
        <tr>
          <th scope="col" className={classes.narrow}>
            Partition
          </th>
          <th scope="col">Records</th>
          <th scope="col" className={classes.numeric}>
            First
          </th>
          <th scope="col" className={classes.numeric}>
            Next
          </th>
          <th scope="col" className={classes.when}>
            Newest
          </th>
        </tr>
      </thead>
      <tbody>
        {partitions.map((one) => (
          <tr key={one.partition}>
            <td className="num">{one.partition}</td>
            <td>
              <div className={classes.share}>
                <span className={classes.bar} style={{ width: `${((one.end - one.start) / most) * 60}%` }} aria-hidden="true" />
                <span className="num">{count(one.end - one.start)}</span>
              </div>
            </td>
            <td className={`num ${classes.numeric}`}>{count(one.start)}</td>
            <td className={`num ${classes.numeric}`}>{count(one.end)}</td>
            <td className={classes.when}>
              <TimeAgo time={one.newestAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Readers({ readers }: { readers: Reading[] }) {
  return (
    <table className={classes.table} aria-label="Readers">
      <thead>
        <tr>
          <th scope="col">Group</th>
          <th scope="col" className={classes.numeric}>
            Partition
          </th>
          <th scope="col" className={classes.numeric}>
            Has read to
          </th>
          <th scope="col" className={classes.numeric}>
            Of
          </th>
          <th scope="col" className={classes.numeric}>
            Behind by
          </th>
        </tr>
      </thead>
      <tbody>
        {readers.map((one) => (
          <tr key={`${one.group} ${one.partition}`}>
            <td className="ellipsis">{one.group}</td>
            <td className={`num ${classes.numeric}`}>{one.partition}</td>
            <td className={`num ${classes.numeric}`}>{count(one.committed)}</td>
            <td className={`num ${classes.numeric}`}>{one.end === null ? '–' : count(one.end)}</td>
            <td className={`num ${classes.numeric}`}>
              <Lag lag={one.lag} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

import { Button } from '@mantine/core';
import { useState } from 'react';
import { Link, useLocation, useParams } from 'wouter';

import { Empty } from '../../components/Empty';
import { Failure } from '../../components/Failure';
import { LinkTabs } from '../../components/LinkTabs';
import { Page } from '../../components/Page';
import { Skeleton, SkeletonRows } from '../../components/Skeleton';
import { TimeAgo } from '../../components/TimeAgo';
import { IconTerminal2, IconTrash } from '../../components/icons';
import { bytes, count, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { useParam } from '../../lib/params';
import { quoteName } from '../../lib/sql';
import { api } from '../../services/api';
import { openSql } from '../../services/tabs';
import { useTopic, useTopics, WRITTEN } from '../../services/streams';
import type { Partition, TopicReader } from '../../services/types';
import { Forget } from './Forget';
import { Lag } from './Lag';
import { Messages } from './Messages';
import { Produce } from './Produce';
import { Settings } from './Settings';
import { kept, perSecond, STATES } from './words';
import classes from './Streams.module.css';

/** One topic: its messages, its partitions, who reads it, and how it is set up. */
export default function Topic() {
  const { topic: name = '' } = useParams<{ topic: string }>();
  const found = useTopic(name);
  const kafka = useTopics().data?.kafka ?? null;
  const [tab, setTab] = useParam('tab', 'messages');
  const [, navigate] = useLocation();
  const [isLeaving, setLeaving] = useState(false);
  const detail = found.data;
  const rate = WRITTEN.rate(name);
  return (
    <Page
      title={name}
      above={[{ name: 'Streams', href: links.streams() }]}
      description={
        detail ? (
          <span className="num">
            {plural(detail.topic.records, 'record')}
            {detail.topic.bytes !== null && `, ${bytes(detail.topic.bytes)},`} in {plural(detail.topic.partitions, 'partition')} · kept {kept(detail.topic)} · newest <TimeAgo time={detail.topic.newest_at} />
            {rate !== null && ` · ${perSecond(rate)} coming in`}
          </span>
        ) : (
          found.isPending && <Skeleton width={420} height={14} />
        )
      }
      actions={
        detail && (
          <>
            <Button variant="default" leftSection={<IconTrash size={16} stroke={1.6} />} onClick={() => setLeaving(true)}>
              Delete
            </Button>
            <Button leftSection={<IconTerminal2 size={16} />} onClick={() => navigate(openSql(`SELECT partition, "offset", timestamp, key, value\nFROM topics.${quoteName(name)}\nORDER BY timestamp DESC\nLIMIT 100`, { run: true }))}>
              Query
            </Button>
          </>
        )
      }
    >
      {isLeaving && <Forget noun="topic" name={name} loss={`${plural(detail?.topic.records ?? 0, 'record')} and how far its readers have come are deleted.`} remove={() => api.deleteTopic(name)} onClose={() => setLeaving(false)} onGone={() => navigate(links.streams())} />}
      {found.error && <Failure error={found.error} what="This topic cannot be shown" onRetry={() => void found.refetch()} />}
      {found.isPending && <SkeletonRows rows={8} />}
      {detail && !found.error && (
        <LinkTabs
          label="Parts of the topic"
          value={tab}
          onChange={setTab}
          tabs={[
            { id: 'messages', name: 'Messages' },
            { id: 'partitions', name: 'Partitions', count: detail.partitions.length },
            { id: 'readers', name: 'Readers', count: detail.groups.length },
            { id: 'settings', name: 'Settings' },
          ]}
        >
          {tab === 'messages' && (
            <Messages
              topic={name}
              partitions={detail.partitions}
              empty={
                <Produce kafka={kafka} topic={name}>
                  <p className={classes.lead}>Nothing is in this topic {detail.topic.written > 0 ? 'any more' : 'yet'}.</p>
                </Produce>
              }
            />
          )}
          {tab === 'partitions' && <Partitions partitions={detail.partitions} />}
          {tab === 'readers' && (detail.groups.length > 0 ? <Readers readers={detail.groups} /> : <Empty text="A group of readers stands here once it has committed how far it is." />)}
          {tab === 'settings' && <Settings detail={detail} />}
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
          <th scope="col" className={`${classes.numeric} ${classes.wide}`}>
            First offset
          </th>
          <th scope="col" className={`${classes.numeric} ${classes.wide}`}>
            Next offset
          </th>
          <th scope="col" className={classes.numeric}>
            Size
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
                <span className={classes.portion} style={{ width: `${((one.end - one.start) / most) * 60}%` }} aria-hidden="true" />
                <span className="num">{count(one.end - one.start)}</span>
                {one.stable < one.end && <span className="quiet small">{count(one.end - one.stable)} in an open transaction</span>}
              </div>
            </td>
            <td className={`num ${classes.numeric} ${classes.wide}`}>{count(one.start)}</td>
            <td className={`num ${classes.numeric} ${classes.wide}`}>{count(one.end)}</td>
            <td className={`num ${classes.numeric}`}>{one.bytes === null ? '–' : bytes(one.bytes)}</td>
            <td className={classes.when}>
              <TimeAgo time={one.newest_at} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Each group with its partitions below it. */
function Readers({ readers }: { readers: TopicReader[] }) {
  return (
    <table className={classes.table} aria-label="Readers">
      <thead>
        <tr>
          <th scope="col">Group</th>
          <th scope="col" className={classes.numeric}>
            Partition
          </th>
          <th scope="col" className={`${classes.numeric} ${classes.wide}`}>
            Has read to
          </th>
          <th scope="col" className={`${classes.numeric} ${classes.wide}`}>
            Of
          </th>
          <th scope="col" className={classes.numeric}>
            Behind by
          </th>
        </tr>
      </thead>
      {readers.map((reader) => (
        <tbody key={reader.group}>
          {reader.offsets.map((one, index) => (
            <tr key={one.partition}>
              <td className="ellipsis">
                {index === 0 && (
                  <>
                    <Link href={links.group(reader.group)}>{reader.group}</Link> <span className="quiet">{STATES[reader.state]}</span>
                  </>
                )}
              </td>
              <td className={`num ${classes.numeric}`}>{one.partition}</td>
              <td className={`num ${classes.numeric} ${classes.wide}`}>{count(one.offset)}</td>
              <td className={`num ${classes.numeric} ${classes.wide}`}>{one.end === null ? '–' : count(one.end)}</td>
              <td className={`num ${classes.numeric}`}>
                <Lag lag={one.lag} />
              </td>
            </tr>
          ))}
        </tbody>
      ))}
    </table>
  );
}

import { Button } from '@mantine/core';
import { useState } from 'react';
import { useLocation } from 'wouter';

import { Empty } from '../../components/Empty';
import { Failure } from '../../components/Failure';
import { type ListColumn, ListTable } from '../../components/ListTable';
import { LinkTabs } from '../../components/LinkTabs';
import { Page } from '../../components/Page';
import { SkeletonRows } from '../../components/Skeleton';
import { TimeAgo } from '../../components/TimeAgo';
import { IconBroadcast, IconPlus } from '../../components/icons';
import { bytes, count, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { useParam } from '../../lib/params';
import { useDeliveries, useGroups, useTopics, WRITTEN } from '../../services/streams';
import { openSql } from '../../services/tabs';
import type { Group, Topic } from '../../services/types';
import { Deliveries } from './Deliveries';
import { Lag } from './Lag';
import { NewTopic } from './NewTopic';
import { Produce } from './Produce';
import { kept, perSecond, STATES, TEMPLATE } from './words';

const TOPICS: ListColumn<Topic>[] = [
  {
    key: 'name',
    name: 'Name',
    sort: (topic) => topic.name,
    render: (topic) => (
      <>
        <IconBroadcast size={16} stroke={1.6} aria-hidden="true" />
        <span className="ellipsis" title={topic.name}>
          {topic.name}
        </span>
      </>
    ),
  },
  { key: 'schema', name: 'Schema', width: 96, wideOnly: true, sort: (topic) => topic.schema?.kind ?? null, render: (topic) => (topic.schema ? `${topic.schema.kind.toLowerCase()} v${topic.schema.version}` : <span className="quiet">–</span>) },
  { key: 'partitions', name: 'Partitions', width: 104, numeric: true, wideOnly: true, sort: (topic) => topic.partitions, render: (topic) => count(topic.partitions) },
  { key: 'records', name: 'Records', width: 120, numeric: true, sort: (topic) => topic.records, render: (topic) => count(topic.records) },
  { key: 'rate', name: 'Coming in', width: 104, numeric: true, sort: (topic) => WRITTEN.rate(topic.name), render: (topic) => perSecond(WRITTEN.rate(topic.name)) },
  { key: 'bytes', name: 'Size', width: 96, numeric: true, wideOnly: true, sort: (topic) => topic.bytes, render: (topic) => (topic.bytes === null ? <span className="quiet">–</span> : bytes(topic.bytes)) },
  { key: 'kept', name: 'Kept', width: 176, wideOnly: true, render: kept },
  { key: 'newest', name: 'Newest', width: 120, wideOnly: true, sort: (topic) => topic.newest_at, render: (topic) => <TimeAgo time={topic.newest_at} /> },
];

const GROUPS: ListColumn<Group>[] = [
  { key: 'name', name: 'Group', sort: (group) => group.name, render: (group) => <span className="ellipsis">{group.name}</span> },
  { key: 'topics', name: 'Reads', width: '28%', wideOnly: true, render: (group) => <span className="ellipsis second">{group.topics.join(', ') || '–'}</span> },
  { key: 'state', name: 'State', width: 110, sort: (group) => group.state, render: (group) => STATES[group.state] },
  { key: 'members', name: 'Members', width: 96, numeric: true, wideOnly: true, sort: (group) => group.members, render: (group) => count(group.members) },
  { key: 'lag', name: 'Behind by', width: 140, numeric: true, sort: (group) => group.lag, render: (group) => <Lag lag={group.lag} /> },
];

/** Topics, who reads them, and what is delivered from them. */
export default function Streams() {
  const topics = useTopics();
  const groups = useGroups();
  const deliveries = useDeliveries();
  const [tab, setTab] = useParam('tab', 'topics');
  const [, navigate] = useLocation();
  const [isMaking, setMaking] = useState(false);
  const list = topics.data?.topics;
  const records = list?.reduce((sum, topic) => sum + topic.records, 0) ?? 0;
  const deliver = (): void => navigate(openSql(TEMPLATE(list?.[0]?.name)));
  const make = (): void => setMaking(true);
  return (
    <Page
      title="Streams"
      description={list ? `${plural(list.length, 'topic')} with ${plural(records, 'record')}` : 'Topics, who reads them, and where they are delivered'}
      actions={
        <>
          <Button variant="default" leftSection={<IconPlus size={16} />} onClick={deliver}>
            New delivery
          </Button>
          <Button leftSection={<IconPlus size={16} />} onClick={make}>
            New topic
          </Button>
        </>
      }
    >
      {isMaking && <NewTopic onClose={() => setMaking(false)} onMade={(name) => navigate(links.topic(name))} />}
      {topics.error && <Failure error={topics.error} what="The topics could not be read" onRetry={() => void topics.refetch()} />}
      {topics.isPending && <SkeletonRows rows={8} />}
      {list && topics.data && (
        <LinkTabs
          label="Topics, groups and deliveries"
          value={tab}
          onChange={setTab}
          tabs={[
            { id: 'topics', name: 'Topics', count: list.length },
            { id: 'groups', name: 'Groups', count: groups.data?.length },
            { id: 'deliveries', name: 'Deliveries', count: deliveries.data?.length },
          ]}
        >
          {tab === 'topics' && list.length > 0 && (
            <ListTable label="Topics" noun="topics" rows={list} columns={TOPICS} rowKey={(topic) => topic.name} href={(topic) => links.topic(topic.name)} text={(topic) => topic.name} defaultSort="name" />
          )}
          {tab === 'topics' && list.length === 0 && (
            <>
              <Empty text="Topics appear here when the first one is made: here, or by a producer that writes to a new name." action={<Button onClick={make}>New topic</Button>} />
              <Produce kafka={topics.data.kafka} topic="clicks" />
            </>
          )}
          {tab === 'groups' && groups.error && <Failure error={groups.error} what="The groups could not be read" onRetry={() => void groups.refetch()} />}
          {tab === 'groups' && groups.isPending && <SkeletonRows rows={6} />}
          {tab === 'groups' && groups.data && groups.data.length > 0 && (
            <ListTable label="Groups" noun="groups" rows={groups.data} columns={GROUPS} rowKey={(group) => group.name} href={(group) => links.group(group.name)} text={(group) => `${group.name} ${group.topics.join(' ')}`} defaultSort="name" />
          )}
          {tab === 'groups' && groups.data?.length === 0 && <Empty text="A group appears here when its first reader joins, with how far it is behind." />}
          {tab === 'deliveries' && <Deliveries query={deliveries} onNew={deliver} />}
        </LinkTabs>
      )}
    </Page>
  );
}

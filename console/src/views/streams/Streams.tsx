import { Button } from '@mantine/core';
import { useLocation } from 'wouter';

import { Empty } from '../../components/Empty';
import { Failure } from '../../components/Failure';
import { type ListColumn, ListTable } from '../../components/ListTable';
import { LinkTabs } from '../../components/LinkTabs';
import { Page } from '../../components/Page';
import { SkeletonRows } from '../../components/Skeleton';
import { TimeAgo } from '../../components/TimeAgo';
import { IconBroadcast, IconPlus } from '../../components/icons';
import { count, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { useParam } from '../../lib/params';
import { type Group, type Topic, useDeliveries, useGroups, useTopics } from '../../services/streams';
import { openSql } from '../../services/tabs';
import { Deliveries } from './Deliveries';
import { Lag } from './Lag';
import { kept, TEMPLATE } from './words';
import classes from './Streams.module.css';

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
  { key: 'partitions', name: 'Partitions', width: 104, numeric: true, sort: (topic) => topic.partitions, render: (topic) => count(topic.partitions) },
  { key: 'records', name: 'Records', width: 120, numeric: true, sort: (topic) => topic.records, render: (topic) => count(topic.records) },
  { key: 'kept', name: 'Kept', width: 160, wideOnly: true, render: kept },
  { key: 'newest', name: 'Newest', width: 120, sort: (topic) => topic.newestAt, render: (topic) => <TimeAgo time={topic.newestAt} /> },
];

const GROUPS: ListColumn<Group>[] = [
  { key: 'name', name: 'Group', sort: (group) => group.name, render: (group) => <span className="ellipsis">{group.name}</span> },
  { key: 'topics', name: 'Reads', width: '26%', wideOnly: true, render: (group) => <span className="ellipsis second">{group.topics.join(', ') || '–'}</span> },
  { key: 'state', name: 'State', width: 110, sort: (group) => group.state, render: (group) => group.state },
  { key: 'members', name: 'Members', width: 96, numeric: true, sort: (group) => group.members, render: (group) => count(group.members) },
  { key: 'lag', name: 'Behind by', width: 160, numeric: true, sort: (group) => group.lag, render: (group) => <Lag lag={group.lag} /> },
];

/** Topics, who reads them, and what is delivered from them. */
export default function Streams() {
  const topics = useTopics();
  const groups = useGroups();
  const deliveries = useDeliveries();
  const [tab, setTab] = useParam('tab', 'topics');
  const [, navigate] = useLocation();
  const records = topics.data?.reduce((sum, topic) => sum + topic.records, 0) ?? 0;
  const deliver = (): void => navigate(openSql(TEMPLATE(topics.data?.[0]?.name)));
  return (
    <Page
      title="Streams"
      description={topics.data ? `${plural(topics.data.length, 'topic')} with ${plural(records, 'record')}` : 'Topics, who reads them, and where they are delivered'}
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={deliver}>
          New delivery
        </Button>
      }
    >
      {topics.error && <Failure error={topics.error} what="The topics could not be read" onRetry={() => void topics.refetch()} />}
      {topics.isPending && <SkeletonRows rows={8} />}
      {topics.data && (
        <LinkTabs
          label="Topics, groups and deliveries"
          value={tab}
          onChange={setTab}
          tabs={[
            { id: 'topics', name: 'Topics', count: topics.data.length },
            { id: 'groups', name: 'Groups', count: groups.data?.length },
            { id: 'deliveries', name: 'Deliveries', count: deliveries.data?.length },
          ]}
        >
          {tab === 'topics' && topics.data.length > 0 && (
            <ListTable label="Topics" noun="topics" rows={topics.data} columns={TOPICS} rowKey={(topic) => topic.name} href={(topic) => links.topic(topic.name)} text={(topic) => topic.name} defaultSort="name" />
          )}
          {tab === 'topics' && topics.data.length === 0 && (
            <Empty
              text="Topics appear here when the first one is made. Kafka's own clients speak to this server: a producer that writes to a new name makes it."
              more={<code className={classes.example}>kcat -b 127.0.0.1:7492 -X security.protocol=SASL_PLAINTEXT -X sasl.mechanism=SCRAM-SHA-256 -X sasl.username=… -X sasl.password=… -P -t clicks</code>}
            />
          )}
          {tab === 'groups' && groups.error && <Failure error={groups.error} what="The groups could not be read" onRetry={() => void groups.refetch()} />}
          {tab === 'groups' && groups.isPending && <SkeletonRows rows={6} />}
          {tab === 'groups' && groups.data && groups.data.length > 0 && (
            <ListTable
              label="Groups"
              noun="groups"
              rows={groups.data}
              columns={GROUPS}
              rowKey={(group) => group.name}
              href={(group) => (group.topics[0] ? links.topic(group.topics[0], 'readers') : links.streams('groups'))}
              text={(group) => `${group.name} ${group.topics.join(' ')}`}
              defaultSort="name"
            />
          )}
          {tab === 'groups' && groups.data?.length === 0 && <Empty text="A group appears here when its first reader joins, with how far it is behind." />}
          {tab === 'deliveries' && <Deliveries query={deliveries} onNew={deliver} />}
        </LinkTabs>
      )}
    </Page>
  );
}

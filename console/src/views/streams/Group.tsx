import { Button } from '@mantine/core';
import { useState } from 'react';
import { Link, useLocation, useParams } from 'wouter';

import { Empty } from '../../components/Empty';
import { Failure } from '../../components/Failure';
import { Page } from '../../components/Page';
import { Skeleton, SkeletonRows } from '../../components/Skeleton';
import { IconTrash } from '../../components/icons';
import { count, plural } from '../../lib/format';
import { links } from '../../lib/link';
import { quoteText } from '../../lib/sql';
import { api } from '../../services/api';
import { LAGS, useGroup } from '../../services/streams';
import type { GroupMember, GroupOffset } from '../../services/types';
import { Forget } from './Forget';
import { Lag } from './Lag';
import { WatchChart } from './WatchChart';
import { STATES } from './words';
import classes from './Streams.module.css';

/** One group: how far it is behind, who is in it, and where it stands in each partition. */
export default function Group() {
  const { group: name = '' } = useParams<{ group: string }>();
  const found = useGroup(name);
  const [, navigate] = useLocation();
  const [isLeaving, setLeaving] = useState(false);
  const detail = found.data;
  return (
    <Page
      title={name}
      above={[
        { name: 'Streams', href: links.streams() },
        { name: 'Groups', href: links.streams('groups') },
      ]}
      description={
        detail ? (
          <span className="num">
            {STATES[detail.group.state]} · {plural(detail.members.length, 'member')} · behind by <Lag lag={detail.group.lag} />
          </span>
        ) : (
          found.isPending && <Skeleton width={320} height={14} />
        )
      }
      actions={
        detail?.group.state === 'empty' && (
          <Button variant="default" leftSection={<IconTrash size={16} stroke={1.6} />} onClick={() => setLeaving(true)}>
            Delete
          </Button>
        )
      }
    >
      {isLeaving && <Forget noun="group" name={name} loss="How far it has read is forgotten: readers of that name begin anew." remove={() => api.deleteGroup(name)} onClose={() => setLeaving(false)} onGone={() => navigate(links.streams('groups'))} />}
      {found.error && <Failure error={found.error} what="This group cannot be shown" onRetry={() => void found.refetch()} />}
      {found.isPending && <SkeletonRows rows={8} />}
      {detail && !found.error && (
        <div className={classes.stack}>
          <WatchChart name="records behind" samples={LAGS.of(name)} sql={`SELECT sum(lag) AS records_behind\nFROM polder.consumer_offsets\nWHERE group_name = ${quoteText(name)}`} />
          <section>
            <h2 className={classes.heading}>Members</h2>
            {detail.members.length > 0 ? <Members members={detail.members} /> : <Empty text="Nobody reads in this group now. It keeps its place until somebody does." />}
          </section>
          <section>
            <h2 className={classes.heading}>Partitions</h2>
            {detail.offsets.length > 0 ? <Offsets offsets={detail.offsets} members={detail.members} /> : <Empty text="It has not committed how far it is yet." />}
          </section>
        </div>
      )}
    </Page>
  );
}

function Members({ members }: { members: GroupMember[] }) {
  return (
    <table className={classes.table} aria-label="Members">
      <thead>
        <tr>
          <th scope="col">Client</th>
          <th scope="col">Reads</th>
          <th scope="col" className={classes.wide}>
            From
          </th>
          <th scope="col" className={classes.wide}>
            Id
          </th>
        </tr>
      </thead>
      <tbody>
        {members.map((member) => (
          <tr key={member.id}>
            <td className="ellipsis">{member.instance ?? member.client_id}</td>
            <td className="ellipsis">{member.assigned.map((one) => `${one.topic} ${one.partitions.join(', ')}`).join(' · ') || <span className="quiet">nothing</span>}</td>
            <td className={`second ellipsis ${classes.wide}`}>{member.host}</td>
            <td className={`quiet mono ellipsis ${classes.wide}`} title={member.id}>
              {member.id}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Offsets({ offsets, members }: { offsets: GroupOffset[]; members: GroupMember[] }) {
  const clients = new Map(members.map((member) => [member.id, member.instance ?? member.client_id]));
  return (
    <table className={classes.table} aria-label="Partitions">
      <thead>
        <tr>
          <th scope="col">Topic</th>
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
          <th scope="col" className={classes.wide}>
            Read by
          </th>
        </tr>
      </thead>
      <tbody>
        {offsets.map((one) => (
          <tr key={`${one.topic} ${one.partition}`}>
            <td className="ellipsis">
              <Link href={links.topic(one.topic, 'readers')}>{one.topic}</Link>
            </td>
            <td className={`num ${classes.numeric}`}>{one.partition}</td>
            <td className={`num ${classes.numeric} ${classes.wide}`}>{count(one.offset)}</td>
            <td className={`num ${classes.numeric} ${classes.wide}`}>{one.end === null ? '–' : count(one.end)}</td>
            <td className={`num ${classes.numeric}`}>
              <Lag lag={one.lag} />
            </td>
            <td className={`second ellipsis ${classes.wide}`}>{(one.member !== null && clients.get(one.member)) || '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

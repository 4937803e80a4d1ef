import { Button, SegmentedControl, Select, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useMemo, useRef, useState } from 'react';

import { DetailPanel, WholeText, WithDetail } from '../../components/DetailPanel';
import { Failure } from '../../components/Failure';
import { SkeletonRows } from '../../components/Skeleton';
import { IconPlayerPause, IconPlayerPlay, IconRefresh, IconSearch } from '../../components/icons';
import { count, exactTime, plural } from '../../lib/format';
import { type Browse, type Message, MESSAGES_MAX, pretty, wholeSql } from '../../lib/messages';
import { useParam } from '../../lib/params';
import { type Partition, useMessages } from '../../services/streams';
import { useAnswer } from '../../services/useAnswer';
import { useTail } from './useTail';
import classes from './Messages.module.css';

const FROM = [
  { value: 'newest', label: 'Newest' },
  { value: 'oldest', label: 'Oldest' },
  { value: 'offset', label: 'From offset' },
  { value: 'time', label: 'From time' },
];

/** The messages of a topic: from a place, with a text in them, or as they come. */
export function Messages({ topic, partitions }: { topic: string; partitions: Partition[] }) {
  const [partition, setPartition] = useParam('partition', '');
  const [from, setFrom] = useParam('from', 'newest');
  const [place, setPlace] = useParam('place', '');
  const [search, setSearch] = useParam('search', '');
  const [settled] = useDebouncedValue({ place, search }, 300);
  const browse = useMemo<Browse>(
    () => ({ partition: partition === '' ? null : Number(partition), from: FROM.some((one) => one.value === from) ? (from as Browse['from']) : 'newest', place: settled.place, search: settled.search }),
    [partition, from, settled],
  );
  // The bounds of the moment in which the page was opened or asked for anew: they move on all the time.
  const [bounds, setBounds] = useState(partitions);
  const found = useMessages(topic, bounds, browse);
  const live = useTail(topic, browse, found.data);
  const [open, setOpen] = useState<Message | null>(null);
  const messages = live.messages ?? found.data;
  const refresh = (): void => {
    setBounds(partitions);
    void found.refetch();
  };
  return (
    <>
      <div className={classes.tools}>
        <TextInput className={classes.search} aria-label="Find in key or value" placeholder="Find in key or value" leftSection={<IconSearch size={16} stroke={1.6} />} value={search} onChange={(event) => setSearch(event.currentTarget.value)} />
        <SegmentedControl aria-label="From where" data={FROM} value={browse.from} onChange={setFrom} disabled={live.on} />
        {(browse.from === 'offset' || browse.from === 'time') && (
          <TextInput className={classes.place} aria-label={browse.from === 'offset' ? 'Offset' : 'Time'} placeholder={browse.from === 'offset' ? '0' : '2026-11-28 12:00'} value={place} onChange={(event) => setPlace(event.currentTarget.value)} />
        )}
        {partitions.length > 1 && (
          <Select
            className={classes.partition}
            aria-label="Partition"
            data={[{ value: '', label: 'All partitions' }, ...partitions.map((one) => ({ value: String(one.partition), label: `Partition ${one.partition}` }))]}
            value={partition}
            onChange={(next) => setPartition(next ?? '')}
            allowDeselect={false}
          />
        )}
        <span className={classes.gap} />
        {!live.on && (
          <Button variant="default" leftSection={<IconRefresh size={16} />} onClick={refresh} loading={found.isFetching && !found.isPending}>
            Refresh
          </Button>
        )}
        <Button variant={live.on ? 'filled' : 'default'} leftSection={live.on ? <IconPlayerPause size={16} /> : <IconPlayerPlay size={16} />} onClick={() => live.turn(partitions)} aria-pressed={live.on}>
          {live.on ? 'Stop following' : 'Follow'}
        </Button>
      </div>
      {found.error && <Failure error={found.error} what="The messages could not be read" onRetry={refresh} />}
      {live.error !== null && <Failure error={live.error} what="The topic cannot be followed" />}
      {found.isPending && <SkeletonRows rows={10} height={36} />}
      {messages && (
        <div className={classes.frame}>
          <WithDetail detail={open && <Whole key={`${open.partition} ${open.offset}`} topic={topic} message={open} onClose={() => setOpen(null)} />}>
            <List messages={messages} open={open} onOpen={setOpen} withPartition={partitions.length > 1} />
          </WithDetail>
        </div>
      )}
      {messages && (
        <p className="quiet small" aria-live="off">
          {live.on ? `Following; the newest ${plural(messages.length, 'message')} are kept here` : messages.length < MESSAGES_MAX ? plural(messages.length, 'message') : `The first ${count(MESSAGES_MAX)} that were found`}
        </p>
      )}
    </>
  );
}

interface ListProps {
  messages: Message[];
  open: Message | null;
  onOpen: (message: Message) => void;
  withPartition: boolean;
}

function List({ messages, open, onOpen, withPartition }: ListProps) {
  const body = useRef<HTMLTableSectionElement>(null);
  const onKeyDown = (event: React.KeyboardEvent, index: number): void => {
    const move = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (move === 0) return;
    event.preventDefault();
    body.current?.querySelectorAll('button')[index + move]?.focus();
  };
  if (messages.length === 0) return <p className={`second ${classes.none}`}>No message is found here.</p>;
  return (
    <div className={classes.scroll}>
      <table className={classes.list} aria-label="Messages">
        <thead>
          <tr>
            {withPartition && (
              <th scope="col" className={classes.small}>
                Part.
              </th>
            )}
            <th scope="col" className={classes.offset}>
              Offset
            </th>
            <th scope="col" className={classes.time}>
              Time
            </th>
            <th scope="col" className={classes.key}>
              Key
            </th>
            <th scope="col">Value</th>
          </tr>
        </thead>
        <tbody ref={body}>
          {messages.map((message, index) => (
            <tr key={`${message.partition} ${message.offset}`} data-open={(open?.partition === message.partition && open.offset === message.offset) || undefined} onClick={() => onOpen(message)}>
              {withPartition && <td className={`num ${classes.small}`}>{message.partition}</td>}
              <td className={`num ${classes.offset}`}>
                <button type="button" onClick={() => onOpen(message)} onKeyDown={(event) => onKeyDown(event, index)} aria-label={`Message ${message.offset} of partition ${message.partition}`}>
                  {message.offset}
                </button>
              </td>
              <td className={`num ${classes.time}`}>{message.at === null ? '–' : exactTime(new Date(message.at).toISOString())}</td>
              <td className={classes.key}>{message.key ?? <span className="quiet">–</span>}</td>
              <td className={classes.value}>{message.value ?? <span className="quiet">no value</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Whole({ topic, message, onClose }: { topic: string; message: Message; onClose: () => void }) {
  const answer = useAnswer(['message', topic, message.partition, message.offset], wholeSql(topic, message), 1);
  const result = answer.data?.result;
  const value = result && result.rows > 0 ? result.text(0, 0) : message.value;
  const bytes = result && result.rows > 0 ? result.number(0, 3) : null;
  const raw = value === null && result && result.rows > 0 ? result.text(0, 4) : null;
  const text = value !== null ? pretty(value) : raw ? `\\x${raw}` : '';
  const headers = pretty(message.headers);
  return (
    <DetailPanel title={`Message ${message.offset}`} note={bytes === null ? `partition ${message.partition}` : `partition ${message.partition} · ${plural(bytes, 'byte')}`} text={text} onClose={onClose}>
      {answer.error && <Failure error={answer.error} />}
      {message.key !== null && <Part name="Key" text={message.key} />}
      {headers !== '{}' && <Part name="Headers" text={headers} />}
      <Part name="Value" text={text || 'No value: the key is forgotten when the topic is compacted.'} />
    </DetailPanel>
  );
}

function Part({ name, text }: { name: string; text: string }) {
  return (
    <section className={classes.part}>
      <h3 className="quiet small">{name}</h3>
      <WholeText text={text} />
    </section>
  );
}

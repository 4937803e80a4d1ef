import { Button, SegmentedControl, Select, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useMemo, useRef, useState } from 'react';

import { Failure } from '../../components/Failure';
import { WithDetail } from '../../components/DetailPanel';
import { SkeletonRows } from '../../components/Skeleton';
import { IconPlayerPause, IconPlayerPlay, IconRefresh, IconSearch } from '../../components/icons';
import { count, exactTime, plural } from '../../lib/format';
import { type Browse, headersOf, idOf, inLine, MESSAGES_MAX, placeTrouble } from '../../lib/messages';
import { useParam } from '../../lib/params';
import { useMessages } from '../../services/streams';
import type { Message, Partition, Payload } from '../../services/types';
import { useTail } from './useTail';
import { Whole } from './Whole';
import classes from './Messages.module.css';

const FROM = [
  { value: 'newest', label: 'Newest' },
  { value: 'oldest', label: 'Oldest' },
  { value: 'offset', label: 'From offset' },
  { value: 'time', label: 'From time' },
];

/** The messages of a topic: from a place, with a text in them, or as they come. */
export function Messages({ topic, partitions, empty }: { topic: string; partitions: Partition[]; empty: React.ReactNode }) {
  const [partition, setPartition] = useParam('partition', '');
  const [from, setFrom] = useParam('from', 'newest');
  const [place, setPlace] = useParam('place', '');
  const [search, setSearch] = useParam('search', '');
  const [settled] = useDebouncedValue({ place, search }, 300);
  const browse = useMemo<Browse>(
    () => ({ partition: partition === '' ? null : Number(partition), from: FROM.some((one) => one.value === from) ? (from as Browse['from']) : 'newest', place: settled.place, search: settled.search }),
    [partition, from, settled],
  );
  const isEmpty = partitions.every((one) => one.start === one.end);
  const found = useMessages(topic, browse, isEmpty);
  const read = useMemo(() => found.data?.pages.flatMap((page) => page.messages), [found.data]);
  const live = useTail(topic, browse, read);
  const [open, setOpen] = useState<Message | null>(null);
  const messages = live.messages ?? read;
  const last = found.data?.pages.at(-1);
  const refresh = (): void => {
    live.clear();
    void found.refetch();
  };
  const choose = (next: string): void => {
    setFrom(next);
    setPlace('');
  };
  if (isEmpty && !live.on && !messages?.length) return empty;
  return (
    <>
      <div className={classes.tools}>
        <TextInput className={classes.search} aria-label="Find in key, value or headers" placeholder="Find in key, value or headers" leftSection={<IconSearch size={16} stroke={1.6} />} value={search} onChange={(event) => setSearch(event.currentTarget.value)} maxLength={500} />
        <SegmentedControl aria-label="From where" data={FROM} value={browse.from} onChange={choose} disabled={live.on} />
        {(browse.from === 'offset' || browse.from === 'time') && (
          <TextInput className={classes.place} aria-label={browse.from === 'offset' ? 'Offset' : 'Time'} placeholder={browse.from === 'offset' ? '0' : '2026-11-28 12:00'} value={place} error={placeTrouble({ ...browse, place })} disabled={live.on} onChange={(event) => setPlace(event.currentTarget.value)} />
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
          <Button variant="default" leftSection={<IconRefresh size={16} />} onClick={refresh} disabled={found.isFetching}>
            Refresh
          </Button>
        )}
        <Button className={classes.follow} variant={live.on ? 'filled' : 'default'} leftSection={live.on ? <IconPlayerPause size={16} /> : <IconPlayerPlay size={16} />} onClick={live.turn} aria-pressed={live.on}>
          {live.on ? 'Pause' : 'Follow'}
        </Button>
      </div>
      {found.error && <Failure error={found.error} what="The messages could not be read" onRetry={refresh} />}
      {live.error !== null && <Failure error={live.error} what="The topic cannot be followed" onRetry={live.turn} />}
      {found.isPending && !messages && <SkeletonRows rows={10} height={32} />}
      {messages && (
        <div className={classes.frame}>
          <WithDetail detail={open && <Whole key={idOf(open)} topic={topic} message={open} onClose={() => setOpen(null)} />}>
            <List messages={messages} open={open} onOpen={setOpen} isNarrow={open !== null} />
          </WithDetail>
        </div>
      )}
      {messages && (
        <div className={`second small num ${classes.foot}`}>
          {live.on ? (
            <>
              <span className={classes.pulse} aria-hidden="true" />
              <span>
                Following: what comes stands in front, the newest {count(MESSAGES_MAX)} are kept{live.skipped > 0 && ` · ${count(live.skipped)} came too fast to be shown`}
              </span>
            </>
          ) : (
            <Found shown={messages.length} looked={found.data?.pages.reduce((sum, page) => sum + page.looked_at, 0) ?? 0} isSearch={browse.search !== ''} isEnd={!last?.next} />
          )}
          {!live.messages && found.hasNextPage && (
            <Button variant="default" size="compact-sm" disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
              {messages.length === 0 ? 'Look further' : browse.from === 'newest' ? 'Older ones' : 'Later ones'}
            </Button>
          )}
        </div>
      )}
    </>
  );
}

/** What stands there, and whether there is more. */
function Found({ shown, looked, isSearch, isEnd }: { shown: number; looked: number; isSearch: boolean; isEnd: boolean }) {
  if (isSearch) return <span>{`${plural(shown, 'message')} found in ${plural(looked, 'record')}${isEnd ? '' : '; there are more to look through'}`}</span>;
  return <span>{`${plural(shown, 'message')}${isEnd ? ', that is all' : shown >= MESSAGES_MAX ? '; for others begin elsewhere' : ''}`}</span>;
}

interface ListProps {
  messages: Message[];
  open: Message | null;
  onOpen: (message: Message) => void;
  /** A message lies open beside it. */
  isNarrow: boolean;
}

function List({ messages, open, onOpen, isNarrow }: ListProps) {
  const body = useRef<HTMLTableSectionElement>(null);
  const onKeyDown = (event: React.KeyboardEvent, index: number): void => {
    const moves: Record<string, number> = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: messages.length - 1 };
    const next = moves[event.key];
    if (next === undefined) return;
    event.preventDefault();
    body.current?.querySelectorAll('button')[next]?.focus();
  };
  if (messages.length === 0) return <p className={`second ${classes.none}`}>No message is found here.</p>;
  return (
    <div className={classes.scroll}>
      <table className={classes.list} aria-label="Messages" data-narrow={isNarrow || undefined}>
        <thead>
          <tr>
            <th scope="col" className={classes.small}>
              Partition
            </th>
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
            <th scope="col" className={classes.headers}>
              Headers
            </th>
          </tr>
        </thead>
        <tbody ref={body}>
          {messages.map((message, index) => (
            <Row key={idOf(message)} message={message} isOpen={open !== null && idOf(open) === idOf(message)} onOpen={() => onOpen(message)} onKeyDown={(event) => onKeyDown(event, index)} isFirst={index === 0} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  message: Message;
  isOpen: boolean;
  isFirst: boolean;
  onOpen: () => void;
  onKeyDown: (event: React.KeyboardEvent) => void;
}

function Row({ message, isOpen, isFirst, onOpen, onKeyDown }: RowProps) {
  const headers = headersOf(message);
  return (
    <tr data-open={isOpen || undefined} onClick={onOpen}>
      <td className={`num ${classes.small}`}>{message.partition}</td>
      <td className={`num ${classes.offset}`}>
        <button
          type="button"
          tabIndex={isFirst || isOpen ? 0 : -1}
          onClick={(event) => {
            event.stopPropagation();
            onOpen();
          }}
          onKeyDown={onKeyDown}
          aria-label={`Message ${message.offset} of partition ${message.partition}`}
        >
          {message.offset}
        </button>
      </td>
      <td className={`num ${classes.time}`} title={message.timestamp ? exactTime(message.timestamp) : undefined}>
        {message.timestamp ? shortTime(message.timestamp) : '–'}
      </td>
      <td className={classes.key}>
        <Line payload={message.key} none="–" />
      </td>
      <td className={classes.value}>
        <Line payload={message.value} none="no value" />
      </td>
      <td className={`${classes.headers} second`}>{headers.length > 0 ? headers.map(([name, value]) => `${name}=${value}`).join(' ') : '–'}</td>
    </tr>
  );
}

function Line({ payload, none }: { payload: Payload; none: string }) {
  if (payload.kind === 'none') return <span className="quiet">{none}</span>;
  return <span className={payload.kind === 'binary' ? 'quiet' : undefined}>{inLine(payload)}</span>;
}

/** The local time to the millisecond, with the day unless it is today. */
function shortTime(iso: string): string {
  const date = new Date(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? time : `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

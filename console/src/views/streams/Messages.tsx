import { Button, SegmentedControl, Select, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useMemo, useRef, useState } from 'react';

import { Failure } from '../../components/Failure';
import { WithDetail } from '../../components/DetailPanel';
import { SkeletonRows } from '../../components/Skeleton';
import { IconKey, IconPlayerPause, IconPlayerPlay, IconPlayerStop, IconRefresh, IconSearch } from '../../components/icons';
import { count, exactTime, plural } from '../../lib/format';
import { type Browse, headersOf, idOf, inLine, isChoosy, KEY_MAX, keyOf, MESSAGES_MAX, placeTrouble } from '../../lib/messages';
import { useParam } from '../../lib/params';
import type { Message, Partition, Payload } from '../../services/types';
import { type Look, useLook } from './useLook';
import { useTail } from './useTail';
import { Whole } from './Whole';
import classes from './Messages.module.css';

const FROM = [
  { value: 'newest', label: 'Newest' },
  { value: 'oldest', label: 'Oldest' },
  { value: 'offset', label: 'From offset' },
  { value: 'time', label: 'From time' },
];

/** What is typed is asked for after this pause. */
const SETTLED_MS = 300;

/** The messages of a topic: from a place, with a key or a text in them, or as they come. */
export function Messages({ topic, partitions, empty }: { topic: string; partitions: Partition[]; empty: React.ReactNode }) {
  const { browse, tools, isKeyed, chooseKey } = useTools(partitions);
  const isEmpty = partitions.every((one) => one.start === one.end);
  const look = useLook(topic, browse, isEmpty);
  const live = useTail(topic, browse, look.messages);
  const [open, setOpen] = useState<Message | null>(null);
  const messages = live.messages ?? look.messages;
  const refresh = (): void => {
    live.clear();
    look.again();
  };
  if (isEmpty && !live.on && !messages?.length) return empty;
  const held = partitions.filter((one) => browse.partition === null || one.partition === browse.partition).reduce((sum, one) => sum + one.end - one.start, 0);
  return (
    <>
      <div className={classes.tools}>
        {tools(live.on)}
        <span className={classes.gap} />
        {!live.on && (
          <Button variant="default" leftSection={<IconRefresh size={16} />} onClick={refresh} disabled={look.isLooking}>
            Refresh
          </Button>
        )}
        <Button className={classes.follow} variant={live.on ? 'filled' : 'default'} leftSection={live.on ? <IconPlayerPause size={16} /> : <IconPlayerPlay size={16} />} onClick={live.turn} aria-pressed={live.on}>
          {live.on ? 'Pause' : 'Follow'}
        </Button>
      </div>
      {look.error !== null && <Failure error={look.error} what="The messages could not be read" onRetry={refresh} />}
      {live.error !== null && <Failure error={live.error} what="The topic cannot be followed" onRetry={live.turn} />}
      {!messages && !look.isStopped && look.error === null && <SkeletonRows rows={10} height={32} />}
      {messages && (
        <div className={classes.frame}>
          <WithDetail detail={open && <Whole key={idOf(open)} topic={topic} message={open} onKey={isKeyed(open) ? undefined : chooseKey} onClose={() => setOpen(null)} />}>
            <List messages={messages} open={open} onOpen={setOpen} isNarrow={open !== null} none={look.isLooking ? 'Nothing is found so far.' : noneOf(browse)} />
          </WithDetail>
        </div>
      )}
      <div className={`second small num ${classes.foot}`}>
        {live.on ? (
          <>
            <span className={classes.pulse} aria-hidden="true" />
            <span>
              Following: what comes stands in front, the newest {count(MESSAGES_MAX)} are kept{live.skipped > 0 && ` · ${count(live.skipped)} came too fast to be shown`}
            </span>
          </>
        ) : (
          <Found look={look} shown={messages?.length ?? 0} held={held} isChoosy={isChoosy(browse)} />
        )}
        {!live.messages && !live.on && <Further look={look} browse={browse} />}
      </div>
    </>
  );
}

/** What is asked for, as the address has it, and the fields in which it is. */
function useTools(partitions: Partition[]) {
  const [partition, setPartition] = useParam('partition', '');
  const [from, setFrom] = useParam('from', 'newest');
  const [place, setPlace] = useParam('place', '');
  const [key, setKey] = useParam('key', '');
  const [search, setSearch] = useParam('search', '');
  // Texts, not one object of them: that would be another one each time, and what is asked for must stay the same while nobody types.
  const [settledPlace] = useDebouncedValue(place, SETTLED_MS);
  const [settledKey] = useDebouncedValue(key, SETTLED_MS);
  const [settledSearch] = useDebouncedValue(search, SETTLED_MS);
  const browse = useMemo<Browse>(
    () => ({ partition: partition === '' ? null : Number(partition), from: FROM.some((one) => one.value === from) ? (from as Browse['from']) : 'newest', place: settledPlace, key: settledKey, search: settledSearch }),
    [partition, from, settledPlace, settledKey, settledSearch],
  );
  const choose = (next: string): void => {
    setFrom(next);
    setPlace('');
  };
  const tools = (isLive: boolean): React.ReactNode => (
    <>
      <TextInput className={classes.keyField} aria-label="Key" placeholder="Key" leftSection={<IconKey size={16} stroke={1.6} />} value={key} onChange={(event) => setKey(event.currentTarget.value)} maxLength={KEY_MAX} spellCheck={false} autoComplete="off" />
      <TextInput className={classes.search} aria-label="Find in key, value or headers" placeholder="Find in key, value or headers" leftSection={<IconSearch size={16} stroke={1.6} />} value={search} onChange={(event) => setSearch(event.currentTarget.value)} maxLength={500} />
      <SegmentedControl aria-label="From where" data={FROM} value={browse.from} onChange={choose} disabled={isLive} />
      {(browse.from === 'offset' || browse.from === 'time') && (
        <TextInput className={classes.place} aria-label={browse.from === 'offset' ? 'Offset' : 'Time'} placeholder={browse.from === 'offset' ? '0' : '2026-11-28 12:00'} value={place} error={placeTrouble({ ...browse, place })} disabled={isLive} onChange={(event) => setPlace(event.currentTarget.value)} />
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
    </>
  );
  return { browse, tools, chooseKey: setKey, isKeyed: (message: Message) => keyOf(message.key) === null || keyOf(message.key) === browse.key };
}

/** What is said where nothing is found. */
function noneOf(browse: Browse): string {
  if (browse.key && !browse.search) return `No message has the key “${browse.key}” here. A key is found as a whole, in its own case.`;
  return 'No message is found here.';
}

/** What stands there, and whether there is more. */
function Found({ look, shown, held, isChoosy: isFew }: { look: Look; shown: number; held: number; isChoosy: boolean }) {
  if (look.isStopped) return <span>Stopped before anything was found.</span>;
  if (look.messages === undefined) return isFew ? <span>Looking through {plural(held, 'record')}</span> : null;
  if (isFew && look.isLooking) return <span>{`${plural(shown, 'message')} found, ${count(look.looked)} of ${plural(held, 'record')} looked through`}</span>;
  if (isFew) return <span>{`${plural(shown, 'message')} found in ${plural(look.looked, 'record')}${look.isMore ? '; there are more to look through' : ''}`}</span>;
  return <span>{`${plural(shown, 'message')}${!look.isMore && shown < MESSAGES_MAX ? ', that is all' : shown >= MESSAGES_MAX ? '; for others begin elsewhere' : ''}`}</span>;
}

/** Ends looking while it goes on, and else goes on with it. */
function Further({ look, browse }: { look: Look; browse: Browse }) {
  if (look.isLooking && isChoosy(browse)) {
    return (
      <Button variant="default" size="compact-sm" leftSection={<IconPlayerStop size={14} />} onClick={look.stop}>
        Stop
      </Button>
    );
  }
  if (!look.isMore && !look.isStopped) return null;
  return (
    <Button variant="default" size="compact-sm" disabled={look.isLooking} onClick={look.further}>
      {isChoosy(browse) ? 'Look further' : browse.from === 'newest' ? 'Older ones' : 'Later ones'}
    </Button>
  );
}

interface ListProps {
  messages: Message[];
  open: Message | null;
  onOpen: (message: Message) => void;
  /** A message lies open beside it. */
  isNarrow: boolean;
  /** What is said when there is none. */
  none: string;
}

function List({ messages, open, onOpen, isNarrow, none }: ListProps) {
  const body = useRef<HTMLTableSectionElement>(null);
  const onKeyDown = (event: React.KeyboardEvent, index: number): void => {
    const moves: Record<string, number> = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: messages.length - 1 };
    const next = moves[event.key];
    if (next === undefined) return;
    event.preventDefault();
    body.current?.querySelectorAll('button')[next]?.focus();
  };
  if (messages.length === 0) return <p className={`second ${classes.none}`}>{none}</p>;
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

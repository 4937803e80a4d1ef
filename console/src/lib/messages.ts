// Messages of a topic: the SQL that asks for them, and what comes of it.

import type { ResultSet } from './result';
import { quoteName, quoteText } from './sql';

/** Messages on one page; a live tail keeps as many. */
export const MESSAGES_MAX = 500;

/** Characters of a value that the list shows; the whole is asked for when a message is opened. */
const SHOWN_MAX = 2_000;

export interface Message {
  partition: number;
  offset: number;
  /** Milliseconds since 1970. */
  at: number | null;
  key: string | null;
  value: string | null;
  headers: string;
}

export interface Browse {
  /** `null`: all of them. */
  partition: number | null;
  /** From where: the newest, the oldest, an offset, or a time as people write it. */
  from: 'newest' | 'oldest' | 'offset' | 'time';
  /** The offset or the time. */
  place: string;
  /** Only messages with this in their key or value. */
  search: string;
}

interface Bounds {
  partition: number;
  start: number;
  end: number;
}

const COLUMNS = `partition, "offset", (extract(epoch FROM timestamp) * 1000)::bigint, key, left(value::text, ${SHOWN_MAX}), headers::text`;

const from = (topic: string): string => `FROM topics.${quoteName(topic)}`;

/** What is searched for, as a condition; nothing if nothing is. */
function matching(search: string): string {
  if (!search) return '';
  const text = quoteText(`%${search.replaceAll('\\', '\\\\').replaceAll('%', '\\%').replaceAll('_', '\\_')}%`);
  return ` AND (key ILIKE ${text} OR value::text ILIKE ${text})`;
}

const wholeNumber = (text: string): number | null => (/^\d{1,18}$/.test(text.trim()) ? Number(text.trim()) : null);

/** Asks for a page of messages. A search looks through all that there is; otherwise each partition is read where it is wanted. */
export function browseSql(topic: string, partitions: readonly Bounds[], browse: Browse): string {
  const chosen = partitions.filter((one) => browse.partition === null || one.partition === browse.partition);
  const one = browse.partition === null ? '' : ` AND partition = ${browse.partition}`;
  const found = matching(browse.search);
  const newestFirst = browse.from === 'newest';
  const order = newestFirst ? 'ORDER BY timestamp DESC, partition, "offset" DESC' : 'ORDER BY timestamp, partition, "offset"';
  let condition = 'true';
  if (browse.from === 'offset') condition = `"offset" >= ${wholeNumber(browse.place) ?? 0}`;
  else if (browse.from === 'time' && browse.place) condition = `timestamp >= TIMESTAMPTZ ${quoteText(browse.place)}`;
  else if (newestFirst && !found) condition = chosen.map((part) => `(partition = ${part.partition} AND "offset" >= ${Math.max(part.start, part.end - MESSAGES_MAX)})`).join(' OR ') || 'false';
  const only = newestFirst && !found && chosen.length === 1 && chosen[0] ? `partition = ${chosen[0].partition} AND "offset" >= ${Math.max(chosen[0].start, chosen[0].end - MESSAGES_MAX)}` : null;
  return `SELECT ${COLUMNS} ${from(topic)} WHERE ${only ?? `(${condition})${one}`}${found} ${order} LIMIT ${MESSAGES_MAX}`;
}

/** Asks for what came behind these places. */
export function tailSql(topic: string, ends: ReadonlyMap<number, number>, browse: Browse): string {
  const behind = [...ends].filter(([partition]) => browse.partition === null || partition === browse.partition).map(([partition, end]) => `(partition = ${partition} AND "offset" >= ${end})`);
  return `SELECT ${COLUMNS} ${from(topic)} WHERE (${behind.join(' OR ') || 'false'})${matching(browse.search)} ORDER BY timestamp, partition, "offset" LIMIT ${MESSAGES_MAX}`;
}

/** Asks for the whole of one message. */
export const wholeSql = (topic: string, message: Message): string =>
  `SELECT value::text, key, headers::text, length(encode(value_bytes, 'hex')) / 2, encode(value_bytes, 'hex') ${from(topic)} WHERE partition = ${message.partition} AND "offset" = ${message.offset}`;

export function messagesOf(result: ResultSet): Message[] {
  return Array.from({ length: result.rows }, (_, row) => ({
    partition: result.number(row, 0) ?? 0,
    offset: result.number(row, 1) ?? 0,
    at: result.number(row, 2),
    key: result.text(row, 3),
    value: result.text(row, 4),
    headers: result.text(row, 5) ?? '{}',
  }));
}

/** Adds new messages in front and forgets the oldest ones. */
export function withNewest(shown: readonly Message[], arrived: readonly Message[]): Message[] {
  return [...[...arrived].reverse(), ...shown].slice(0, MESSAGES_MAX);
}

/** Where a tail goes on: behind the last message of each partition. */
export function endsAfter(ends: ReadonlyMap<number, number>, arrived: readonly Message[]): Map<number, number> {
  const next = new Map(ends);
  for (const message of arrived) next.set(message.partition, Math.max(next.get(message.partition) ?? 0, message.offset + 1));
  return next;
}

/** JSON over several lines; anything else as it is. */
export function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

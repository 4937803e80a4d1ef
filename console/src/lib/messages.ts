// Messages of a topic: what is asked for, and what comes of it.

import type { Message, Payload, TailPart } from '../services/types';

/** Messages that stand on a page at most, whether they were asked for or came by themselves. */
export const MESSAGES_MAX = 1_000;

/** Messages that are asked for at once. */
export const PAGE = 100;

/** A line of a tail that is longer is no line of ours. */
const LINE_MAX = 16 << 20;

export interface Browse {
  /** `null`: all of them. */
  partition: number | null;
  /** From where: the newest, the oldest, an offset, or a time as people write it. */
  from: 'newest' | 'oldest' | 'offset' | 'time';
  /** The offset or the time. */
  place: string;
  /** Only messages with exactly this key, as `keyOf` writes it. */
  key: string;
  /** Only messages with this in their key, value or headers. */
  search: string;
}

/** A key that is longer cannot be asked for. */
export const KEY_MAX = 1_000;

/** A key as it is asked for: a text, or `\x` and the digits of what is none. `null`: there is none, or it is too long. */
export function keyOf(key: Payload): string | null {
  if (key.kind === 'none' || key.cut || key.text === '') return null;
  const text = key.kind === 'binary' ? `\\x${key.text}` : key.text;
  return new TextEncoder().encode(text).length <= KEY_MAX ? text : null;
}

/** Whether messages are chosen by what is in them, so that many may be looked at and few found. */
export const isChoosy = (browse: Browse): boolean => browse.key !== '' || browse.search !== '';

/** The offset that was typed; `null` when it is none. */
export const offsetOf = (text: string): number | null => (/^\d{1,15}$/.test(text.trim()) ? Number(text.trim()) : null);

/** The time that was typed, `2026-11-28 12:00` in the person's own zone or with a zone of its own, in milliseconds; `null` when it is none. */
export function timeOf(text: string): number | null {
  const trimmed = text.trim();
  if (!/^\d{4}-\d{2}-\d{2}/.test(trimmed)) return null;
  // A date alone is that of UTC to JavaScript, and that of the person's own zone to everybody else.
  const full = trimmed.length === 10 ? `${trimmed}T00:00` : trimmed.replace(' ', 'T');
  const time = Date.parse(full);
  return Number.isNaN(time) ? null : time;
}

/** What is wrong with the place that was typed; `null` when nothing is. */
export function placeTrouble(browse: Browse): string | null {
  if (browse.place.trim() === '') return null;
  if (browse.from === 'offset' && offsetOf(browse.place) === null) return 'An offset is a whole number';
  if (browse.from === 'time' && timeOf(browse.place) === null) return 'Like 2026-11-28 12:00';
  return null;
}

/** The questions that a tail and a page have in common. */
function chosen(browse: Browse): URLSearchParams {
  const questions = new URLSearchParams();
  if (browse.partition !== null) questions.set('partition', String(browse.partition));
  if (browse.key) questions.set('key', browse.key);
  if (browse.search) questions.set('search', browse.search);
  return questions;
}

export const tailQuestions = chosen;

/** Asks for a page. Without a place, an offset or a time begins at the oldest. */
export function pageQuestions(browse: Browse, cursor: string | null): URLSearchParams {
  const questions = chosen(browse);
  const offset = browse.from === 'offset' ? offsetOf(browse.place) : null;
  const time = browse.from === 'time' ? timeOf(browse.place) : null;
  if (browse.from !== 'newest') questions.set('begin', 'oldest');
  if (offset !== null) questions.set('offset', String(offset));
  if (time !== null) questions.set('time', String(time));
  if (cursor !== null) questions.set('cursor', cursor);
  questions.set('limit', String(PAGE));
  return questions;
}

/** Adds new messages in front and forgets the oldest ones. What stands there already is not added again. */
export function withNewest(shown: readonly Message[], arrived: readonly Message[]): Message[] {
  const known = new Set(shown.map(idOf));
  const added = arrived.filter((message) => !known.has(idOf(message))).reverse();
  return [...added, ...shown].slice(0, MESSAGES_MAX);
}

export const idOf = (message: Message): string => `${message.partition} ${message.offset}`;

/** The lines of a tail, out of pieces of bytes that end anywhere. Empty lines are signs of life. */
export function tailReader(onPart: (part: TailPart) => void): (piece: Uint8Array) => void {
  const decoder = new TextDecoder();
  let rest = '';
  return (piece) => {
    rest += decoder.decode(piece, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_MAX) throw new Error('the server sent a line that has no end');
    for (const line of lines) if (line !== '') onPart(JSON.parse(line) as TailPart);
  };
}

/** A key or a value in one line. */
export function inLine(payload: Payload): string {
  if (payload.kind === 'binary') return `\\x${payload.text}`;
  return payload.text.slice(0, 500).replace(/\s+/g, ' ');
}

/** What JSON says; `undefined` when it is none, or only a part of it is there. */
export function jsonOf(payload: Payload): unknown {
  if (payload.kind !== 'json' || payload.cut) return undefined;
  try {
    return JSON.parse(payload.text) as unknown;
  } catch {
    return undefined;
  }
}

/** JSON over several lines; anything else as it is. */
export function pretty(payload: Payload): string {
  const json = jsonOf(payload);
  return json === undefined ? inWhole(payload) : JSON.stringify(json, null, 2);
}

/** Bytes by sixteen in a line, text as it is. */
export function inWhole(payload: Payload): string {
  if (payload.kind !== 'binary') return payload.text;
  const lines = payload.text.match(/.{1,32}/g) ?? [];
  return lines.map((line) => (line.match(/../g) ?? []).join(' ')).join('\n');
}

/** Headers by name, in the order in which they came. */
export function headersOf(message: Message): [string, string][] {
  const found = jsonOf(message.headers);
  if (typeof found !== 'object' || found === null) return [];
  return Object.entries(found).flatMap(([name, value]): [string, string][] => (Array.isArray(value) ? value.map((one) => [name, String(one)]) : [[name, String(value)]]));
}

import { describe, expect, it } from 'vitest';

import type { Message, Payload } from '../services/types';
import { type Browse, headersOf, idOf, inLine, inWhole, keyOf, MESSAGES_MAX, pageQuestions, placeTrouble, pretty, tailQuestions, tailReader, timeOf, withNewest } from './messages';

const NEWEST: Browse = { partition: null, from: 'newest', place: '', key: '', search: '' };

const payload = (kind: Payload['kind'], text: string, cut = false): Payload => ({ kind, text, bytes: text.length, cut, schema_id: null });

const message = (partition: number, offset: number): Message => ({ partition, offset, timestamp: null, key: payload('none', ''), headers: payload('json', '{}'), value: payload('text', 'v') });

describe('messages', () => {
  it('asks for a page from a place', () => {
    expect(pageQuestions(NEWEST, null).toString()).toBe('limit=100');
    expect(pageQuestions({ ...NEWEST, partition: 0, search: 'a&b' }, '0:5').toString()).toBe('partition=0&search=a%26b&cursor=0%3A5&limit=100');
    expect(pageQuestions({ ...NEWEST, from: 'offset', place: ' 42 ' }, null).toString()).toBe('begin=oldest&offset=42&limit=100');
    expect(pageQuestions({ ...NEWEST, from: 'time', place: '2026-11-28T12:00Z' }, null).get('time')).toBe(String(Date.UTC(2026, 10, 28, 12)));
    expect(pageQuestions({ ...NEWEST, key: 'visitor 7' }, null).toString()).toBe('key=visitor+7&limit=100');
    expect(tailQuestions({ ...NEWEST, key: '\\xff' }).get('key')).toBe('\\xff');
    expect(pageQuestions({ ...NEWEST, from: 'offset', place: 'x' }, null).toString()).toBe('begin=oldest&limit=100');
    expect(tailQuestions({ ...NEWEST, from: 'offset', place: '7', partition: 3 }).toString()).toBe('partition=3');
  });

  it('asks for a key as it was shown', () => {
    expect(keyOf(payload('text', 'visitor-7'))).toBe('visitor-7');
    expect(keyOf(payload('binary', 'ff01'))).toBe('\\xff01');
    expect(keyOf(payload('none', ''))).toBeNull();
    expect(keyOf(payload('text', 'begins so', true))).toBeNull();
    expect(keyOf(payload('text', '\u00e9'.repeat(501)))).toBeNull();
  });

  it('says what is wrong with a place', () => {
    expect(placeTrouble({ ...NEWEST, from: 'offset', place: '7 OR 1' })).toBe('An offset is a whole number');
    expect(placeTrouble({ ...NEWEST, from: 'offset', place: '-1' })).not.toBeNull();
    expect(placeTrouble({ ...NEWEST, from: 'time', place: 'noon' })).not.toBeNull();
    expect(placeTrouble({ ...NEWEST, from: 'time', place: '2026-11-28 12:00' })).toBeNull();
    expect(placeTrouble({ ...NEWEST, from: 'time', place: '' })).toBeNull();
    expect(timeOf('2026-11-28')).toBe(new Date(2026, 10, 28).getTime());
    expect(timeOf('2026-13-99')).toBeNull();
  });

  it('keeps no more of a tail than it shows, and nothing twice', () => {
    const shown = Array.from({ length: MESSAGES_MAX }, (_, index) => message(0, index));
    const next = withNewest(shown, [message(0, 3), message(1, 1), message(1, 2)]);
    expect(next).toHaveLength(MESSAGES_MAX);
    expect(next.slice(0, 3).map(idOf)).toEqual(['1 2', '1 1', '0 0']);
  });

  it('reads a tail whose pieces end anywhere', () => {
    const parts: number[] = [];
    const read = tailReader((part) => parts.push(part.messages.length + part.skipped));
    const bytes = new TextEncoder().encode('\n{"messages":[],"skipped":7}\n\n{"messages":[{"key":"\u00e9"}],"skipped":0}\n');
    for (const byte of bytes) read(Uint8Array.of(byte));
    expect(parts).toEqual([7, 1]);
    read(new TextEncoder().encode('{"messages":'));
    expect(parts).toHaveLength(2);
  });

  it('shows a value in a line, and whole', () => {
    expect(inLine(payload('json', '{\n  "a": 1\n}'))).toBe('{ "a": 1 }');
    expect(inLine(payload('binary', 'ff00'))).toBe('\\xff00');
    expect(pretty(payload('json', '{"a":[1]}'))).toBe('{\n  "a": [\n    1\n  ]\n}');
    expect(pretty(payload('json', '{"a":[1', true))).toBe('{"a":[1');
    expect(pretty(payload('text', 'no json'))).toBe('no json');
    expect(inWhole(payload('binary', `${'00'.repeat(16)}ff`))).toBe(`${Array(16).fill('00').join(' ')}\nff`);
    expect(headersOf({ ...message(0, 0), headers: payload('json', '{"a":"1","b":["2","3"]}') })).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['b', '3'],
    ]);
  });
});

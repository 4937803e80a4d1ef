import { describe, expect, it } from 'vitest';

import { browseSql, endsAfter, type Browse, type Message, MESSAGES_MAX, pretty, tailSql, wholeSql, withNewest } from './messages';

const PARTS = [
  { partition: 0, start: 0, end: 10_000 },
  { partition: 1, start: 5, end: 20 },
];

const NEWEST: Browse = { partition: null, from: 'newest', place: '', search: '' };

const message = (partition: number, offset: number): Message => ({ partition, offset, at: 0, key: null, value: null, headers: '{}' });

describe('messages', () => {
  it('reads only the end of each partition for the newest', () => {
    const sql = browseSql('a"b', PARTS, NEWEST);
    expect(sql).toContain('FROM topics."a""b"');
    expect(sql).toContain(`(partition = 0 AND "offset" >= ${10_000 - MESSAGES_MAX}) OR (partition = 1 AND "offset" >= 5)`);
    expect(sql).toContain('DESC');
    expect(browseSql('t', PARTS, { ...NEWEST, partition: 1 })).toContain('WHERE partition = 1 AND "offset" >= 5 ORDER');
    expect(browseSql('t', [], NEWEST)).toContain('WHERE (false)');
  });

  it('takes what people type as values, never as SQL', () => {
    expect(browseSql('t', PARTS, { ...NEWEST, from: 'offset', place: "7 OR 1=1" })).toContain('"offset" >= 0');
    expect(browseSql('t', PARTS, { ...NEWEST, from: 'offset', place: ' 42 ' })).toContain('"offset" >= 42');
    expect(browseSql('t', PARTS, { ...NEWEST, from: 'time', place: "x'; DROP" })).toContain("TIMESTAMPTZ 'x''; DROP'");
    expect(browseSql('t', PARTS, { ...NEWEST, search: "50%_o'clock" })).toContain("ILIKE '%50\\%\\_o''clock%'");
  });

  it('looks through everything when something is searched for', () => {
    expect(browseSql('t', PARTS, { ...NEWEST, search: 'x' })).toContain('WHERE (true) AND (key ILIKE');
    expect(browseSql('t', PARTS, { ...NEWEST, search: 'x', partition: 1 })).toContain('WHERE (true) AND partition = 1 AND (key');
  });

  it('follows behind what has come, and keeps no more than it shows', () => {
    const ends = new Map([
      [0, 10],
      [1, 4],
    ]);
    expect(tailSql('t', ends, NEWEST)).toContain('(partition = 0 AND "offset" >= 10) OR (partition = 1 AND "offset" >= 4)');
    expect(tailSql('t', ends, { ...NEWEST, partition: 1 })).not.toContain('partition = 0');
    expect([...endsAfter(ends, [message(0, 12), message(0, 11), message(2, 0)])]).toEqual([
      [0, 13],
      [1, 4],
      [2, 1],
    ]);
    const shown = Array.from({ length: MESSAGES_MAX }, (_, index) => message(0, index));
    const next = withNewest(shown, [message(1, 1), message(1, 2)]);
    expect(next).toHaveLength(MESSAGES_MAX);
    expect(next.slice(0, 3).map((one) => [one.partition, one.offset])).toEqual([
      [1, 2],
      [1, 1],
      [0, 0],
    ]);
  });

  it('shows one message whole', () => {
    expect(wholeSql('t', message(3, 7))).toContain('WHERE partition = 3 AND "offset" = 7');
    expect(pretty('{"a":[1]}')).toBe('{\n  "a": [\n    1\n  ]\n}');
    expect(pretty('no json')).toBe('no json');
  });
});

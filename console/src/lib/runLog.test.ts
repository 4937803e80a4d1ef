import { expect, test } from 'vitest';

import { lastQuery, logLines } from './runLog';

const LOG = '2026-11-26T14:55:07.776Z attempt 2 of 3\n2026-11-26T14:55:07.776Z query 01a2185a-6800-7486-a0c5-e3eb26d2c7f6\n2026-11-26T14:55:08.403Z failed: no such table (42P01)\n  a line more\n';

test('a line has a time and words', () => {
  expect(logLines(LOG).map((line) => [line.time?.slice(11, 19) ?? null, line.text.slice(0, 9), line.bad])).toEqual([
    ['14:55:07', 'attempt 2', false],
    ['14:55:07', 'query 01a', false],
    ['14:55:08', 'failed: n', true],
    [null, '  a line ', false],
  ]);
  expect(logLines('')).toEqual([]);
});

test('the statement that runs is the one named last', () => {
  expect(lastQuery(LOG)).toBe('01a2185a-6800-7486-a0c5-e3eb26d2c7f6');
  expect(lastQuery('2026-11-26T14:55:07.776Z waiting')).toBeNull();
});

import { IntervalMonthDayNano, makeData, makeVector } from 'apache-arrow';
import { expect, test } from 'vitest';

import { cellText, intervalText, kindOf, linesOf, typeName } from './cell';

test('intervals are written as PostgreSQL writes them', () => {
  expect(intervalText(14, 3, 14_706_500_000_000n)).toBe('1 year 2 mons 3 days 04:05:06.5');
  expect(intervalText(0, 0, 0n)).toBe('00:00:00');
  expect(intervalText(-1, 1, -3_600_000_000_000n)).toBe('-1 mons 1 day -01:00:00');
  expect(intervalText(0, 0, 360_000_000_001_000n)).toBe('100:00:00.000001');
});

test('an interval of a batch', () => {
  const type = new IntervalMonthDayNano();
  // Months, days, and the halves of the nanoseconds, the lower one first.
  const values = new Int32Array([1, 2, 1_000_000_000, 0, 0, 0, -1_000_000_000, -1]);
  const vector = makeVector(makeData({ type, length: 2, nullCount: 0, data: values }));
  expect(cellText(vector, 0)).toBe('1 mon 2 days 00:00:01');
  expect(cellText(vector, 1)).toBe('-00:00:01');
  expect([typeName(type), kindOf(type)]).toEqual(['interval', 'text']);
});

test('lines of a text', () => {
  expect(['', 'a', 'a\n', 'a\nb', 'a\r\n\r\nb\n'].map(linesOf)).toEqual([1, 1, 1, 2, 3]);
});

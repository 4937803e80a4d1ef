import { describe, expect, test } from 'vitest';

import { ago, bytes, clockTime, compact, count, duration, number, percent, plural } from './format';

const cases = (name: string, list: [unknown, unknown][]) =>
  describe(name, () => {
    for (const [actual, expected] of list) test(String(expected), () => expect(actual).toBe(expected));
  });

cases('count', [
  [count(0), '0'],
  [count(336_776), '336,776'],
  [plural(1, 'row'), '1 row'],
  [plural(0, 'row'), '0 rows'],
  [plural(2, 'query', 'queries'), '2 queries'],
  [compact(1_204_000), '1.2m'],
]);

cases('bytes', [
  [bytes(0), '0 B'],
  [bytes(999), '999 B'],
  [bytes(1_000), '1.0 KB'],
  [bytes(31_053_850), '31.1 MB'],
  [bytes(999_960), '1.0 MB'],
  [bytes(421_900), '422 KB'],
]);

cases('duration', [
  [duration(8.4), '8 ms'],
  [duration(1_440), '1.4 s'],
  [duration(59_960), '1 min 00 s'],
  [duration(125_000), '2 min 05 s'],
  [duration(3_600_000 * 2 + 60_000 * 7), '2 h 07 min'],
]);

const now = Date.parse('2026-03-10T12:00:00Z');
cases('ago', [
  [ago('2026-03-10T11:59:40Z', now), 'just now'],
  [ago('2026-03-10T12:00:30Z', now), 'just now'],
  [ago('2026-03-10T11:57:00Z', now), '3 min ago'],
  [ago('2026-03-10T07:00:00Z', now), '5 h ago'],
  [ago('2026-03-09T11:00:00Z', now), 'yesterday'],
  [ago('2026-03-01T12:00:00Z', now), '9 days ago'],
  [ago('2025-06-01T12:00:00Z', now), '1 Jun 2025'],
  [ago('not a time', now), 'not a time'],
]);

cases('percent', [
  [percent(0, 10), '0 %'],
  [percent(1, 100_000), '<0.1 %'],
  [percent(24, 1000), '2.4 %'],
  [percent(97, 100), '97 %'],
  [percent(99_999, 100_000), '>99.9 %'],
  [percent(10, 10), '100 %'],
  [percent(1, 0), '0 %'],
]);

cases('number', [
  [number(23.6781, 2), '23.68'],
  [number(1_234_567.891), '1,234,567.9'],
  [number(0.00001234), '1.234e-5'],
  [number(0), '0'],
  [number(Number.NaN), 'NaN'],
]);

cases('clockTime', [[clockTime(new Date(2026, 2, 10, 14, 3, 9).getTime()), '14:03:09']]);

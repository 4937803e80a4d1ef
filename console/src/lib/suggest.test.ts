import { describe, expect, test } from 'vitest';

import type { CellKind } from './cell';
import { fits, suggestChart } from './suggest';

const columns = (...list: [string, CellKind][]) => list.map(([name, kind]) => ({ name, kind, type: kind }));

describe('suggestChart', () => {
  const check = (list: [string, CellKind][], rows: number, expected: string): void => {
    const { kind, x, y, series } = suggestChart(columns(...list), rows);
    expect([kind, x, y.join('+'), series].filter(Boolean).join(' ')).toBe(expected);
  };
  test('time and a number', () => check([['day', 'time'], ['flights', 'number']], 365, 'line day flights'));
  test('time, a category and a number', () => check([['month', 'time'], ['origin', 'text'], ['flights', 'number']], 36, 'line month flights origin'));
  test('a whole number that orders time', () => check([['hour', 'number'], ['late', 'number']], 24, 'line hour late'));
  test('a category and a number', () => check([['carrier', 'text'], ['late', 'number']], 16, 'bar carrier late'));
  test('two categories', () => check([['carrier', 'text'], ['origin', 'text'], ['late', 'number']], 48, 'bar carrier late origin'));
  test('two measures', () => check([['temp', 'number'], ['delay', 'number']], 300, 'scatter temp delay'));
  test('two ordinals and a measure', () => check([['weekday', 'number'], ['hour', 'number'], ['late', 'number']], 168, 'heatmap hour late weekday'));
  test('one number alone', () => check([['count', 'number']], 1, 'number count'));
  test('many of one number', () => check([['delay', 'number']], 1000, 'histogram delay delay'));
  test('an id is no measure', () => check([['id', 'number'], ['name', 'text']], 50, 'table'));
  test('text alone', () => check([['name', 'text']], 50, 'table'));
  test('no rows', () => check([['day', 'time'], ['flights', 'number']], 0, 'table'));
});

describe('fits', () => {
  const chart = { kind: 'bar' as const, x: 'a', y: ['b'], series: null, stacked: false, title: null };
  test('all columns are there', () => expect(fits(chart, columns(['a', 'text'], ['b', 'number']))).toBe(true));
  test('one is gone', () => expect(fits(chart, columns(['a', 'text'], ['c', 'number']))).toBe(false));
});

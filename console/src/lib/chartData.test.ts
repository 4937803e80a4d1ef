import { Field, Float64, makeData, RecordBatch, Schema, Struct, Utf8, type Vector, vectorFromArray } from 'apache-arrow';
import { describe, expect, test } from 'vitest';

import type { ChartSpec } from '../services/types';
import { type ChartData, chartData, niceStep } from './chartData';
import { ResultSet } from './result';

function result(values: Record<string, (string | number | null)[]>): ResultSet {
  const vectors = Object.entries(values).map(([name, list]): [string, Vector] => [name, vectorFromArray(list, list.some((item) => typeof item === 'string') ? new Utf8() : (new Float64() as never))]);
  const fields = vectors.map(([name, vector]) => new Field(name, vector.type, true));
  const schema = new Schema(fields);
  const set = new ResultSet(schema);
  set.push(new RecordBatch(schema, makeData({ type: new Struct(fields), length: vectors[0]?.[1].length ?? 0, nullCount: 0, children: vectors.map(([, vector]) => vector.data[0]!) }) as never));
  return set;
}

const spec = (kind: ChartSpec['kind'], x: string | null, y: string[], series: string | null = null): ChartSpec => ({ kind, x, y, series, stacked: false, title: null });
const drawn = (data: ChartData | string): ChartData => {
  if (typeof data === 'string') throw new Error(data);
  return data;
};

describe('chartData', () => {
  test('a series for each name', () => {
    const data = drawn(chartData(result({ m: [1, 1, 2], o: ['a', 'b', 'a'], n: [10, 20, 30] }), spec('line', 'm', ['n'], 'o')));
    expect(data.series).toEqual([{ name: 'a', points: [[1, 10], [2, 30]] }, { name: 'b', points: [[1, 20]] }]);
  });
  test('lines run from left to right', () => expect(drawn(chartData(result({ x: [3, 1, 2], y: [1, 2, 3] }), spec('line', 'x', ['y']))).series[0]?.points.map((point) => point[0])).toEqual([1, 2, 3]));
  test('bars keep the order of the rows', () => expect(drawn(chartData(result({ x: ['c', 'a'], y: [1, 2] }), spec('bar', 'x', ['y']))).categories).toEqual(['c', 'a']));
  test('many categories are cut, and it says so', () => {
    const data = drawn(chartData(result({ x: Array.from({ length: 100 }, (_, n) => `v${n}`), y: Array.from({ length: 100 }, (_, n) => n) }), spec('bar', 'x', ['y'])));
    expect([data.categories.length, data.note]).toEqual([60, 'the first 60 of 100 values are drawn; use ORDER BY and LIMIT to choose which']);
  });
  test('small slices become one', () => expect(drawn(chartData(result({ x: [...'abcdefghij'], y: [9, 8, 7, 6, 5, 4, 3, 2, 1, 1] }), spec('pie', 'x', ['y']))).series[0]?.points.at(-1)).toEqual(['3 others', 4]));
  test('a histogram counts every value once', () => {
    const data = drawn(chartData(result({ v: [0, 1, 2, 2, 99, null] }), spec('histogram', null, ['v'])));
    expect([data.series[0]?.points.reduce((sum, point) => sum + (point[1] ?? 0), 0), data.note]).toEqual([5, '1 rows without a number are left out']);
  });
  test('a histogram of one value', () => expect(drawn(chartData(result({ v: [7, 7] }), spec('histogram', null, ['v']))).series[0]?.points).toEqual([['7', 2]]));
  test('a reason when there is nothing to draw', () => expect(chartData(result({ x: ['a'], y: [1] }), spec('bar', 'x', []))).toBe('no number is chosen to draw; choose one for the vertical axis'));
});

test('niceStep', () => expect([0, 0.03, 0.9, 3, 7, 42].map(niceStep)).toEqual([0, 0.05, 1, 5, 10, 50]));

import { Bool, DateDay, Decimal, Dictionary, Field, Float64, Int32, Int64, List, makeData, RecordBatch, Schema, Struct, TimestampMicrosecond, TimestampNanosecond, Utf8, type Vector, vectorFromArray } from 'apache-arrow';
import { describe, expect, test } from 'vitest';

import { cellNumber, cellText, decimalText, timestampText, typeName } from './cell';
import { csvParts, ResultSet } from './result';

describe('timestampText', () => {
  const check = (ticks: bigint, unit: number, expected: string): void => expect(timestampText(ticks, unit)).toBe(expected);
  test('seconds', () => check(1_356_998_400n, 0, '2013-01-01 00:00:00'));
  test('every digit of nanoseconds', () => check(1_356_998_400_123_456_789n, 3, '2013-01-01 00:00:00.123456789'));
  test('no digit that says nothing', () => check(1_356_998_400_500_000n, 2, '2013-01-01 00:00:00.5'));
  test('before 1970', () => check(-1n, 1, '1969-12-31 23:59:59.999'));
});

describe('decimalText', () => {
  const check = (unscaled: bigint, scale: number, expected: string): void => expect(decimalText(unscaled, scale)).toBe(expected);
  test('scale', () => check(12345n, 2, '123.45'));
  test('below one', () => check(-5n, 3, '-0.005'));
  test('no scale', () => check(7n, 0, '7'));
  test('negative scale', () => check(7n, -2, '700'));
});

function batch(vectors: Record<string, Vector>): RecordBatch {
  const fields = Object.entries(vectors).map(([name, vector]) => new Field(name, vector.type, true));
  const length = Object.values(vectors)[0]?.length ?? 0;
  const children = Object.values(vectors).map((vector) => vector.data[0]!);
  return new RecordBatch(new Schema(fields), makeData({ type: new Struct(fields), length, nullCount: 0, children }) as never);
}

describe('cellText', () => {
  const check = (vector: Vector, expected: (string | null)[]): void => expect(expected.map((_, index) => cellText(vector, index))).toEqual(expected);
  test('large integers stay exact', () => check(vectorFromArray([9_007_199_254_740_993n, null], new Int64()), ['9007199254740993', null]));
  test('floats', () => check(vectorFromArray([0.1, -0, Number.NaN, null], new Float64()), ['0.1', '-0', 'NaN', null]));
  test('text and the empty text', () => check(vectorFromArray(['a', '', null], new Utf8()), ['a', '', null]));
  test('dictionary', () => check(vectorFromArray(['JFK', 'LGA', null], new Dictionary(new Utf8(), new Int32())), ['JFK', 'LGA', null]));
  test('boolean', () => check(vectorFromArray([true, false, null], new Bool()), ['true', 'false', null]));
  test('date', () => check(vectorFromArray([new Date('2013-06-30')], new DateDay()), ['2013-06-30']));
  test('timestamp with zone', () => check(vectorFromArray([1_356_998_400_000], new TimestampMicrosecond('UTC')), ['2013-01-01 00:00:00Z']));
  test('infinities', () => check(vectorFromArray([Infinity, -Infinity], new Float64()), ['Infinity', '-Infinity']));
  test('no number in a list', () => check(vectorFromArray([[Number.NaN, -Infinity, 1.5, null]], new List(new Field('item', new Float64(), true))), ['["NaN","-Infinity",1.5,null]']));
  test('list', () => check(vectorFromArray([['a', 'b'], [], null], new List(new Field('item', new Utf8(), true))), ['["a","b"]', '[]', null]));
  test('decimal', () => {
    const data = makeData({ type: new Decimal(2, 10, 128), length: 2, data: new Uint32Array([12345, 0, 0, 0, 0xfffffffb, 0xffffffff, 0xffffffff, 0xffffffff]) });
    const vector = { type: data.type, data: [data], length: 2 } as unknown as Vector;
    check(vector, ['123.45', '-0.05']);
    expect(cellNumber(vector, 1)).toBe(-0.05);
  });
  test('nanoseconds as a number are milliseconds', () => expect(cellNumber(vectorFromArray([1_356_998_400_000], new TimestampNanosecond()), 0)).toBe(1_356_998_400_000));
});

describe('typeName', () => {
  test('names of SQL', () => expect([new Int64(), new Float64(), new Utf8(), new DateDay(), new TimestampMicrosecond('UTC'), new Decimal(2, 10, 128)].map(typeName)).toEqual(['bigint', 'double', 'text', 'date', 'timestamptz', 'decimal(10,2)']));
});

describe('ResultSet', () => {
  const first = batch({ n: vectorFromArray([3n, 1n], new Int64()), t: vectorFromArray(['c', null], new Utf8()) });
  const second = batch({ n: vectorFromArray([null, 2n], new Int64()), t: vectorFromArray(['a,"b"', ''], new Utf8()) });
  const make = (): ResultSet => {
    const result = new ResultSet(first.schema);
    result.push(first);
    result.push(second);
    return result;
  };
  test('cells across batches', () => expect([0, 1, 2, 3].map((row) => make().text(row, 0))).toEqual(['3', '1', null, '2']));
  test('a row that is not there', () => expect(make().text(4, 0)).toBeNull());
  test('order, missing last', () => expect([...make().order(0, false)]).toEqual([1, 3, 0, 2]));
  test('order descending, missing still last', () => expect([...make().order(0, true)]).toEqual([0, 3, 1, 2]));
  test('order of text', () => expect([...make().order(1, false)]).toEqual([3, 2, 0, 1]));
  test('a limit of values', () => expect(make().numbers(0, 3)).toEqual([3, 1, null]));
  test('CSV tells missing from empty', () => expect(csvParts(make()).join('')).toBe('n,t\r\n3,c\r\n1,\r\n,"a,""b"""\r\n2,""\r\n'));
});

// Arrow cells as text and as numbers, exact where JavaScript's numbers are not.

import { type Data, DataType, Type, type Vector } from 'apache-arrow';

export type CellKind = 'number' | 'time' | 'text' | 'boolean' | 'nested' | 'binary' | 'null';

/** What a type is for a grid or a chart. A dictionary is what its values are. */
export function kindOf(type: DataType): CellKind {
  if (DataType.isDictionary(type)) return kindOf(type.dictionary as DataType);
  switch (type.typeId) {
    case Type.Int:
    case Type.Float:
    case Type.Decimal:
      return 'number';
    case Type.Date:
    case Type.Timestamp:
      return 'time';
    case Type.Bool:
      return 'boolean';
    case Type.Binary:
    case Type.LargeBinary:
    case Type.BinaryView:
    case Type.FixedSizeBinary:
      return 'binary';
    case Type.List:
    case Type.FixedSizeList:
    case Type.Struct:
    case Type.Map:
    case Type.Union:
      return 'nested';
    case Type.Null:
      return 'null';
    default:
      return 'text';
  }
}

/** The SQL name of an Arrow type, short enough for a column header. */
export function typeName(type: DataType): string {
  if (DataType.isDictionary(type)) return typeName(type.dictionary as DataType);
  if (DataType.isInt(type)) {
    const names: Record<number, string> = { 8: 'tinyint', 16: 'smallint', 32: 'int', 64: 'bigint' };
    return `${type.isSigned ? '' : 'u'}${names[type.bitWidth] ?? 'int'}`;
  }
  if (DataType.isFloat(type)) return type.precision === 2 ? 'double' : 'real';
  if (DataType.isDecimal(type)) return `decimal(${type.precision},${type.scale})`;
  if (DataType.isTimestamp(type)) return type.timezone ? 'timestamptz' : 'timestamp';
  if (DataType.isDate(type)) return 'date';
  if (DataType.isTime(type)) return 'time';
  if (DataType.isBool(type)) return 'boolean';
  if (DataType.isInterval(type)) return 'interval';
  if (kindOf(type) === 'binary') return 'blob';
  if (kindOf(type) === 'text') return 'text';
  return String(type).toLowerCase();
}

const UNIT_DIGITS = [0, 3, 6, 9];

/** Ticks since 1970 as `2013-01-01 05:15:00.123456789`: every digit that the value has, none that it has not. */
export function timestampText(ticks: bigint, unit: number): string {
  const digits = UNIT_DIGITS[unit] ?? 3;
  const perSecond = 10n ** BigInt(digits);
  let seconds = ticks / perSecond;
  let fraction = ticks % perSecond;
  if (fraction < 0n) {
    fraction += perSecond;
    seconds -= 1n;
  }
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return `${ticks}`;
  const text = date.toISOString().slice(0, -5).replace('T', ' ');
  if (fraction === 0n) return text;
  return `${text}.${fraction.toString().padStart(digits, '0').replace(/0+$/, '')}`;
}

const MONTH_DAY_NANO = 2;
const NANOS_PER_SECOND = 1_000_000_000n;

/** An interval as PostgreSQL writes it: `1 year 2 mons 3 days -04:05:06.5`. */
export function intervalText(months: number, days: number, nanos: bigint): string {
  const parts: string[] = [];
  const add = (count: number, unit: string): void => {
    if (count !== 0) parts.push(`${count} ${unit}${count === 1 ? '' : 's'}`);
  };
  add(Math.trunc(months / 12), 'year');
  add(months % 12, 'mon');
  add(days, 'day');
  if (nanos !== 0n || parts.length === 0) {
    const size = nanos < 0n ? -nanos : nanos;
    const two = (value: bigint): string => value.toString().padStart(2, '0');
    const seconds = size / NANOS_PER_SECOND;
    const fraction = (size % NANOS_PER_SECOND).toString().padStart(9, '0').replace(/0+$/, '');
    const clock = `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}`;
    parts.push(`${nanos < 0n ? '-' : ''}${clock}${fraction && `.${fraction}`}`);
  }
  return parts.join(' ');
}

/** An unscaled integer with a decimal point: `decimalText(12345n, 2)` is `123.45`. */
export function decimalText(unscaled: bigint, scale: number): string {
  const negative = unscaled < 0n;
  const digits = (negative ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const text = scale > 0 ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}` : digits + '0'.repeat(-scale);
  return negative ? `-${text}` : text;
}

function decimalOf(data: Data, index: number, bitWidth: number): bigint {
  const words = data.values as unknown as Uint32Array;
  const stride = bitWidth / 32;
  let value = 0n;
  for (let word = stride - 1; word >= 0; word -= 1) value = (value << 32n) | BigInt((words[index * stride + word] ?? 0) >>> 0);
  return BigInt.asIntN(bitWidth, value);
}

function hex(value: Uint8Array): string {
  const shown = value.subarray(0, 64);
  const text = [...shown].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `\\x${text}${value.length > shown.length ? '…' : ''}`;
}

function jsonSafe(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(jsonSafe);
  if (value !== null && typeof value === 'object') {
    if (Symbol.iterator in value && 'get' in value && 'length' in value) return [...(value as Iterable<unknown>)].map(jsonSafe);
    const plain = 'toJSON' in value ? (value as { toJSON(): object }).toJSON() : value;
    return Object.fromEntries(Object.entries(plain).map(([key, item]) => [key, jsonSafe(item)]));
  }
  return value;
}

function floatText(value: number): string {
  if (Object.is(value, -0)) return '-0';
  return String(value);
}

/** One cell as exact text; `null` is missing. */
export function cellText(vector: Vector, index: number): string | null {
  const type = vector.type as DataType;
  const [data, at] = locate(vector, index);
  if (!data.getValid(at)) return null;
  if (DataType.isTimestamp(type)) return timestampText((data.values as unknown as BigInt64Array)[at] ?? 0n, type.unit) + (type.timezone ? 'Z' : '');
  if (DataType.isDecimal(type)) return decimalText(decimalOf(data, at, type.bitWidth), type.scale);
  if (DataType.isInterval(type) && type.unit === MONTH_DAY_NANO) {
    const words = (data.values as unknown as Int32Array).subarray(at * 4, at * 4 + 4);
    return intervalText(words[0] ?? 0, words[1] ?? 0, (BigInt(words[3] ?? 0) << 32n) | BigInt((words[2] ?? 0) >>> 0));
  }
  const value: unknown = vector.get(index);
  if (value === null || value === undefined) return null;
  if (DataType.isDate(type)) return new Date(Number(value)).toISOString().slice(0, 10);
  if (DataType.isTime(type)) return timestampText(BigInt(value as number | bigint), type.unit).slice(11);
  if (typeof value === 'number') return floatText(value);
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === 'object') return JSON.stringify(jsonSafe(value));
  return String(value);
}

/** How many lines a text has; a line break at its end begins no line. */
export function linesOf(text: string): number {
  let lines = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < text.length - 1; at = text.indexOf('\n', at + 1)) lines += 1;
  return lines;
}

/** One cell as a number, for charts and sorting; times are milliseconds since 1970. `null` is missing or no number. */
export function cellNumber(vector: Vector, index: number): number | null {
  const type = vector.type as DataType;
  const [data, at] = locate(vector, index);
  if (!data.getValid(at)) return null;
  if (DataType.isTimestamp(type)) {
    const ticks = (data.values as unknown as BigInt64Array)[at] ?? 0n;
    return type.unit === 0 ? Number(ticks) * 1000 : Number(ticks) / 1000 ** (type.unit - 1);
  }
  if (DataType.isDecimal(type)) return Number(decimalText(decimalOf(data, at, type.bitWidth), type.scale));
  const value: unknown = vector.get(index);
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string' && value !== '' && kindOf(type) === 'number') return Number(value);
  return null;
}

/** The chunk of a vector that holds a row, and the row's place in it. Batches of a stream have one chunk. */
function locate(vector: Vector, index: number): [Data, number] {
  let rest = index;
  for (const chunk of vector.data) {
    if (rest < chunk.length) return [chunk as Data, rest];
    rest -= chunk.length;
  }
  throw new RangeError(`row ${index} of ${vector.length}`);
}


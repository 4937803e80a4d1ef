import type { ChartKind, ChartSpec } from '../services/types';
import type { ResultColumn } from './result';

const spec = (kind: ChartKind, x: string | null, y: string[], series: string | null = null): ChartSpec => ({ kind, x, y, series, stacked: false, title: null });

/** Numbers that name something rather than measure it. */
const IDENTIFIER = /(^|_)(id|key|code|zip|postcode|number|no|flight)$/i;
/** Whole numbers that order time, so that a line may run over them. */
const ORDINAL = /^(year|month|week|day|hour|minute|quarter|dow|weekday|day_of_week|decade)$/i;

/**
 * The chart that fits the columns: time and numbers are a line, a category and a number bars, two numbers dots,
 * one number alone a tile. Anything else stays a table.
 */
export function suggestChart(columns: ResultColumn[], rows: number): ChartSpec {
  const numbers = columns.filter((column) => column.kind === 'number');
  const measures = numbers.filter((column) => !IDENTIFIER.test(column.name) && !ORDINAL.test(column.name));
  const times = columns.filter((column) => column.kind === 'time');
  const texts = columns.filter((column) => column.kind === 'text' || column.kind === 'boolean');
  const ordinals = numbers.filter((column) => ORDINAL.test(column.name));
  const firstMeasure = measures[0]?.name;
  if (rows === 0 || columns.length === 0) return spec('table', null, []);
  if (rows === 1 && numbers.length >= 1 && columns.length === 1) return spec('number', null, [numbers[0]?.name ?? '']);
  if (firstMeasure === undefined) return spec('table', null, []);
  const all = measures.map((column) => column.name).slice(0, 6);
  const time = times[0] ?? ordinals[0];
  if (time && ordinals.length === 2 && times.length === 0 && texts.length === 0 && measures.length === 1) return spec('heatmap', ordinals[1]?.name ?? null, [firstMeasure], ordinals[0]?.name ?? null);
  if (time && rows > 1) return spec('line', time.name, texts[0] ? [firstMeasure] : all, texts[0]?.name ?? null);
  if (texts.length === 2 && measures.length === 1 && rows > 4) return { ...spec('bar', texts[0]?.name ?? null, [firstMeasure], texts[1]?.name ?? null), stacked: true };
  if (texts.length >= 1 && rows <= 200) return spec('bar', texts[0]?.name ?? null, all.slice(0, 3));
  if (measures.length >= 2) return spec('scatter', firstMeasure, [measures[1]?.name ?? '']);
  if (measures.length === 1 && columns.length === 1 && rows > 20) return spec('histogram', firstMeasure, [firstMeasure]);
  if (ordinals.length === 1) return spec('bar', ordinals[0]?.name ?? null, all);
  return spec('table', null, []);
}

/** A kept chart is only shown when its columns are still there. */
export function fits(chart: ChartSpec, columns: ResultColumn[]): boolean {
  const names = new Set(columns.map((column) => column.name));
  return [chart.x, chart.series, ...chart.y].every((name) => name === null || names.has(name));
}

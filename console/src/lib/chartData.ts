// A result and a chart's description in, drawable series out. No library, so that it can be tested alone.

import type { ChartSpec } from '../services/types';
import type { ResultSet } from './result';

export type XKind = 'time' | 'number' | 'category';
export type Point = [number | string, number | null];

export interface ChartSeries {
  name: string;
  points: Point[];
}

export interface ChartData {
  xKind: XKind;
  /** The categories are times or numbers, so they run from left to right. */
  ordered: boolean;
  xName: string;
  yName: string;
  categories: string[];
  series: ChartSeries[];
  /** For a heatmap: the names along the vertical axis. */
  rows: string[];
  /** Every series is one point, so its name belongs beside it. */
  lone: boolean;
  /** What was left out, in words; `null` when all is drawn. */
  note: string | null;
}

export const POINTS_MAX = 20_000;
export const CATEGORIES_MAX = 60;
const SERIES_MAX = 12;
const SLICES_MAX = 8;
const BINS = 30;

const MISSING = '(missing)';

/** `null` and a reason in words when the chart cannot be drawn from these columns. */
export function chartData(result: ResultSet, spec: ChartSpec): ChartData | string {
  const index = (name: string | null): number => (name === null ? -1 : result.columns.findIndex((column) => column.name === name));
  if (result.rows === 0) return 'the answer has no rows';
  const ys = spec.y.map(index).filter((at) => at >= 0);
  if (ys.length === 0) return 'no number is chosen to draw; choose one for the vertical axis';
  if (spec.kind === 'histogram') return histogram(result, ys[0] ?? 0);
  const x = index(spec.x);
  if (x < 0) return 'no column is chosen for the horizontal axis';
  const series = index(spec.series);
  if (spec.kind === 'heatmap') return series < 0 ? 'a heatmap needs a second category, one for each of its rows' : heatmap(result, x, series, ys[0] ?? 0);
  return plain(result, spec, x, ys, series);
}

function kindOfX(result: ResultSet, spec: ChartSpec, x: number): XKind {
  const kind = result.columns[x]?.kind;
  if (spec.kind === 'bar' || spec.kind === 'pie') return kind === 'time' && spec.kind === 'bar' && result.rows > 40 ? 'time' : 'category';
  return kind === 'time' ? 'time' : kind === 'number' ? 'number' : 'category';
}

function plain(result: ResultSet, spec: ChartSpec, x: number, ys: number[], series: number): ChartData {
  const rows = Math.min(result.rows, POINTS_MAX);
  const xKind = kindOfX(result, spec, x);
  const notes: string[] = [];
  if (rows < result.rows) notes.push(`the first ${POINTS_MAX.toLocaleString('en-GB')} rows are drawn; aggregate in SQL to draw all`);
  const xs: (number | string | null)[] = xKind === 'category' ? categoryTexts(result, x, rows) : result.numbers(x, rows);
  const named = series >= 0 ? result.texts(series, rows) : null;
  const byName = new Map<string, Point[]>();
  for (const y of ys) {
    const values = result.numbers(y, rows);
    const yName = result.columns[y]?.name ?? '';
    for (let row = 0; row < rows; row += 1) {
      const name = named ? `${named[row] ?? MISSING}${ys.length > 1 ? ` · ${yName}` : ''}` : yName;
      let points = byName.get(name);
      if (!points) byName.set(name, (points = []));
      const at = xs[row] ?? (xKind === 'category' ? MISSING : null);
      if (at !== null) points.push([at, values[row] ?? null]);
    }
  }
  let list = [...byName].map(([name, points]) => ({ name, points }));
  const lone = spec.kind === 'scatter' && list.every((item) => item.points.length === 1);
  if (list.length > SERIES_MAX && !lone) {
    notes.push(`${SERIES_MAX} of ${list.length} series are drawn, those with the most in them`);
    list = list.sort((a, b) => total(b.points) - total(a.points)).slice(0, SERIES_MAX);
  }
  if (xKind !== 'category' && spec.kind !== 'scatter') for (const item of list) item.points.sort((a, b) => Number(a[0]) - Number(b[0]));
  let categories = xKind === 'category' ? [...new Set(list.flatMap((item) => item.points.map((point) => String(point[0]))))] : [];
  if (spec.kind === 'pie') list = [slices(list[0] ?? { name: '', points: [] })];
  else if (categories.length > CATEGORIES_MAX) {
    notes.push(`the first ${CATEGORIES_MAX} of ${categories.length.toLocaleString('en-GB')} values are drawn; use ORDER BY and LIMIT to choose which`);
    categories = categories.slice(0, CATEGORIES_MAX);
    const kept = new Set(categories);
    list = list.map((item) => ({ ...item, points: item.points.filter((point) => kept.has(String(point[0]))) }));
  }
  return {
    xKind,
    ordered: ['time', 'number'].includes(result.columns[x]?.kind ?? ''),
    xName: result.columns[x]?.name ?? '',
    yName: ys.length === 1 ? (result.columns[ys[0] ?? 0]?.name ?? '') : '',
    categories,
    series: list,
    rows: [],
    lone,
    note: notes.join('; ') || null,
  };
}

function categoryTexts(result: ResultSet, column: number, rows: number): (string | null)[] {
  const texts = result.texts(column, rows);
  if (result.columns[column]?.kind !== 'time') return texts;
  // Midnight says nothing when every value has it.
  const whole = texts.every((text) => text === null || /(^\d+-\d\d-\d\d$)|( 00:00:00Z?$)/.test(text));
  if (!whole) return texts;
  const monthly = texts.every((text) => text === null || text.slice(8, 10) === '01') && new Set(texts).size > 1;
  return texts.map((text) => (text === null ? null : monthly ? monthText(text) : text.slice(0, 10)));
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Jan 2013`: the first of a month stands for the month. */
const monthText = (text: string): string => `${MONTHS[Number(text.slice(5, 7)) - 1] ?? ''} ${text.slice(0, 4)}`;

const total = (points: Point[]): number => points.reduce((sum, point) => sum + Math.abs(point[1] ?? 0), 0);

/** The largest slices by themselves, the rest together. */
function slices(series: ChartSeries): ChartSeries {
  const sorted = [...series.points].filter((point) => (point[1] ?? 0) > 0).sort((a, b) => (b[1] ?? 0) - (a[1] ?? 0));
  if (sorted.length <= SLICES_MAX) return { ...series, points: sorted };
  const rest = sorted.slice(SLICES_MAX - 1);
  return { ...series, points: [...sorted.slice(0, SLICES_MAX - 1), [`${rest.length} others`, rest.reduce((sum, point) => sum + (point[1] ?? 0), 0)]] };
}

function histogram(result: ResultSet, column: number): ChartData | string {
  const values = result.numbers(column).filter((value): value is number => value !== null && Number.isFinite(value));
  const name = result.columns[column]?.name ?? '';
  if (values.length === 0) return `every value of ${name} is missing`;
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const step = niceStep((high - low) / BINS) || 1;
  const start = Math.floor(low / step) * step;
  const bins = Math.floor((high - start) / step) + 1;
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    const bin = Math.min(bins - 1, Math.floor((value - start) / step));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const label = (bin: number): string => (start + bin * step).toFixed(digits);
  const categories = counts.map((_, bin) => label(bin));
  const missing = result.rows - values.length;
  return {
    xKind: 'category',
    ordered: true,
    xName: `${name}, in steps of ${Number(step.toPrecision(6))}`,
    yName: 'rows',
    categories,
    series: [{ name: 'rows', points: counts.map((value, bin): Point => [categories[bin] ?? '', value]) }],
    rows: [],
    lone: false,
    note: missing > 0 ? `${missing.toLocaleString('en-GB')} rows without a number are left out` : null,
  };
}

/** The next of 1, 2, 5, 10, … that is not below. */
export function niceStep(raw: number): number {
  if (!(raw > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= raw * 0.999) ?? 10;
  return factor * power;
}

function heatmap(result: ResultSet, x: number, series: number, y: number): ChartData {
  const rows = Math.min(result.rows, POINTS_MAX);
  const xs = categoryTexts(result, x, rows).map((text) => text ?? MISSING);
  const names = categoryTexts(result, series, rows).map((text) => text ?? MISSING);
  const values = result.numbers(y, rows);
  const order = (texts: string[], column: number): string[] => {
    const distinct = [...new Set(texts)];
    return result.columns[column]?.kind === 'number' ? distinct.sort((a, b) => Number(a) - Number(b)) : distinct;
  };
  const byName = new Map<string, Point[]>();
  names.forEach((name, row) => {
    let points = byName.get(name);
    if (!points) byName.set(name, (points = []));
    points.push([xs[row] ?? MISSING, values[row] ?? null]);
  });
  return {
    xKind: 'category',
    ordered: false,
    xName: result.columns[x]?.name ?? '',
    yName: result.columns[y]?.name ?? '',
    categories: order(xs, x),
    series: [...byName].map(([name, points]) => ({ name, points })),
    rows: order(names, series),
    lone: false,
    note: rows < result.rows ? `the first ${POINTS_MAX.toLocaleString('en-GB')} rows are drawn` : null,
  };
}

// What an answer to EXPLAIN has in it, and the telling part of it in words.

import { compact, count } from './format';
import { parsePlan, type Plan, type PlanNode, propertiesOf, type RowCount, splitTop } from './plan';
import { splitStatements } from './sql';

/** A kind of plan, and its text: the server's `plan_type` and `plan`. */
export interface PlanText {
  kind: string;
  text: string;
}

export interface Explained {
  texts: PlanText[];
  /** The plan that is carried out; `null` when it is none that can be read. */
  plan: Plan | null;
  /** What a change came to: `UPDATE of public.stock: 1 row`. */
  change: string | null;
}

/** VERBOSE has a row for every rule that was tried on the plan, some hundred. */
const ROWS_MAX = 5000;

interface Answer {
  columns: { name: string; kind: string }[];
  rows: number;
  text: (row: number, column: number) => string | null;
}

/** True for an answer of the shape of EXPLAIN's, to a statement that is one: a table may have such columns, too. */
export function isExplained(columns: Answer['columns'], command: string | null, sql: string): boolean {
  const shape = columns.length === 2 && columns[0]?.name === 'plan_type' && columns[1]?.name === 'plan' && columns.every((column) => column.kind === 'text');
  if (!shape) return false;
  // Before the answer is there, the statement tells.
  return command === null ? /^explain\b/i.test(splitStatements(sql).at(-1)?.text ?? '') : command === 'EXPLAIN';
}

export function explained(answer: Answer): Explained {
  const texts = Array.from({ length: Math.min(answer.rows, ROWS_MAX) }, (_, row) => ({ kind: answer.text(row, 0) ?? '', text: answer.text(row, 1) ?? '' }));
  const of = (kind: string): string | undefined => texts.find((item) => item.kind === kind)?.text;
  const [measured, physical] = [of('Plan with Metrics'), of('physical_plan')];
  const plan = measured !== undefined ? parsePlan(measured, true) : physical !== undefined ? parsePlan(physical, false) : null;
  return { texts, plan, change: of('change')?.trim() ?? null };
}

/** All of it as text, each plan under its kind. */
export function wholeText(texts: PlanText[]): string {
  if (texts.length === 1) return texts[0]?.text ?? '';
  return texts.map((item) => `[${item.kind}]\n${item.text.replace(/\n+$/, '')}\n`).join('\n');
}

/** Without the places of columns behind their names, and names that say the same twice. */
export function tidy(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/([\w)\]"])@\d+\b/g, '$1')
    .replaceAll('count(Int64(1))', 'count(*)')
    .replace(/\b([\w.]+|count\(\*\)) as \1(?![\w.(])/g, '$1');
}

/** `[a, b]` as `a, b`. */
function bare(text: string): string {
  const list = splitTop(text);
  return list.length === 1 && text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
}

/** How many files `{2 groups: [[a:0..9, b], [a:9..17]]}` names; large ones are read in parts. */
function filesIn(groups: string): string {
  const names = groups.replace(/^\{\d+ groups?: |[[\]}]/g, '').split(', ');
  const files = new Set(names.filter((name) => name !== '' && !name.startsWith('...')).map((name) => name.replace(/:\d+\.\.\d+$/, '')));
  const more = names.some((name) => name.startsWith('...'));
  return `${count(files.size)}${more ? '+' : ''} ${files.size === 1 && !more ? 'file' : 'files'}`;
}

function projection(list: string): string {
  return bare(list).split(', ').filter((name) => !name.startsWith('__ducklake_')).join(', ');
}

const JOINED = /\(([^(),]+), ([^(),]+)\)/g;

/** How the parts of a detail are told, in this order; `null` is the part without a name. What is not here is left to the whole detail. */
const TOLD: [string | null, (value: string) => string][] = [
  [null, bare],
  ['name', bare],
  ['join_type', (value) => value],
  ['on', (value) => bare(value).replace(JOINED, '$1 = $2')],
  ['mode', (value) => ({ Partial: 'partial', Final: 'final', FinalPartitioned: 'final, partitioned', Single: 'single', SinglePartitioned: 'single, partitioned' })[value] ?? ''],
  ['gby', (value) => bare(value) && `by ${bare(value)}`],
  ['aggr', bare],
  ['file_groups', filesIn],
  ['expr', bare],
  ['filter', (value) => `where ${bare(value)}`],
  ['wdw', (value) => bare(value).replace(/: (?:Ok\()?Field \{.*$/s, '')],
  ['partitioning', (value) => value],
  ['skip', (value) => `skip ${value}`],
  ['fetch', (value) => `first ${value}`],
  ['files', (value) => (value === '0' ? '' : `in ${value} ${value === '1' ? 'file' : 'files'}`)],
  ['sink', (value) => value],
  ['batch_generators', bare],
  ['predicate', (value) => (/^DynamicFilter \[ empty \]$/.test(value) ? '' : `where ${value}`)],
];

/** The telling part of an operator's detail, on one line; empty when its name says all. */
export function telling(node: PlanNode): string {
  const properties = propertiesOf(node.detail);
  const parts = TOLD.flatMap(([name, tell]) => properties.filter((property) => property.name === name).map((property) => tell(property.value)));
  // The columns of a scan are what it reads; elsewhere they are what is handed on.
  const read = properties.find((property) => property.name === 'projection');
  if (node.name === 'DataSourceExec' && read) parts.splice(1, 0, projection(read.value));
  return tidy(parts.filter((part) => part !== '').join(' · '));
}

const NANOS_PER_MS = 1e6;

/** Work of an operator: `398 ns`, `22 µs`, `3.6 ms`, `1.2 s`. */
export function shortTime(nanos: number): string {
  if (nanos < 999.5) return `${Math.round(nanos)} ns`;
  if (nanos < 999_500) return `${digits(nanos / 1000)} µs`;
  if (nanos < 999.5 * NANOS_PER_MS) return `${digits(nanos / NANOS_PER_MS)} ms`;
  return `${digits(nanos / 1e9)} s`;
}

const digits = (value: number): string => (value < 9.95 ? value.toFixed(1) : count(Math.round(value)));

/** Rows that an operator gave: exact where the server's number is. */
export const rowsText = (rows: RowCount): string => (rows.rounded ? compact(rows.value) : count(rows.value));

/** A metric that says that nothing happened. */
export const isNothing = (value: string): boolean => /^0(\.0+)?( [A-Z]+|%|ns)?( total → 0 matched| \(0\/.*\))?$/.test(value) || value === 'N/A';

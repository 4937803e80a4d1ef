import { typeFamily } from '../components/TypeIcon';
import type { ChartSpec, ColumnProfile, TableDetail, TableProfile } from '../services/types';
import { quoteName, quoteTable } from './sql';

const IDENTIFIER = /(^|_)(id|key|code|zip|postcode|number|no|index|line)$|^(id|uuid)/i;
const AMOUNT = /amount|price|revenue|sales|cost|total|value|quantity|qty|count|duration|delay|score|rate|distance|weight|temp|fare|tip/i;

interface Column {
  name: string;
  type: string;
  family: ReturnType<typeof typeFamily>;
  profile: ColumnProfile | null;
}

const chart = (kind: ChartSpec['kind'], x: string | null, y: string[]): ChartSpec => ({ kind, x, y, series: null, stacked: false, title: null });

/** A first look at a table that nobody has seen: a query that says something about it, and the chart for its answer. */
export function firstChart(detail: TableDetail, profile: TableProfile | null): { sql: string; spec: ChartSpec } {
  const table = quoteTable(detail.schema, detail.name);
  const columns: Column[] = detail.columns.map((column) => ({
    name: column.name,
    type: column.type,
    family: typeFamily(column.type),
    profile: profile?.columns.find((item) => item.name === column.name) ?? null,
  }));
  const measure = bestMeasure(columns);
  const time = columns.find((column) => column.family === 'time' && !/^time\b(?!stamp)/i.test(column.type) && varies(column));
  const category = bestCategory(columns, profile?.rows ?? detail.rows ?? 0);
  const aggregate = measure ? `${AMOUNT.test(measure.name) && /amount|revenue|sales|total|quantity|qty|count/i.test(measure.name) ? 'sum' : 'avg'}(${quoteName(measure.name)})` : 'count(*)';
  const alias = measure ? `${aggregate.slice(0, 3) === 'sum' ? 'total' : 'average'}_${measure.name}` : 'rows';
  if (time) {
    const unit = timeUnit(time.profile);
    const name = quoteName(time.name);
    const truncated = `date_trunc('${unit}', ${name})`;
    // Of a day it is the instant at which that day begins in the session's time zone.
    const period = /^date$/i.test(time.type) ? `CAST(${truncated} AS date)` : truncated;
    const sql = `SELECT ${period} AS ${unit},\n       ${aggregate} AS ${quoteName(alias)}\nFROM ${table}\nWHERE ${name} IS NOT NULL\nGROUP BY 1\nORDER BY 1`;
    return { sql, spec: chart('line', unit, [alias]) };
  }
  if (category) {
    const name = quoteName(category.name);
    const sql = `SELECT ${name},\n       ${aggregate} AS ${quoteName(alias)}\nFROM ${table}\nGROUP BY ${name}\nORDER BY 2 DESC\nLIMIT 20`;
    return { sql, spec: chart('bar', category.name, [alias]) };
  }
  const numbers = columns.filter((column) => column.family === 'number' && !IDENTIFIER.test(column.name) && varies(column));
  const [a, b] = numbers;
  if (a && b) return { sql: `SELECT ${quoteName(a.name)}, ${quoteName(b.name)}\nFROM ${table}\nLIMIT 5000`, spec: chart('scatter', a.name, [b.name]) };
  if (a) return { sql: `SELECT ${quoteName(a.name)}\nFROM ${table}\nLIMIT 100000`, spec: chart('histogram', a.name, [a.name]) };
  return { sql: `SELECT count(*) AS rows\nFROM ${table}`, spec: chart('number', null, ['rows']) };
}

function varies(column: Column): boolean {
  const { profile } = column;
  return profile === null || profile.distinct === null || profile.distinct > 1;
}

function bestMeasure(columns: Column[]): Column | undefined {
  const numbers = columns.filter((column) => column.family === 'number' && !IDENTIFIER.test(column.name) && varies(column) && !/^(year|month|day|hour|minute|lat|lon|latitude|longitude)$/i.test(column.name));
  return numbers.find((column) => AMOUNT.test(column.name)) ?? numbers[0];
}

/** A column with a few names, not one for each row. */
function bestCategory(columns: Column[], rows: number): Column | undefined {
  const texts = columns.filter((column) => column.family === 'text' || column.family === 'boolean');
  const fitting = texts.filter((column) => {
    const distinct = column.profile?.distinct;
    return distinct === null || distinct === undefined || (distinct > 1 && distinct < Math.max(3, Math.min(1000, rows * 0.5)));
  });
  return fitting.find((column) => (column.profile?.distinct ?? 0) <= 40) ?? fitting[0];
}

const DAY = 86_400_000;

/** The step that gives some dozens of points between the first and the last. */
function timeUnit(profile: ColumnProfile | null): string {
  const span = profile ? Date.parse(String(profile.max)) - Date.parse(String(profile.min)) : NaN;
  if (!Number.isFinite(span)) return 'month';
  if (span > 12 * 366 * DAY) return 'year';
  if (span > 150 * DAY) return 'month';
  if (span > 3 * DAY) return 'day';
  return span > 4 * 3_600_000 ? 'hour' : 'minute';
}

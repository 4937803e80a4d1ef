// Answers to SQL, by looking at the words of it. Enough to see every screen, and no more.
import { Bool, DateDay, Field, Float64, Int64, makeData, RecordBatch, RecordBatchStreamWriter, Schema, Struct, TimestampMicrosecond, TimestampNanosecond, Utf8, vectorFromArray, List } from 'apache-arrow';

import { CARRIERS, findTable } from './tables.mjs';

const TYPES = { bigint: new Int64(), double: new Float64(), text: new Utf8(), boolean: new Bool(), date: new DateDay(), timestamptz: new TimestampMicrosecond('UTC'), timestamp: new TimestampNanosecond(), list: new List(new Field('item', new Utf8(), true)) };

function batch(columns, from, to) {
  const data = columns.map((c) => {
    const values = Array.from({ length: to - from }, (_, i) => c.make(from + i));
    const big = c.type === 'bigint' ? values.map((v) => (v === null ? null : BigInt(v))) : values;
    return vectorFromArray(big, TYPES[c.type]).data[0];
  });
  const schema = new Schema(columns.map((c) => new Field(c.name, TYPES[c.type], true)));
  return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: to - from, nullCount: 0, children: data }));
}

const column = (name, type, make) => ({ name, type, make });
const fromRows = (names, types, rows) => ({ columns: names.map((name, i) => column(name, types[i], (n) => rows[n][i])), rows: rows.length, scanned: 336_776 });

const MONTHLY = { EWR: [9893, 9107, 10420, 10531, 10592, 10175, 10475, 10359, 9550, 10104, 9707, 9922], JFK: [9161, 8421, 9697, 9218, 9397, 9472, 10023, 9983, 8908, 9143, 8710, 9146], LGA: [7950, 7423, 8717, 8581, 8807, 8596, 8927, 8985, 9116, 9642, 8851, 9067] };
const FUNCTIONS = ['abs', 'avg', 'coalesce', 'count', 'date_part', 'date_trunc', 'lag', 'lower', 'max', 'median', 'min', 'percentile_cont', 'rank', 'regexp_replace', 'round', 'row_number', 'sum', 'upper'];
const HOURLY = [0.7, 1.6, 1.9, 4.1, 4.6, 6.5, 7.2, 8.6, 11.4, 13.8, 16.9, 18.8, 21.1, 21.1, 24.8, 24.3, 21.7, 18.4, 14.0];

const DESTINATIONS = ['Hartsfield Jackson Atlanta Intl', 'Chicago Ohare Intl', 'Los Angeles Intl', 'General Edward Lawrence Logan Intl', 'Orlando Intl', 'Charlotte Douglas Intl', 'San Francisco Intl', 'Fort Lauderdale Hollywood Intl', 'Miami Intl', 'Ronald Reagan Washington Natl', 'Detroit Metro Airport', 'Dallas Fort Worth Intl'];
const tenth = (value) => Math.round(value * 10) / 10;

/** The demo's saved queries, known by a word that only each of them has. */
function story(sql) {
  if (/AS departures\b/.test(sql)) return fromRows(['month', 'origin', 'departures'], ['date', 'text', 'bigint'], Array.from({ length: 36 }, (_, i) => { const o = ['EWR', 'JFK', 'LGA'][i % 3]; const m = Math.floor(i / 3); return [Date.UTC(2013, m, 1), o, MONTHLY[o][m]]; }));
  if (/AS wind_mph/.test(sql)) return fromRows(['visibility_miles', 'late_percent', 'cancelled_percent', 'wind_mph', 'flights'], ['bigint', 'double', 'double', 'double', 'bigint'], Array.from({ length: 11 }, (_, i) => [i, tenth(43 - i * 2.1), tenth(14 - i * 1.2), tenth(9 + i / 5), 700 + i * i * 2700]));
  if (/plane_age_years/.test(sql)) return fromRows(['carrier', 'plane_age_years', 'late_percent', 'flights'], ['text', 'double', 'double', 'bigint'], CARRIERS.slice(0, 14).map((c, i) => [c[1], tenth(2 + ((i * 53) % 19)), tenth(12 + ((i * 37) % 17)), c[2]]));
  if (/late_or_cancelled_percent/.test(sql)) return fromRows(['destination', 'hour', 'late_or_cancelled_percent', 'flights'], ['text', 'bigint', 'double', 'bigint'], Array.from({ length: 12 * 17 }, (_, i) => [DESTINATIONS[Math.floor(i / 17)], 5 + (i % 17), tenth(6 + (i % 17) * 2.2 + ((Math.floor(i / 17) * 29) % 11)), 60 + ((i * 97) % 900)]));
  if (/AS cancelled_percent/.test(sql)) return fromRows(['month', 'late_percent', 'cancelled_percent'], ['date', 'double', 'double'], [17.6, 19.3, 20.5, 22.1, 20.9, 28.2, 28.6, 21.1, 12.9, 13.6, 12.6, 24.9].map((late, m) => [Date.UTC(2013, m, 1), late, [1.9, 5.1, 3.0, 2.4, 2.0, 3.6, 3.2, 1.7, 1.6, 0.8, 0.9, 3.6][m]]));
  if (/AS late_percent/.test(sql)) return fromRows(['hour', 'origin', 'late_percent', 'flights'], ['bigint', 'text', 'double', 'bigint'], Array.from({ length: 54 }, (_, i) => [5 + Math.floor(i / 3), ['EWR', 'JFK', 'LGA'][i % 3], tenth(3 + HOURLY[Math.floor(i / 3)] * [1.5, 1.25, 1.1][i % 3]), 500 + i * 40]));
  if (/date_trunc\('month'/.test(sql)) return fromRows(['month', 'origin', 'flights'], ['timestamptz', 'text', 'bigint'], Array.from({ length: 36 }, (_, i) => { const o = ['EWR', 'JFK', 'LGA'][i % 3]; const m = Math.floor(i / 3); return [Date.UTC(2013, m, 1), o, MONTHLY[o][m]]; }));
  if (/polder\.functions/.test(sql)) return fromRows(['name', 'kind', 'signature', 'description'], ['text', 'text', 'text', 'text'], FUNCTIONS.map((f) => [f, 'scalar', `${f}(…)`, '']));
  if (/polder\.snapshots/.test(sql)) return fromRows(['snapshot', 'committed_at', 'author', 'message', 'changes'], ['bigint', 'timestamptz', 'text', 'text', 'text'], [[14, Date.now() - 180_000, 'polder', 'correct the tail numbers', 'inserted_into_table:flights'], [12, Date.now() - 4_020_000, 'ana', null, 'inserted_into_table:flights'], [9, Date.now() - 5_000_000, 'polder', null, 'created_view:daily_delays'], [8, Date.now() - 5_640_000, 'polder', 'load weather.csv', 'created_table:weather,inserted_into_table:weather']]);
  return null;
}

const OPERATORS = [['ProjectionExec: expr=[count(Int64(1))@1 as flights]', 16, '4.50µs'], ['AggregateExec: mode=Single, gby=[name@1 as name], aggr=[count(Int64(1))]', 16, '4.10ms'], ['HashJoinExec: mode=CollectLeft, join_type=Inner, on=[(carrier@0, carrier@0)]', '48.29 K', '18.06ms'], ['TableScanExec: public.airlines'], ['TableScanExec: public.flights']];

/** A plan of flights and airlines, whatever is explained. */
function explanation(sql) {
  const analyzed = /^explain\s*\(?\s*analyze/i.test(sql);
  const lines = OPERATORS.map(([operator, rows, time], i) => `${'  '.repeat(Math.min(i, 3))}${operator}${analyzed ? `, metrics=[${time ? `output_rows=${rows}, elapsed_compute=${time}` : ''}]` : ''}`);
  return analyzed ? [['Plan with Metrics', lines.join('\n')]] : [['logical_plan', 'Projection: count(Int64(1)) AS flights\n  TableScan: flights'], ['physical_plan', lines.join('\n')]];
}

const WIDE = [
  column('id', 'bigint', (n) => n + 1),
  column('label', 'text', (n) => (n % 11 === 3 ? null : n % 1000 === 7 ? '' : `row number ${n + 1}`)),
  column('ratio', 'double', (n) => (n % 17 === 0 ? null : Math.sin(n / 500) * 1000)),
  column('seen_at', 'timestamp', (n) => 1_356_998_400_000 + n * 1000),
  column('even', 'boolean', (n) => n % 2 === 0),
];

function position(sql, at) {
  const before = sql.slice(0, at).split('\n');
  return { line: before.length, column: [...before.at(-1)].length + 1 };
}

class Refusal extends Error {
  constructor(code, kind, status, message, hint, at) {
    super(message);
    Object.assign(this, { code, kind, status, hint, at });
  }
}

const COMMANDS = [[/^insert/i, 'INSERT', 212], [/^update/i, 'UPDATE', 40], [/^delete/i, 'DELETE', 17], [/^create\s+(or\s+replace\s+)?(table|view|schema)/i, 'CREATE TABLE', null], [/^drop/i, 'DROP TABLE', null], [/^begin/i, 'BEGIN', null], [/^commit/i, 'COMMIT', null], [/^rollback/i, 'ROLLBACK', null], [/^set/i, 'SET', null]];

/** What to answer: `{columns, rows, command, changed, ms, scanned}`; throws a refusal as the server would. */
export function plan(sql, lake, rowLimit) {
  const text = sql.replace(/\/\*.*?\*\//g, '').trim();
  const wrong = /\b(selec|form|wehre|gruop)\b/i.exec(sql);
  if (wrong) throw new Refusal('42601', 'invalid_input', 400, `syntax error at or near "${wrong[1]}"`, wrong[1].toLowerCase() === 'selec' ? 'did you mean `SELECT`?' : null, position(sql, wrong.index));
  const answer = (columns, rows, extra = {}) => ({ columns, rows: Math.min(rows, rowLimit), command: 'SELECT', changed: null, ms: 30, scanned: rows, ...extra });
  for (const [pattern, command, changed] of COMMANDS) if (pattern.test(text)) return answer([], 0, { command, changed });
  if (/^explain\b/i.test(text)) return answer(['plan_type', 'plan'].map((name, i) => column(name, 'text', (n) => explanation(text)[n][i])), explanation(text).length, { command: 'EXPLAIN' });
  if (/from polder\.columns/i.test(sql)) {
    const all = lake.flatMap((s) => s.tables.flatMap((t) => t.columns.map((c) => [s.name, t.name, c.name, c.type])));
    return answer(['schema_name', 'table_name', 'column_name', 'data_type'].map((name, i) => column(name, 'text', (n) => all[n][i])), all.length);
  }
  const told = story(sql);
  if (told) return { ...answer(told.columns, told.rows), scanned: told.scanned, ms: 60 };
  const range = /(?:range|generate_series)\((?:1,\s*)?(\d+)\)/i.exec(sql);
  if (range) return answer(WIDE, Number(range[1]), { ms: 1500 });
  if (/slow/i.test(sql)) return answer([column('answer', 'bigint', () => 42)], 1, { ms: 25_000, scanned: 336_776_000 });
  if (/broken/i.test(sql)) return answer(WIDE, 20_000, { ms: 2500, breaks: true });
  const unknown = /\b(delay_minutes|colour)\b/i.exec(sql);
  if (unknown) throw new Refusal('42703', 'not_found', 404, `column "${unknown[1]}" does not exist in flights`, 'did you mean `dep_delay`?', position(sql, unknown.index));
  const from = /\b(?:from|into|update|join)\s+((?:"[^"]+"|[\w]+)(?:\.(?:"[^"]+"|\w+))?)/i.exec(sql);
  if (from) {
    const name = from[1].replaceAll('"', '');
    if (name.startsWith('polder.') || name.startsWith('information_schema.')) return answer([column('name', 'text', (n) => `row ${n}`)], 5);
    const table = findTable(lake, name);
    if (!table) throw new Refusal('42P01', 'not_found', 404, `table "${name}" does not exist`, 'did you mean `flights`? the Data page lists every table', position(sql, from.index + from[0].length - from[1].length));
    if (/count\(\*\)/i.test(sql) && !/group by/i.test(sql)) return answer([column('count', 'bigint', () => table.rows)], 1, { scanned: table.rows });
    if (/group by/i.test(sql)) return answer([column('carrier', 'text', (n) => CARRIERS[n][0]), column('rows', 'bigint', (n) => CARRIERS[n][2])], 16, { scanned: table.rows });
    const limit = Number(/limit\s+(\d+)/i.exec(sql)?.[1] ?? table.rows);
    return answer(table.columns, Math.min(limit, table.rows), { ms: table.rows > 1e5 && limit > 1e5 ? 1800 : 40, scanned: table.rows });
  }
  return answer([column('answer', 'bigint', () => 42)], 1);
}

export { position, Refusal };

/** Streams the planned rows; `alive` says whether somebody still wants them. */
export async function stream(planned, response, alive, onProgress) {
  const writer = new RecordBatchStreamWriter();
  const size = 8192;
  const pieces = Math.max(1, Math.ceil(planned.rows / size));
  const pauses = Math.max(1, Math.round(planned.ms / 50));
  const perPause = pieces / pauses;
  const chunks = writer[Symbol.asyncIterator]();
  const schema = batch(planned.columns, 0, 0);
  writer.write(schema);
  const pump = (async () => {
    for (;;) {
      const { value, done } = await chunks.next();
      if (done) return;
      if (!response.writableEnded && !response.destroyed) response.write(Buffer.from(value));
    }
  })();
  let sent = 0;
  for (let tick = 0; tick < pauses; tick += 1) {
    await new Promise((go) => setTimeout(go, planned.ms / pauses));
    if (!alive()) return false;
    onProgress((tick + 1) / pauses);
    if (planned.breaks && tick > pauses / 2) {
      response.destroy();
      return false;
    }
    while (sent < pieces && sent < (tick + 1) * perPause) {
      if (planned.rows > 0) writer.write(batch(planned.columns, sent * size, Math.min(planned.rows, (sent + 1) * size)));
      sent += 1;
      if (sent % 8 === 0) await new Promise((go) => setImmediate(go));
    }
  }
  writer.close();
  await pump;
  return true;
}

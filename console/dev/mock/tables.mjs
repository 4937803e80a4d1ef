// A small lake for trying the console without a server. Shapes are real; the values are made up on the spot.

const DAY = 86_400_000;
const hash = (n) => {
  let x = (n + 0x9e3779b9) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return ((x ^ (x >>> 15)) >>> 0) / 4294967296;
};
const pick = (list, n) => list[Math.floor(hash(n) * list.length)];

export const CARRIERS = [
  ['UA', 'United Air Lines Inc.', 58665], ['B6', 'JetBlue Airways', 54635], ['EV', 'ExpressJet Airlines Inc.', 54173], ['DL', 'Delta Air Lines Inc.', 48110],
  ['AA', 'American Airlines Inc.', 32729], ['MQ', 'Envoy Air', 26397], ['US', 'US Airways Inc.', 20536], ['9E', 'Endeavor Air Inc.', 18460],
  ['WN', 'Southwest Airlines Co.', 12275], ['VX', 'Virgin America', 5162], ['FL', 'AirTran Airways Corporation', 3260], ['AS', 'Alaska Airlines Inc.', 714],
  ['F9', 'Frontier Airlines Inc.', 685], ['YV', 'Mesa Airlines Inc.', 601], ['HA', 'Hawaiian Airlines Inc.', 342], ['OO', 'SkyWest Airlines Inc.', 32],
];
const DESTS = ['ORD', 'ATL', 'LAX', 'BOS', 'MCO', 'CLT', 'SFO', 'FLL', 'MIA', 'DCA', 'DTW', 'DFW', 'RDU', 'TPA', 'DEN', 'IAH', 'MSP', 'PBI', 'BNA', 'LAS'];
const ORIGINS = ['EWR', 'JFK', 'LGA'];

const col = (name, type, make, extra = {}) => ({ name, type, make, nullable: true, default: null, comment: null, ...extra });
const when = (n) => Date.UTC(2013, 0, 1) + Math.floor((n * 525_600) / 336_776) * 60_000 + 5 * 3_600_000;
const missing = (n, share) => hash(n * 7 + 3) < share;

const flights = [
  col('year', 'bigint', () => 2013),
  col('month', 'bigint', (n) => new Date(when(n)).getUTCMonth() + 1),
  col('day', 'bigint', (n) => new Date(when(n)).getUTCDate()),
  col('dep_time', 'bigint', (n) => (missing(n, 0.025) ? null : 500 + Math.floor(hash(n) * 1800))),
  col('sched_dep_time', 'bigint', (n) => 500 + Math.floor(hash(n + 1) * 1800)),
  col('dep_delay', 'bigint', (n) => (missing(n, 0.025) ? null : Math.round(-12 + 60 * hash(n + 2) ** 4 * 5)), { comment: 'minutes, negative is early' }),
  col('arr_time', 'bigint', (n) => (missing(n, 0.026) ? null : 700 + Math.floor(hash(n + 4) * 1600))),
  col('sched_arr_time', 'bigint', (n) => 700 + Math.floor(hash(n + 5) * 1600)),
  col('arr_delay', 'bigint', (n) => (missing(n, 0.028) ? null : Math.round(-30 + 60 * hash(n + 6) ** 3 * 5)), { comment: 'minutes, negative is early' }),
  col('carrier', 'text', (n) => pick(CARRIERS, n)[0]),
  col('flight', 'bigint', (n) => 1 + Math.floor(hash(n + 8) * 6000)),
  col('tailnum', 'text', (n) => (missing(n, 0.0075) ? null : `N${10000 + Math.floor(hash(n + 9) * 80000)}`)),
  col('origin', 'text', (n) => pick(ORIGINS, n + 10)),
  col('dest', 'text', (n) => pick(DESTS, n + 11)),
  col('air_time', 'bigint', (n) => (missing(n, 0.028) ? null : 20 + Math.floor(hash(n + 12) * 400))),
  col('distance', 'bigint', (n) => 80 + Math.floor(hash(n + 13) * 2900), { comment: 'miles' }),
  col('hour', 'bigint', (n) => 5 + Math.floor(hash(n + 14) * 19)),
  col('minute', 'bigint', (n) => Math.floor(hash(n + 15) * 60)),
  col('time_hour', 'timestamptz', (n) => Math.floor(when(n) / 3_600_000) * 3_600_000),
];
const weather = [
  col('origin', 'text', (n) => ORIGINS[n % 3]),
  col('time_hour', 'timestamptz', (n) => Date.UTC(2013, 0, 1, 6) + Math.floor(n / 3) * 3_600_000),
  col('temp', 'double', (n) => Math.round((55 - 25 * Math.cos((n / 26115) * 6.283) + 12 * hash(n)) * 100) / 100, { comment: '°F' }),
  col('humid', 'double', (n) => Math.round((35 + 60 * hash(n + 1)) * 100) / 100, { comment: '%' }),
  col('wind_speed', 'double', (n) => (missing(n, 0.001) ? null : Math.round(23 * hash(n + 2) * 1e4) / 1e4), { comment: 'mph' }),
  col('wind_gust', 'double', (n) => (missing(n, 0.79) ? null : 16 + Math.round(25 * hash(n + 3)))),
  col('precip', 'double', (n) => (hash(n + 4) < 0.93 ? 0 : Math.round(hash(n + 5) * 30) / 100), { comment: 'inches' }),
  col('visib', 'double', (n) => (hash(n + 6) < 0.85 ? 10 : Math.round(hash(n + 7) * 100) / 10), { comment: 'miles' }),
];
const planes = [
  col('tailnum', 'text', (n) => `N${10156 + n * 7}`, { nullable: false }),
  col('year', 'bigint', (n) => (missing(n, 0.021) ? null : 1985 + Math.floor(hash(n) * 28))),
  col('manufacturer', 'text', (n) => pick(['BOEING', 'AIRBUS INDUSTRIE', 'EMBRAER', 'BOMBARDIER INC', 'AIRBUS', 'MCDONNELL DOUGLAS'], n)),
  col('model', 'text', (n) => pick(['737-7H4', 'A320-232', 'EMB-145LR', 'CL-600-2D24', '737-824', 'MD-88'], n)),
  col('engines', 'bigint', (n) => (hash(n) < 0.98 ? 2 : 1)),
  col('seats', 'bigint', (n) => pick([55, 140, 149, 182, 200, 379], n + 2)),
  col('engine', 'text', (n) => (hash(n) < 0.8 ? 'Turbo-fan' : 'Turbo-jet')),
];
const airports = [
  col('faa', 'text', (n) => DESTS[n % DESTS.length], { nullable: false }),
  col('name', 'text', (n) => `${DESTS[n % DESTS.length]} International Airport`),
  col('lat', 'double', (n) => Math.round((25 + 24 * hash(n)) * 1e7) / 1e7),
  col('lon', 'double', (n) => Math.round((-120 + 50 * hash(n + 1)) * 1e7) / 1e7),
  col('alt', 'bigint', (n) => Math.floor(hash(n + 2) ** 3 * 7000)),
  col('tzone', 'text', (n) => pick(['America/New_York', 'America/Chicago', 'America/Denver', 'America/Los_Angeles'], n)),
];
const airlines = [
  col('carrier', 'text', (n) => CARRIERS[n % 16][0], { nullable: false }),
  col('name', 'text', (n) => CARRIERS[n % 16][1]),
];
const daily = [
  col('day', 'date', (n) => Date.UTC(2013, 0, 1) + n * DAY),
  col('flights', 'bigint', (n) => 842 + Math.round(140 * hash(n))),
  col('late_share', 'double', (n) => Math.round(1000 * (0.1 + 0.3 * hash(n + 1))) / 1000),
];
const wide = Array.from({ length: 48 }, (_, i) =>
  col(`question_${i + 1}_how_satisfied_were_you_with_the_service_that_you_received_on_the_day`, i % 3 ? 'text' : 'double', (n) =>
    i % 3 ? pick(['very satisfied', 'satisfied', 'neither satisfied nor dissatisfied, because it depended on the hour', null], n + i) : hash(n + i) * 10));

const table = (name, columns, rows, size, updated, extra = {}) => ({ name, columns, rows, bytes: size, files: Math.max(1, Math.round(size / 4e6)), comment: null, kind: 'table', updated, ...extra });

const MIN = 60_000;

export function makeLake(kind) {
  if (kind === 'empty') return [{ name: 'public', tables: [] }];
  const lake = [
    {
      name: 'public',
      tables: [
        table('airlines', airlines, 16, 1_834, 95 * MIN),
        table('airports', airports, 1_458, 61_220, 95 * MIN),
        table('daily_delays', daily, 365, null, 40 * MIN, { kind: 'view', files: null, sql: 'SELECT date_trunc(\'day\', time_hour) AS day, count(*) AS flights,\n       avg(CASE WHEN arr_delay > 15 THEN 1.0 ELSE 0.0 END) AS late_share\nFROM flights\nGROUP BY 1' }),
        table('flights', flights, 336_776, 5_880_412, 3 * MIN, { comment: 'All departures from New York in 2013' }),
        table('planes', planes, 3_322, 40_118, 95 * MIN),
        table('weather', weather, 26_115, 421_900, 94 * MIN, { comment: 'Hourly weather at the three airports' }),
      ],
    },
    {
      name: 'staging',
      tables: [
        table('customer_satisfaction_survey_responses_europe_middle_east_and_africa_2013_q4_final_v2', wide, 18_204, 2_209_118, 26 * 60 * MIN),
        table('sales__rejects', [col('source', 'text', () => 'sales.csv'), col('line', 'bigint', (n) => 12 + n * 97), col('column', 'text', () => 'amount'), col('reason', 'text', () => '`n/a (see note)` is no number'), col('raw', 'text', (n) => `2013-02-0${(n % 9) + 1},EWR,n/a (see note)`)], 17, 4_100, 27 * 60 * MIN),
      ],
    },
  ];
  if (kind === 'many') {
    const topics = ['orders', 'payments', 'clicks', 'sessions', 'shipments', 'returns', 'inventory', 'prices', 'events', 'invoices'];
    lake.push({ name: 'warehouse', tables: Array.from({ length: 1000 }, (_, n) => table(`${pick(topics, n)}_${2010 + (n % 14)}_${String(n).padStart(4, '0')}`, airlines, Math.round(10 ** (2 + 5 * hash(n))), Math.round(10 ** (4 + 5 * hash(n))), n * 37 * MIN)) });
  }
  return lake;
}

export function findTable(lake, name) {
  const [schema, table] = name.includes('.') ? name.split('.') : ['public', name];
  return lake.find((s) => s.name === schema)?.tables.find((t) => t.name === table) ?? null;
}

const iso = (ago) => new Date(Date.now() - ago).toISOString();

export const listing = (t) => ({ name: t.name, kind: t.kind, rows: t.rows, bytes: t.bytes, files: t.files, comment: t.comment, updated_at: iso(t.updated) });

export const detail = (schema, t) => ({
  schema, ...listing(t), created_at: iso(t.updated + 3 * DAY), sql: t.sql ?? null,
  columns: t.columns.map((c, i) => ({ name: c.name, type: c.type, nullable: c.nullable, default: c.default, comment: c.comment, position: i + 1 })),
});

const show = (type, value) => (type === 'date' ? new Date(value).toISOString().slice(0, 10) : type.startsWith('timestamp') ? new Date(value).toISOString().slice(0, 19).replace('T', ' ') : String(value));

/** Works out a profile from 2,000 made-up rows, as the server would from all. */
export function profile(t) {
  const looked = Math.min(t.rows, 2000);
  const step = t.rows / looked;
  return {
    rows: t.rows,
    sampled: t.rows > 300_000,
    columns: t.columns.map((c) => {
      const values = Array.from({ length: looked }, (_, i) => c.make(Math.floor(i * step))).filter((v) => v !== null);
      const missingRows = Math.round((1 - values.length / looked) * t.rows);
      const tally = new Map();
      for (const v of values) tally.set(v, (tally.get(v) ?? 0) + 1);
      const numeric = c.type !== 'text';
      const base = { name: c.name, type: c.type, missing: missingRows, distinct: Math.min(t.rows, Math.round(tally.size * (tally.size > 1500 ? step : 1))), distinct_exact: tally.size < 1500, min: null, max: null, mean: null, histogram: null, top: null };
      if (values.length === 0) return base;
      const sorted = numeric ? [...values].sort((a, b) => a - b) : [...values].sort();
      base.min = show(c.type, sorted[0]);
      base.max = show(c.type, sorted.at(-1));
      if (numeric && tally.size > 1) {
        const [low, high] = [sorted[0], sorted.at(-1)];
        const bins = Math.min(24, tally.size);
        const counts = new Array(bins).fill(0);
        for (const v of values) counts[Math.min(bins - 1, Math.floor(((v - low) / (high - low)) * bins))] += Math.round(step);
        base.histogram = counts.map((count, i) => ({ low: show(c.type, low + ((high - low) * i) / bins), high: show(c.type, low + ((high - low) * (i + 1)) / bins), count }));
        if (['bigint', 'double'].includes(c.type)) {
          base.mean = values.reduce((a, b) => a + b, 0) / values.length;
          base.histogram = base.histogram.map((b) => ({ ...b, low: Number(b.low), high: Number(b.high) }));
          base.min = Number(base.min);
          base.max = Number(base.max);
        }
      }
      if (tally.size < 1500) base.top = [...tally].sort((a, b) => b[1] - a[1]).slice(0, 10).map(([value, count]) => ({ value: show(c.type, value), count: Math.round(count * step) }));
      return base;
    }),
  };
}

export function history(t) {
  if (t.kind === 'view') return { versions: [{ snapshot: 9, committed_at: iso(t.updated), author: 'polder', message: null, changes: ['created_view'], rows_added: null, rows_removed: null }] };
  return {
    versions: [
      { snapshot: 14, committed_at: iso(t.updated), author: 'polder', message: 'correct the tail numbers', changes: ['inserted_into_table', 'deleted_from_table'], rows_added: 212, rows_removed: 212 },
      { snapshot: 12, committed_at: iso(t.updated + 64 * MIN), author: 'ana', message: null, changes: ['inserted_into_table'], rows_added: Math.round(t.rows * 0.4), rows_removed: 0 },
      { snapshot: 11, committed_at: iso(t.updated + DAY), author: 'polder', message: null, changes: ['altered_table'], rows_added: null, rows_removed: null },
      { snapshot: 3, committed_at: iso(t.updated + 3 * DAY), author: 'polder', message: `load ${t.name}.csv`, changes: ['created_table', 'inserted_into_table'], rows_added: Math.round(t.rows * 0.6), rows_removed: 0 },
    ],
  };
}

// Uploads, previews and loads that are only acted.

const ROWS = [['2013-01-01', 'EWR', '1545', '02134', '12.50', null], ['2013-01-01', 'LGA', '1714', '10001', '8.00', 'late, fog'], ['2013-01-02', 'JFK', '1141', '07302', '19.95', null], ['2013-01-02', 'JFK', '725', '00501', '4.10', 'gate changed'], ['2013-01-03', 'LGA', '461', '02134', '100.00', null]];
const COLUMNS = [['Date', 'date', 'date', null], ['Airport', 'airport', 'text', null], ['Flight No.', 'flight_no', 'bigint', null], ['ZIP', 'zip', 'text', 'leading zeros'], ['Amount (USD)', 'amount_usd', 'double', null], ['Remarks', 'remarks', 'text', '`NA` means missing']];

export function preview(name, options = {}) {
  const excel = /\.(xlsx?|ods)$/i.test(name);
  const stem = name.replace(/^.*\//, '').replace(/\.[^.]*$/, '').toLowerCase().replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '') || 'data';
  const header = options.header ?? true;
  const choice = (source) => options.columns?.find((c) => c.source === source);
  const make = (table) => ({
    table: `public.${table}`,
    source: name,
    format: options.format ?? (excel ? 'excel' : /json/i.test(name) ? 'json' : /parquet/i.test(name) ? 'parquet' : 'csv'),
    options: { format: options.format ?? (excel ? 'excel' : 'csv'), delimiter: options.delimiter ?? ',', quote: options.quote ?? '"', header, encoding: options.encoding ?? 'utf-8', nulls: options.nulls ?? ['NA'], columns: options.columns ?? [] },
    columns: COLUMNS.map(([source, target, type, remark], i) => {
      const from = header ? source : `column_${i + 1}`;
      const fix = choice(from);
      return { source: from, name: fix?.name ?? (header ? target : from), data_type: fix?.data_type ?? type, remark };
    }),
    rows: [...(header ? [] : [COLUMNS.map((c) => c[0])]), ...Array.from({ length: 20 }, (_, i) => ROWS[i % 5])],
    rows_seen: 5000,
    remarks: ['dates in `Date` are year first: 2013-01-13 is in line 14', '`ZIP` stays text, because 02134 has a leading zero'],
  });
  return { tables: excel ? [make(`${stem}_sheet1`), make(`${stem}_2013`)] : [make(stem)] };
}

export function startLoad(request, uploads, lake) {
  const names = [...(request.upload_ids ?? []).map((id) => uploads.get(id)?.name ?? 'data.csv'), ...(request.sources ?? [])];
  const size = (request.upload_ids ?? []).reduce((sum, id) => sum + (uploads.get(id)?.bytes ?? 0), 0) || 31_053_850;
  const slow = /slow|flights/.test(names.join());
  return { id: crypto.randomUUID(), names, request, size, begun: Date.now(), ms: slow ? 6000 : 900, rows: slow ? 336_776 : 1200, state: 'running', lake };
}

export function statusOf(load) {
  const elapsed = Math.min(Date.now() - load.begun, load.ended ? load.ended - load.begun : Infinity);
  const part = Math.min(1, elapsed / load.ms);
  if (part >= 1 && load.state === 'running') finish(load);
  const rejected = /clean/.test(load.names[0]) ? 0 : 3;
  const target = load.table ?? targetOf(load);
  return {
    load_id: load.id,
    state: load.state,
    progress: { phase: part < 0.3 ? 'inferring' : part < 0.95 ? 'loading' : 'committing', rows: Math.floor(load.rows * part), bytes_done: Math.floor(load.size * part), bytes_total: load.size, elapsed_ms: elapsed, current_source: load.names[0] },
    report: load.state !== 'done' ? null : {
      tables: [{
        table: target, rows_loaded: load.rows - rejected, rows_rejected: rejected, rejects_table: rejected ? `${target}__rejects` : null,
        sources: load.names.map((source) => ({ source, format: 'csv', rows_loaded: load.rows - rejected, rows_rejected: rejected, bytes: load.size, skipped: false })),
        remarks: ['dates in `Date` are year first: 2013-01-13 is in line 14'],
        rejects: rejected ? [{ source: load.names[0], line: 812, column: 'Amount (USD)', reason: '`twelve` is no number', raw: '2013-03-02,EWR,1545,02134,twelve,' }, { source: load.names[0], line: 990, column: null, reason: '5 cells where 6 were expected', raw: '2013-03-09,LGA,12,10001,4.00' }] : [],
      }],
      snapshot: 15,
      elapsed_ms: load.ms,
    },
    error: load.error ?? null,
  };
}

function targetOf(load) {
  const into = load.request.into ?? preview(load.names[0]).tables[0].table;
  return into.includes('.') ? into : `public.${into}`;
}

function finish(load) {
  load.ended = Date.now();
  const target = targetOf(load);
  const [schemaName, name] = target.split('.');
  let schema = load.lake.find((s) => s.name === schemaName);
  if (!schema) load.lake.push((schema = { name: schemaName, tables: [] }));
  if ((load.request.mode ?? 'create') === 'create' && schema.tables.some((t) => t.name === name)) {
    load.state = 'failed';
    load.error = { code: '42P07', message: `table "${target}" already exists`, position: null, hint: 'choose append or replace, or another name' };
    return;
  }
  load.state = 'done';
  load.table = target;
  const types = { date: (n) => Date.UTC(2013, 0, 1 + Math.floor(n / 4)), bigint: (n) => (n * 37) % 2000, double: (n) => Math.round(((n * 7919) % 10000)) / 100, text: (n) => ['EWR', 'JFK', 'LGA'][n % 3] };
  schema.tables = schema.tables.filter((t) => t.name !== name);
  schema.tables.push({ name, kind: 'table', rows: load.rows, bytes: load.size, files: 1, comment: null, updated: 0, columns: COLUMNS.map((c) => ({ name: c[1], type: c[2], make: types[c[2]], nullable: true, default: null, comment: null })) });
}

// Serves console/dist and acts the API, so that every screen can be seen without the server.
//
//   node dev/mock-server.mjs [--port 7499] [--lake full|empty|many] [--auth password|trust]
//
// Signing in: any user with the password `polder`, or once by /login?token=first.
import { createServer } from 'node:http';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import { parseArgs } from 'node:util';

import { preview, startLoad, statusOf } from './mock/loads.mjs';
import { plan, Refusal, stream } from './mock/results.mjs';
import { makeStreams, streamRoutes, tail } from './mock/streams.mjs';
import { detail, history, listing, makeLake, profile } from './mock/tables.mjs';

const { values: flags } = parseArgs({ options: { port: { type: 'string', default: '7499' }, lake: { type: 'string', default: 'full' }, auth: { type: 'string', default: 'password' } } });
const DEMO = new URL('../../demo/saved-queries.json', import.meta.url);
const DIST = new URL('../dist/', import.meta.url).pathname;
const CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.json': 'application/json' };

const state = {
  lake: makeLake(flags.lake),
  saved: flags.lake === 'empty' ? [] : JSON.parse(readFileSync(DEMO, 'utf8')).map((query) => ({ ...query, owner: 'polder', updated_at: new Date(Date.now() - 5_400_000).toISOString() })),
  tokens: flags.lake === 'empty' ? [] : [{ id: 't1', name: 'nightly export', user: 'polder', created_at: new Date(Date.now() - 9e8).toISOString(), last_used_at: new Date(Date.now() - 3e6).toISOString(), expires_at: null }],
  queries: [], uploads: new Map(), loads: new Map(), sessions: new Set(), link: 'first', password: 'polder',
};
if (flags.lake !== 'empty') {
  const texts = ["SELECT date_trunc('month', time_hour) AS month, origin, count(*) AS flights FROM flights GROUP BY 1, 2", 'SELECT carrier, count(*) FROM flights GROUP BY 1', 'SELECT * FROM flight LIMIT 10', 'INSERT INTO flights SELECT * FROM flights_new', 'SELECT tailnum, count(*) AS n, avg(arr_delay) AS late, max(distance) AS farthest FROM flights JOIN planes USING (tailnum) WHERE manufacturer = \'BOEING\' GROUP BY 1 HAVING count(*) > 200 ORDER BY late DESC LIMIT 50'];
  for (let i = 0; i < 40; i += 1) {
    const sql = texts[i % texts.length];
    const failed = /flight LIMIT/.test(sql);
    state.queries.push({ query_id: crypto.randomUUID(), user: i % 4 ? 'polder' : 'ana', via: ['console', 'cli', 'http'][i % 3], sql, state: failed ? 'failed' : i === 6 ? 'cancelled' : 'done', started_at: new Date(Date.now() - (i + 1) * 17 * 60_000).toISOString(), elapsed_ms: 12 + ((i * 811) % 4000), rows_returned: failed || sql.startsWith('INSERT') ? 0 : (i * 97) % 5000, rows_changed: sql.startsWith('INSERT') ? 27_004 : 0, rows_scanned: 336_776, bytes_scanned: 2_400_000, rows_total: 336_776, snapshot: 14, error: failed ? { code: '42P01', message: 'table "flight" does not exist', position: { line: 1, column: 15 }, hint: 'did you mean `flights`?' } : null });
  }
}

let requests = 0;
const fail = (code, kind, status, message, hint = null, at = null) => Object.assign(new Refusal(code, kind, status, message, hint, at));

function send(response, status, body, headers = {}) {
  if (body === undefined) {
    response.writeHead(status, headers);
    response.end();
    return;
  }
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return parts.length ? JSON.parse(Buffer.concat(parts).toString()) : {};
}

const cookie = (request) => /polder_session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];
const signedIn = (request) => flags.auth === 'trust' || state.sessions.has(cookie(request));

function startSession() {
  const secret = crypto.randomUUID();
  state.sessions.add(secret);
  return { 'Set-Cookie': `polder_session=${secret}; HttpOnly; SameSite=Strict; Path=/` };
}

async function statement(request, response) {
  const asked = await body(request);
  const record = { query_id: asked.query_id ?? crypto.randomUUID(), user: 'polder', via: 'console', sql: asked.sql, state: 'running', started_at: new Date().toISOString(), elapsed_ms: 0, rows_returned: 0, rows_changed: 0, rows_scanned: 0, bytes_scanned: 0, rows_total: null, snapshot: 14, error: null, begun: Date.now() };
  state.queries.unshift(record);
  let planned;
  try {
    planned = plan(asked.sql, state.lake, asked.row_limit ?? Infinity);
  } catch (error) {
    record.state = 'failed';
    record.error = { code: error.code, message: error.message, position: error.at ?? null, hint: error.hint };
    throw error;
  }
  record.rows_total = planned.scanned;
  const headers = { 'Content-Type': 'application/vnd.apache.arrow.stream', 'Polder-Query-Id': record.query_id, 'Polder-Command': planned.command, 'Polder-Snapshot': '14' };
  if (planned.changed !== null) headers['Polder-Rows'] = String(planned.changed);
  response.writeHead(200, headers);
  response.flushHeaders();
  let gone = false;
  response.on('close', () => (gone = true));
  const alive = () => !gone && record.state === 'running';
  const whole = await stream(planned, response, alive, (part) => {
    record.elapsed_ms = Date.now() - record.begun;
    record.rows_scanned = Math.floor(planned.scanned * part);
    record.bytes_scanned = record.rows_scanned * 18;
  });
  record.elapsed_ms = Date.now() - record.begun;
  if (whole) {
    record.state = 'done';
    record.rows_returned = planned.rows;
    response.end();
  } else {
    if (planned.breaks) Object.assign(record, { state: 'failed', error: { code: 'XX001', message: 'file public/flights/data-7.parquet is damaged: its checksum does not match', position: null, hint: 'restore the file from a backup, or run `polder check`' } });
    else record.state = 'cancelled';
    response.destroy();
  }
}

async function uploadFile(request, response, query) {
  let size = 0;
  for await (const part of request) size += part.length;
  const upload = { upload_id: crypto.randomUUID(), name: query.get('name') ?? 'data', bytes: size };
  if (/huge/.test(upload.name)) throw fail('54000', 'too_large', 413, `${upload.name} is larger than 64 GB`, 'split it, or load it from a path');
  state.uploads.set(upload.upload_id, upload);
  send(response, 200, upload);
}

function tableOf(schema, name) {
  const table = state.lake.find((s) => s.name === schema)?.tables.find((t) => t.name === name);
  if (!table) throw fail('42P01', 'not_found', 404, `table "${schema}.${name}" does not exist`, 'the Data page lists every table');
  return table;
}

function previewOf(asked) {
  const name = asked.upload_id ? state.uploads.get(asked.upload_id)?.name : asked.source;
  if (!name) throw fail('58P01', 'not_found', 404, 'this upload is gone', 'uploads that are not loaded are kept for a day; drop the file again');
  if (/broken|\.png$/.test(name)) throw fail('22000', 'invalid_input', 400, `${name} is no table: its first bytes are those of a PNG picture`, 'formats are csv, json, parquet, avro, excel, ods and web logs');
  return preview(name, asked.options ?? {});
}

const strip = ({ begun, ...record }) => record;
const ROUTES = [
  ['GET', /^\/me$/, () => ({ user: 'polder', version: '0.1.0', auth: flags.auth })],
  ['POST', /^\/logout$/, (_, request) => void state.sessions.delete(cookie(request))],
  ['POST', /^\/password$/, async (_, request) => {
    const asked = await body(request);
    if (asked.old !== state.password) throw fail('28P01', 'forbidden', 403, 'the old password is wrong');
    state.password = asked.new;
  }],
  ['GET', /^\/tokens$/, () => ({ tokens: state.tokens })],
  ['POST', /^\/tokens$/, async (_, request) => {
    const asked = await body(request);
    const token = { id: crypto.randomUUID(), name: asked.name, user: 'polder', created_at: new Date().toISOString(), last_used_at: null, expires_at: asked.expires_at ?? null };
    state.tokens.push(token);
    return { token, secret: `pldr_${crypto.randomUUID().replaceAll('-', '')}` };
  }],
  ['DELETE', /^\/tokens\/(.+)$/, ([id]) => void (state.tokens = state.tokens.filter((t) => t.id !== id))],
  ['GET', /^\/queries$/, (_, __, query) => ({ queries: state.queries.filter((q) => q.sql.toLowerCase().includes((query.get('search') ?? '').toLowerCase())).slice(0, Number(query.get('limit') ?? 100)).map(strip) })],
  ['GET', /^\/queries\/(.+)$/, ([id]) => {
    const found = state.queries.find((q) => q.query_id === id);
    if (!found) throw fail('02000', 'not_found', 404, `there is no statement ${id}`);
    return strip({ ...found, elapsed_ms: found.state === 'running' ? Date.now() - found.begun : found.elapsed_ms });
  }],
  ['DELETE', /^\/queries\/(.+)$/, ([id]) => {
    const found = state.queries.find((q) => q.query_id === id && q.state === 'running');
    if (!found) throw fail('02000', 'not_found', 404, `statement ${id} is not running`);
    found.state = 'cancelled';
  }],
  ['DELETE', /^\/sessions\/(.+)$/, () => undefined],
  ['GET', /^\/running$/, () => ({ queries: state.queries.filter((q) => q.state === 'running').map((q) => strip({ ...q, elapsed_ms: Date.now() - q.begun })), loads: [...state.loads.values()].map(statusOf).filter((l) => l.state === 'running') })],
  ['GET', /^\/catalog$/, () => ({ snapshot: 14, schemas: state.lake.map((s) => ({ name: s.name, tables: s.tables.map(listing) })) })],
  ['GET', /^\/catalog\/([^/]+)\/([^/]+)$/, ([s, t]) => detail(s, tableOf(s, t))],
  ['GET', /^\/catalog\/([^/]+)\/([^/]+)\/profile$/, async ([s, t]) => {
    await new Promise((go) => setTimeout(go, 400));
    return profile(tableOf(s, t));
  }],
  ['GET', /^\/catalog\/([^/]+)\/([^/]+)\/history$/, ([s, t]) => history(tableOf(s, t))],
  ['POST', /^\/loads\/preview$/, async (_, request) => previewOf(await body(request))],
  ['GET', /^\/loads\/(.+)$/, ([id]) => {
    const load = state.loads.get(id);
    if (!load) throw fail('02000', 'not_found', 404, `there is no load ${id}`);
    return statusOf(load);
  }],
  ['DELETE', /^\/loads\/(.+)$/, ([id]) => {
    const load = state.loads.get(id);
    if (load) Object.assign(load, { state: 'cancelled', ended: Date.now() });
  }],
  ['GET', /^\/saved-queries$/, () => ({ queries: state.saved })],
  ['POST', /^\/saved-queries$/, async (_, request) => {
    const made = { ...(await body(request)), id: crypto.randomUUID(), owner: 'polder', updated_at: new Date().toISOString() };
    state.saved.push(made);
    return made;
  }],
  ['PUT', /^\/saved-queries\/(.+)$/, async ([id], request) => Object.assign(state.saved.find((q) => q.id === id), await body(request), { updated_at: new Date().toISOString() })],
  ['DELETE', /^\/saved-queries\/(.+)$/, ([id]) => void (state.saved = state.saved.filter((q) => q.id !== id))],
  ...streamRoutes(fail, body),
];
makeStreams(flags.lake);

async function api(request, response, path, query) {
  if (request.method === 'POST' && path === '/login') {
    const asked = await body(request);
    if (asked.password !== state.password) throw fail('28P01', 'unauthenticated', 401, 'user or password is wrong');
    return send(response, 204, undefined, startSession());
  }
  if (!signedIn(request)) throw fail('28000', 'unauthenticated', 401, 'you are not signed in');
  if (request.method !== 'GET' && request.headers['x-polder'] !== '1') throw fail('28000', 'forbidden', 403, 'the header X-Polder is missing');
  if (request.method === 'POST' && path === '/statements') return statement(request, response);
  if (request.method === 'POST' && path === '/uploads') return uploadFile(request, response, query);
  if (request.method === 'POST' && path === '/loads') {
    const load = startLoad(await body(request), state.uploads, state.lake);
    state.loads.set(load.id, load);
    return send(response, 202, { load_id: load.id });
  }
  if (request.method === 'GET' && tail(path, query, response)) return undefined;
  for (const [method, pattern, answer] of ROUTES) {
    const match = method === request.method ? pattern.exec(path) : null;
    if (!match) continue;
    const result = await answer(match.slice(1).map(decodeURIComponent), request, query);
    return send(response, result === undefined ? 204 : 200, result);
  }
  throw fail('02000', 'not_found', 404, `there is no ${request.method} ${path}`);
}

function file(response, path) {
  let name = normalize(join(DIST, path));
  if (!name.startsWith(DIST)) return send(response, 404, { error: 'no' });
  if (!existsSync(name) || statSync(name).isDirectory()) {
    // Names of topics and tables have dots in them.
    if (path.startsWith('/assets/')) return send(response, 404, { error: 'no' });
    name = join(DIST, 'index.html');
  }
  response.writeHead(200, { 'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP });
  createReadStream(name).pipe(response);
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const requestId = `req-${String((requests += 1)).padStart(6, '0')}`;
  response.setHeader('X-Request-Id', requestId);
  try {
    if (url.pathname.startsWith('/api/v1')) return await api(request, response, url.pathname.slice(7), url.searchParams);
    if (url.pathname === '/healthz') return response.end('ok');
    if (url.pathname === '/login' && url.searchParams.has('token')) {
      const good = url.searchParams.get('token') === state.link;
      if (good) state.link = null;
      response.writeHead(303, { Location: good ? '/' : '/#/login?expired=1', ...(good ? startSession() : {}) });
      return response.end();
    }
    return file(response, decodeURIComponent(url.pathname));
  } catch (error) {
    if (response.headersSent) return response.destroy();
    if (!(error instanceof Refusal)) console.error(error);
    return send(response, error.status ?? 500, { error: { code: error.code ?? 'XX000', kind: error.kind ?? 'internal', message: error.message, line: error.at?.line ?? null, column: error.at?.column ?? null, hint: error.hint ?? null, request_id: requestId } });
  }
});
server.listen(Number(flags.port), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));

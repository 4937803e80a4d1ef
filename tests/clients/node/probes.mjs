// Does the same at several servers by `pg`, and prints what came of it as one JSON object: server, probe, result.
//
// One argument: JSON of a map from each server's name to the settings of its connections.
import { setTimeout as sleep } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';

import pg from 'pg';
import copyStreams from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';

const LONG = 'SELECT count(*) FROM generate_series(1, 100000) AS a(x), generate_series(1, 100000) AS b(y) WHERE (x + y) % 7 = 3';

const PROBE_MS = 60_000;

/** Each probe gets a function that connects; what it opened is closed for it. */
const probes = {
  async connect(open) {
    const client = await open({ application_name: 'probe', options: '-c search_path=information_schema' });
    return {
      path: await values(client, 'SHOW search_path'),
      name: await values(client, 'SHOW application_name'),
      id: Number.isInteger(client.processID),
    };
  },

  async 'values as texts'(open) {
    const client = await open();
    const told = {};
    for (const [type, value] of VALUES) {
      told[`${type} ${Object.keys(told).length}`] = await outcome(async () => shown((await client.query(`SELECT $1::${type} AS v`, [value])).rows[0].v));
    }
    return told;
  },

  // Of some types the driver knows the bytes; of others it takes them for text, which shows them too.
  async 'values in binary'(open) {
    const client = await open({ binary: true });
    const told = {};
    // It never ends with reading an array of numbers in which there is a NULL.
    for (const [type, value] of VALUES.filter(([name]) => name !== 'json' && !name.endsWith('[]'))) {
      told[`${type} ${Object.keys(told).length}`] = await outcome(async () => shown((await client.query(`SELECT $1::${type} AS v`, [value])).rows[0].v));
    }
    return told;
  },

  async 'json in binary'(open) {
    const client = await open({ binary: true });
    return shown((await client.query('SELECT $1::json AS v', ['{"a":  1}'])).rows[0].v);
  },

  async 'returned columns'(open) {
    const client = await open();
    await client.query('DROP TABLE IF EXISTS n_returned');
    await client.query('CREATE TABLE n_returned (a INTEGER, b VARCHAR(10), c CHAR(3), d NUMERIC(10, 2))');
    const told = [];
    for (const sql of ["INSERT INTO n_returned VALUES (1, 'b', 'ccc', 1) RETURNING *", "UPDATE n_returned SET a = 2 RETURNING b, d", 'DELETE FROM n_returned RETURNING c']) {
      told.push((await client.query(sql)).fields.map(({ name, dataTypeID, dataTypeModifier }) => [name, dataTypeID, dataTypeModifier]));
    }
    await client.query('DROP TABLE n_returned');
    return told;
  },

  async columns(open) {
    const client = await open();
    await client.query('DROP TABLE IF EXISTS n_columns');
    await client.query('CREATE TABLE n_columns (a BIGINT, b TEXT, c NUMERIC(10, 2), d TIMESTAMPTZ, e JSONB, f TEXT[], g BYTEA)');
    const { rows, fields } = await client.query(
      'INSERT INTO n_columns VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *',
      ['9007199254740993', 'b', 1.5, new Date('2024-02-29T01:02:03.456Z'), { a: [1, null] }, ['x', null, 'y,"z"'], Buffer.from([0, 255])]);
    const told = [Object.values(rows[0]).map(shown), fields.map(({ name, dataTypeID, dataTypeSize, dataTypeModifier, format }) => [name, dataTypeID, dataTypeSize, dataTypeModifier, format])];
    const array = await client.query({ text: 'SELECT a, b, a AS a FROM n_columns', rowMode: 'array' });
    told.push(array.rows, array.command, array.rowCount);
    for (const sql of ['UPDATE n_columns SET b = $1', 'DELETE FROM n_columns WHERE b = $1']) {
      const done = await client.query(sql, ['c']);
      told.push([done.command, done.rowCount]);
    }
    await client.query('DROP TABLE n_columns');
    return told;
  },

  async 'several statements'(open) {
    const client = await open();
    const results = await client.query('SELECT 1::int AS a; SELECT 2::int AS b, 3::int AS c');
    const told = results.map(({ command, rows }) => [command, rows]);
    told.push(await state(() => client.query('CREATE TABLE n_undone (id INTEGER); SELECT * FROM nosuch')));
    told.push(await state(() => client.query('SELECT * FROM n_undone')));
    told.push((await client.query('')).rows.length, (await client.query('-- nothing')).command);
    return told;
  },

  async prepared(open) {
    const client = await open();
    const told = [];
    for (let at = 0; at < 5; at += 1) told.push((await client.query({ name: 'p', text: 'SELECT $1::int AS n, $2::text AS t', values: [at, at % 2 ? null : 'x'] })).rows);
    told.push(await state(() => client.query({ name: 'p', text: 'SELECT 2' })));
    return told;
  },

  /** A statement that cannot be prepared leaves its name free. */
  async 'prepared in vain'(open) {
    const client = await open();
    const told = [await state(() => client.query({ name: 'broken', text: 'SELECT nosuch' }))];
    told.push((await client.query({ name: 'broken', text: 'SELECT 3::int AS n' })).rows);
    return told;
  },

  async transactions(open) {
    const [client, other] = [await open(), await open()];
    await client.query('DROP TABLE IF EXISTS n_tx');
    await client.query('CREATE TABLE n_tx (id INTEGER PRIMARY KEY)');
    const told = [];
    await client.query('BEGIN');
    await client.query('INSERT INTO n_tx VALUES ($1)', [1]);
    told.push((await other.query('SELECT * FROM n_tx')).rows);
    await client.query('SAVEPOINT s');
    told.push(await state(() => client.query('INSERT INTO n_tx VALUES (1)')), await state(() => client.query('SELECT 1')));
    await client.query('ROLLBACK TO s');
    await client.query('INSERT INTO n_tx VALUES (2)');
    await client.query('COMMIT');
    told.push((await other.query('SELECT * FROM n_tx ORDER BY id')).rows);
    await client.query('DROP TABLE n_tx');
    return told;
  },

  async cursors(open) {
    const client = await open();
    const told = [];
    const cursor = client.query(new Cursor('SELECT x FROM generate_series(1, $1::int) AS s(x) ORDER BY x', [10]));
    told.push(await cursor.read(3), await cursor.read(100), await cursor.read(1));
    const left = client.query(new Cursor('SELECT x FROM generate_series(1, 100000) AS s(x)'));
    told.push((await left.read(1)).length);
    await left.close();
    const broken = client.query(new Cursor('SELECT nosuch'));
    told.push(await state(() => broken.read(1)));
    told.push((await client.query('SELECT 1::int AS still')).rows);
    return told;
  },

  async streams(open) {
    const client = await open();
    let [sum, rows] = [0, 0];
    const stream = client.query(new QueryStream('SELECT x FROM generate_series(1, $1::int) AS s(x)', [20000], { batchSize: 1000 }));
    for await (const row of stream) {
      sum += row.x;
      rows += 1;
    }
    let taken = 0;
    for await (const row of client.query(new QueryStream('SELECT x FROM generate_series(1, 100000) AS s(x)', [], { batchSize: 10 }))) {
      taken += row.x > 0 ? 1 : 0;
      if (taken === 25) break;
    }
    return [sum, rows, taken, (await client.query('SELECT 1::int AS still')).rows];
  },

  async copy(open) {
    const client = await open();
    await client.query('DROP TABLE IF EXISTS n_copy');
    await client.query('CREATE TABLE n_copy (id INTEGER, name TEXT)');
    const told = [];
    const into = client.query(copyStreams.from('COPY n_copy FROM STDIN (FORMAT csv)'));
    await pipeline(Readable.from(['1,a\n2', ',"b, ""c"""\n', '3,\n']), into);
    told.push(into.rowCount);
    told.push(await state(() => pipeline(Readable.from(['x,y\n']), client.query(copyStreams.from('COPY n_copy FROM STDIN (FORMAT csv)')))));
    told.push(await state(() => pipeline(Readable.from(failing()), client.query(copyStreams.from('COPY n_copy FROM STDIN (FORMAT csv)'))), true));
    const out = client.query(copyStreams.to('COPY (SELECT * FROM n_copy ORDER BY id) TO STDOUT'));
    let text = '';
    for await (const part of out) text += part;
    told.push(text, out.rowCount);
    await client.query('DROP TABLE n_copy');
    return told;
  },

  async errors(open) {
    const client = await open();
    const told = [];
    for (const sql of ['SELECT nosuch', 'SELECT * FROM nosuch', 'SELEC', "SELECT 'x'::int", 'SELECT 1/0']) {
      told.push(await state(() => client.query(sql)));
      told.push(await state(() => client.query({ text: sql, values: [] })));
    }
    told.push(await state(() => client.query('SELECT $1::int', ['x'])), await state(() => client.query('SELECT $1::int', [1, 2])));
    try {
      await client.query('SELECT 1,\n  nosuch');
    } catch (error) {
      told.push([error.severity, error.position]);
    }
    return told;
  },

  async notices(open) {
    const client = await open();
    const heard = [];
    client.on('notice', ({ code, severity }) => heard.push([severity, code]));
    await client.query('ROLLBACK');
    await client.query('DROP TABLE IF EXISTS nosuch');
    return heard;
  },

  async listen(open) {
    const client = await open();
    return [await state(() => client.query('LISTEN x')), await state(() => client.query('UNLISTEN *'))];
  },

  async timeouts(open) {
    const limited = await open({ statement_timeout: 300, idle_in_transaction_session_timeout: 60000, lock_timeout: 0 });
    const told = [await values(limited, 'SHOW statement_timeout'), await state(() => limited.query(LONG))];
    await limited.query('SET statement_timeout = 0');
    told.push((await limited.query('SELECT 1::int AS still')).rows);
    return told;
  },

  async pool(_, settings) {
    const pool = new pg.Pool({ ...settings, max: 3 });
    try {
      const answers = await Promise.all(Array.from({ length: 20 }, async (_, at) => (await pool.query('SELECT $1::int AS n', [at])).rows[0].n));
      const client = await pool.connect();
      const error = await state(() => client.query('SELECT nosuch'));
      client.release();
      return [answers, error, pool.totalCount];
    } finally {
      await pool.end();
    }
  },

  /** A client that goes away while its statement runs leaves a server that others can use. */
  async leaving(open, settings) {
    // PostgreSQL does not notice, and would work on.
    const client = new pg.Client({ ...settings, statement_timeout: 3000 });
    client.on('error', () => {});
    await client.connect();
    const running = state(() => client.query(LONG));
    await sleep(200);
    client.connection.stream.destroy();
    const other = await open();
    return [(await running) !== 'none', (await other.query('SELECT 1::int AS n')).rows];
  },
};

const VALUES = [
  ['boolean', true], ['smallint', -5], ['integer', 2147483647], ['bigint', '9223372036854775807'], ['real', 1.5], ['double precision', 0.1],
  ['double precision', Number.NaN], ['numeric', '123456789.1230000000'], ['numeric(10, 2)', '-0.05'], ['numeric(10, 4)', '10000'], ['text', 'é "x"\\'], ['text', ''], ['varchar(5)', 'abc'],
  ['char(3)', 'abc'], ['bytea', Buffer.from([0, 1, 255])], ['date', '2024-02-29'], ['time', '23:59:59.5'], ['timestamp', '2024-02-29 01:02:03.5'],
  ['timestamptz', '2024-02-29 01:02:03+05:30'], ['interval', '1 year 2 mons -3 days 04:05:06.5'], ['uuid', '00010203-0405-0607-0809-0a0b0c0d0e0f'],
  ['json', { a: 1 }], ['jsonb', '[{"b": null}]'], ['integer[]', [1, null, 3]], ['integer[]', []], ['integer[]', [[1, 2], [3, 4]]], ['text[]', ['a', null, '']],
  ['timestamptz[]', [new Date(0)]], ['jsonb', null],
];

async function* failing() {
  yield '9,z\n';
  throw new Error('the source has failed');
}

/** A value with its kind, so that 1 and "1" differ. */
function shown(value) {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return `date ${value.toISOString()}`;
  if (Buffer.isBuffer(value)) return `bytes ${value.toString('hex')}`;
  return `${value.constructor?.name ?? typeof value} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`;
}

async function values(client, sql) {
  return (await client.query({ text: sql, rowMode: 'array' })).rows.flat();
}

/** The SQLSTATE that something fails with; `any`: only that it does. */
async function state(work, any = false) {
  try {
    await work();
    return 'none';
  } catch (error) {
    return any ? 'failed' : error.code ?? String(error);
  }
}

async function outcome(work) {
  try {
    return await work();
  } catch (error) {
    return { failed: error.code ?? error.message };
  }
}

/** What is not answered must not hold up the rest. */
async function late() {
  await sleep(PROBE_MS, undefined, { ref: false });
  throw new Error(`no answer within ${PROBE_MS / 1000} s`);
}

async function all(settings) {
  const told = {};
  for (const [name, probe] of Object.entries(probes)) {
    const opened = [];
    const open = async (more = {}) => {
      const client = new pg.Client({ ...settings, ...more });
      client.on('error', () => {});
      opened.push(client);
      await client.connect();
      return client;
    };
    told[name] = await outcome(() => Promise.race([probe(open, settings), late()]));
    for (const client of opened) client.connection.stream.destroy();
  }
  return told;
}

const servers = Object.entries(JSON.parse(process.argv[2]));
const told = await Promise.all(servers.map(async ([name, settings]) => [name, await all(settings)]));
console.log(JSON.stringify(Object.fromEntries(told)));

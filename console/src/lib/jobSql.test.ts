import { expect, test } from 'vitest';

import type { Job } from '../services/types';
import { createJob, workOf } from './jobSql';

const job = (given: Partial<Job>): Job => ({
  name: 'nightly',
  kind: 'statement',
  payload: { sql: 'SELECT 1' },
  owner: 'polder',
  schedule: null,
  time_zone: 'UTC',
  after: null,
  retries: 0,
  backoff_seconds: 30,
  timeout_seconds: null,
  catch_up: 'one',
  paused: false,
  created_at: '2026-01-01T00:00:00Z',
  next_at: null,
  last_run: null,
  ...given,
});

test('a job is written as the statement that makes it', () => {
  expect(createJob(job({}))).toBe('CREATE OR REPLACE JOB nightly\nAS\nSELECT 1');
  expect(createJob(job({ name: 'Night Run', schedule: '30 2 * * *', time_zone: 'Europe/Amsterdam', after: 'load', retries: 3, timeout_seconds: 1200, catch_up: 'all' }))).toBe(
    `CREATE OR REPLACE JOB "Night Run"\n  SCHEDULE '30 2 * * *' IN TIME ZONE 'Europe/Amsterdam'\n  AFTER load\n  RETRY 3 BACKOFF '30 seconds'\n  TIMEOUT '1200 seconds'\n  CATCH UP ALL\nAS\nSELECT 1`,
  );
});

test('several statements stand between dollar signs, one a line', () => {
  expect(createJob(job({ payload: { sql: "DELETE FROM t; INSERT INTO t VALUES ('a;b')" } }))).toBe("CREATE OR REPLACE JOB nightly\nAS $$\nDELETE FROM t;\nINSERT INTO t VALUES ('a;b');\n$$");
});

test('upkeep has no statement', () => {
  expect(createJob(job({ kind: 'compaction', payload: { table: 'shop.sale' } }))).toBeNull();
  expect(workOf(job({ kind: 'compaction', payload: { table: 'shop.sale' } }))).toBe('COMPACTION shop.sale');
});

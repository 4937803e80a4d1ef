import type { Job } from '../services/types';
import { quoteName, splitStatements } from './sql';

const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** A statement a line, or the kind and what it is told, for jobs that are none. */
export function workOf(job: Job): string {
  if (typeof job.payload.sql !== 'string') return job.kind.toUpperCase() + Object.values(job.payload).map((value) => ` ${String(value)}`).join('');
  const statements = splitStatements(job.payload.sql);
  return statements.length < 2 ? job.payload.sql.trim() : statements.map((statement) => `${statement.text.trim().replace(/;$/, '')};`).join('\n');
}

/** The statement that makes this job; `null` for those that SQL cannot make. */
export function createJob(job: Job): string | null {
  const sql = job.payload.sql;
  if (typeof sql !== 'string') return null;
  const lines = [`CREATE OR REPLACE JOB ${quoteName(job.name)}`];
  if (job.schedule) lines.push(`  SCHEDULE ${text(job.schedule)}${job.time_zone === 'UTC' ? '' : ` IN TIME ZONE ${text(job.time_zone)}`}`);
  if (job.after) lines.push(`  AFTER ${quoteName(job.after)}`);
  if (job.retries > 0) lines.push(`  RETRY ${job.retries} BACKOFF '${job.backoff_seconds} seconds'`);
  if (job.timeout_seconds !== null) lines.push(`  TIMEOUT '${job.timeout_seconds} seconds'`);
  if (job.catch_up !== 'one') lines.push(`  CATCH UP ${job.catch_up.toUpperCase()}`);
  const work = workOf(job);
  const several = splitStatements(sql).length > 1;
  return `${lines.join('\n')}\nAS${several ? ` $$\n${work}\n$$` : `\n${work}`}`;
}

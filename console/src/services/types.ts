// The shapes of the HTTP API, version 1. Replaced by the types generated from the OpenAPI document.

export type ErrorKind =
  | 'invalid_input'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'already_exists'
  | 'conflict'
  | 'too_large'
  | 'exhausted'
  | 'cancelled'
  | 'unavailable'
  | 'unsupported'
  | 'corrupt'
  | 'internal';

export interface ErrorBody {
  code: string;
  kind: ErrorKind;
  message: string;
  line: number | null;
  column: number | null;
  hint: string | null;
  request_id: string;
}

export interface Me {
  user: string;
  version: string;
  auth: 'password' | 'trust';
}

export interface ApiToken {
  id: string;
  name: string;
  user: string;
  created_at: string;
  last_used_at: string | null;
  expires_at: string | null;
}

export interface NewApiToken {
  token: ApiToken;
  secret: string;
}

export type QueryState = 'running' | 'done' | 'failed' | 'cancelled';

/** An error as kept in the record of statements. */
export interface QueryError {
  code: string;
  message: string;
  position: { line: number; column: number } | null;
  hint: string | null;
}

export interface QueryRecord {
  query_id: string;
  user: string;
  via: string;
  sql: string;
  state: QueryState;
  started_at: string;
  elapsed_ms: number;
  rows_returned: number;
  rows_scanned: number;
  bytes_scanned: number;
  rows_total?: number | null;
  snapshot: number | null;
  error: QueryError | null;
}

export interface Notice {
  message: string;
  hint: string | null;
}

export interface CatalogTable {
  name: string;
  kind: 'table' | 'view';
  rows: number | null;
  bytes: number | null;
  files: number | null;
  comment: string | null;
  updated_at: string | null;
}

export interface CatalogSchema {
  name: string;
  tables: CatalogTable[];
}

export interface Catalog {
  snapshot: number;
  schemas: CatalogSchema[];
}

export interface TableColumn {
  name: string;
  type: string;
  nullable: boolean;
  default: string | null;
  comment: string | null;
  position: number;
}

export interface TableDetail {
  schema: string;
  name: string;
  kind: 'table' | 'view';
  comment: string | null;
  rows: number | null;
  bytes: number | null;
  files: number | null;
  created_at: string | null;
  updated_at: string | null;
  sql: string | null;
  columns: TableColumn[];
}

export interface HistogramBin {
  low: number | string;
  high: number | string;
  count: number;
}

export interface TopValue {
  value: string | number | boolean | null;
  count: number;
}

export interface ColumnProfile {
  name: string;
  type: string;
  missing: number;
  distinct: number | null;
  distinct_exact: boolean;
  min: string | number | null;
  max: string | number | null;
  mean: number | string | null;
  histogram: HistogramBin[] | null;
  top: TopValue[] | null;
}

export interface TableProfile {
  rows: number;
  sampled: boolean;
  columns: ColumnProfile[];
}

export interface TableVersion {
  snapshot: number;
  committed_at: string;
  author: string | null;
  message: string | null;
  changes: string[];
  rows_added: number | null;
  rows_removed: number | null;
}

export interface Upload {
  upload_id: string;
  name: string;
  bytes: number;
}

export interface ColumnChoice {
  source: string;
  name?: string | null;
  data_type?: string | null;
  skip?: boolean;
}

export interface LoadOptions {
  format?: string | null;
  delimiter?: string | null;
  quote?: string | null;
  header?: boolean | null;
  encoding?: string | null;
  nulls?: string[] | null;
  columns?: ColumnChoice[];
}

export interface ColumnPreview {
  source: string;
  name: string;
  data_type: string;
  remark: string | null;
}

export interface TablePreview {
  table: string;
  source: string;
  format: string;
  options: LoadOptions;
  columns: ColumnPreview[];
  rows: (string | null)[][];
  rows_seen: number;
  remarks: string[];
}

export interface Preview {
  tables: TablePreview[];
}

export type LoadMode = 'create' | 'append' | 'replace';

export interface LoadRequest {
  upload_ids?: string[];
  sources?: string[];
  into?: string;
  mode?: LoadMode;
  strict?: boolean;
  again?: boolean;
  options?: LoadOptions;
}

export interface RejectSample {
  source: string;
  line: number;
  column: string | null;
  reason: string;
  raw: string;
}

export interface SourceReport {
  source: string;
  format: string;
  rows_loaded: number;
  rows_rejected: number;
  bytes: number;
  skipped: boolean;
}

export interface TableReport {
  table: string;
  rows_loaded: number;
  rows_rejected: number;
  rejects_table: string | null;
  sources: SourceReport[];
  remarks: string[];
  rejects: RejectSample[];
}

export interface LoadReport {
  tables: TableReport[];
  snapshot: number | null;
  elapsed_ms: number;
}

export interface LoadStatus {
  load_id: string;
  state: QueryState;
  progress: {
    phase: string;
    rows: number;
    bytes_done: number;
    bytes_total: number | null;
    elapsed_ms: number;
    current_source: string;
  };
  report: LoadReport | null;
  error: QueryError | null;
}

export interface Running {
  queries: QueryRecord[];
  loads: LoadStatus[];
}

export type RunState = 'waiting' | 'running' | 'done' | 'failed' | 'cancelled' | 'interrupted' | 'missed';

/** One attempt of a job. */
export interface JobRun {
  run_id: string;
  job: string;
  kind: string;
  state: RunState;
  reason: 'schedule' | 'after' | 'asked' | 'retry';
  attempt: number;
  due_at: string | null;
  queued_at: string;
  not_before: string;
  started_at: string | null;
  ended_at: string | null;
  caused_by: string | null;
  error: QueryError | null;
}

export interface Job {
  name: string;
  kind: string;
  payload: Record<string, unknown>;
  owner: string;
  schedule: string | null;
  time_zone: string;
  after: string | null;
  retries: number;
  backoff_seconds: number;
  timeout_seconds: number | null;
  catch_up: 'none' | 'one' | 'all';
  paused: boolean;
  created_at: string;
  next_at: string | null;
  last_run: JobRun | null;
}

export interface RunLog {
  text: string;
  next: number;
  ended: boolean;
}

export type ChartKind = 'bar' | 'line' | 'area' | 'scatter' | 'pie' | 'histogram' | 'heatmap' | 'number' | 'table';

export interface ChartSpec {
  kind: ChartKind;
  x: string | null;
  y: string[];
  series: string | null;
  stacked: boolean;
  title: string | null;
}

export interface SavedQuery {
  id: string;
  name: string;
  description: string;
  sql: string;
  chart: ChartSpec | null;
  owner: string;
  updated_at: string;
}

import { call } from './client';
import type {
  ApiToken,
  Catalog,
  Job,
  JobRun,
  LoadOptions,
  LoadRequest,
  LoadStatus,
  Me,
  NewApiToken,
  Preview,
  QueryRecord,
  RunLog,
  Running,
  SavedQuery,
  TableDetail,
  TableProfile,
  TableVersion,
} from './types';

const part = encodeURIComponent;

export type PreviewSource = { upload_id: string } | { source: string };
export type SavedQueryDraft = Pick<SavedQuery, 'name' | 'description' | 'sql' | 'chart'>;

/** Every call of the API, one line each. Statements and uploads have files of their own. */
export const api = {
  me: () => call<Me>('/me'),
  login: (user: string, password: string) => call<void>('/login', { method: 'POST', body: { user, password } }),
  logout: () => call<void>('/logout', { method: 'POST' }),
  changePassword: (old: string, next: string) => call<void>('/password', { method: 'POST', body: { old, new: next } }),

  tokens: () => call<{ tokens: ApiToken[] }>('/tokens').then((answer) => answer.tokens),
  createToken: (name: string, expiresAt: string | null) =>
    call<NewApiToken>('/tokens', { method: 'POST', body: { name, expires_at: expiresAt } }),
  deleteToken: (id: string) => call<void>(`/tokens/${part(id)}`, { method: 'DELETE' }),

  query: (id: string) => call<QueryRecord>(`/queries/${part(id)}`),
  cancelQuery: (id: string) => call<void>(`/queries/${part(id)}`, { method: 'DELETE' }),
  queries: (limit: number, search = '') =>
    call<{ queries: QueryRecord[] }>(`/queries?limit=${limit}${search ? `&search=${part(search)}` : ''}`).then((answer) => answer.queries),
  endSession: (id: string) => call<void>(`/sessions/${part(id)}`, { method: 'DELETE' }),
  running: () => call<Running>('/running'),

  catalog: () => call<Catalog>('/catalog'),
  table: (schema: string, name: string) => call<TableDetail>(`/catalog/${part(schema)}/${part(name)}`),
  profile: (schema: string, name: string) => call<TableProfile>(`/catalog/${part(schema)}/${part(name)}/profile`),
  history: (schema: string, name: string) =>
    call<{ versions: TableVersion[] }>(`/catalog/${part(schema)}/${part(name)}/history`).then((answer) => answer.versions),

  preview: (source: PreviewSource, options?: LoadOptions, signal?: AbortSignal) =>
    call<Preview>('/loads/preview', { method: 'POST', body: { ...source, options }, signal }),
  startLoad: (request: LoadRequest) => call<{ load_id: string }>('/loads', { method: 'POST', body: request }),
  load: (id: string) => call<LoadStatus>(`/loads/${part(id)}`),
  cancelLoad: (id: string) => call<void>(`/loads/${part(id)}`, { method: 'DELETE' }),

  savedQueries: () => call<{ queries: SavedQuery[] }>('/saved-queries').then((answer) => answer.queries),
  createSavedQuery: (draft: SavedQueryDraft) => call<SavedQuery>('/saved-queries', { method: 'POST', body: draft }),
  updateSavedQuery: (id: string, draft: SavedQueryDraft) => call<SavedQuery>(`/saved-queries/${part(id)}`, { method: 'PUT', body: draft }),
  deleteSavedQuery: (id: string) => call<void>(`/saved-queries/${part(id)}`, { method: 'DELETE' }),

  jobs: () => call<{ jobs: Job[] }>('/jobs').then((answer) => answer.jobs),
  job: (name: string) => call<Job>(`/jobs/${part(name)}`),
  runJob: (name: string) => call<{ run_id: string }>(`/jobs/${part(name)}/run`, { method: 'POST' }),
  pauseJob: (name: string) => call<Job>(`/jobs/${part(name)}/pause`, { method: 'POST' }),
  resumeJob: (name: string) => call<Job>(`/jobs/${part(name)}/resume`, { method: 'POST' }),
  runs: (limit: number, job?: string) =>
    call<{ runs: JobRun[] }>(`/runs?limit=${limit}${job === undefined ? '' : `&job=${part(job)}`}`).then((answer) => answer.runs),
  run: (id: string) => call<JobRun>(`/runs/${part(id)}`),
  runLog: (id: string, from: number) => call<RunLog>(`/runs/${part(id)}/log?from=${from}`),
  runAgain: (id: string) => call<{ run_id: string }>(`/runs/${part(id)}/again`, { method: 'POST' }),
  cancelRun: (id: string) => call<void>(`/runs/${part(id)}`, { method: 'DELETE' }),
};

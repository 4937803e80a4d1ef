import { fullChart } from '../lib/fullChart';
import { call, request } from './client';
import type {
  Answer,
  Job,
  LoadOptions,
  LoadRequest,
  LoginRequest,
  PasswordRequest,
  PreviewRequest,
  SavedQuery,
  SavedQueryAnswer,
  SavedQueryRequest,
  TokenRequest,
  TopicRequest,
} from './types';

const part = encodeURIComponent;

export type PreviewSource = { upload_id: string } | { source: string };
export type SavedQueryDraft = Pick<SavedQuery, 'name' | 'description' | 'sql' | 'chart'>;

const post = <Body>(body: Body): { method: 'POST'; body: Body } => ({ method: 'POST', body });

/** Callers may rely on every field of a chart. */
const savedQuery = (answer: SavedQueryAnswer): SavedQuery => ({ ...answer, chart: answer.chart && fullChart(answer.chart) });

/** Every call of the API, one line each. Statements and uploads have files of their own. */
export const api = {
  me: () => call<Answer<'me'>>('/me'),
  login: (user: string, password: string) => call<Answer<'login'>>('/login', post<LoginRequest>({ user, password })),
  logout: () => call<Answer<'logout'>>('/logout', { method: 'POST' }),
  changePassword: (old: string, next: string) => call<Answer<'change_password'>>('/password', post<PasswordRequest>({ old, new: next })),

  tokens: () => call<Answer<'list_tokens'>>('/tokens').then((answer) => answer.tokens),
  createToken: (name: string, expiresAt: string | null) => call<Answer<'create_token'>>('/tokens', post<TokenRequest>({ name, expires_at: expiresAt })),
  deleteToken: (id: string) => call<Answer<'delete_token'>>(`/tokens/${part(id)}`, { method: 'DELETE' }),

  query: (id: string) => call<Answer<'get_query'>>(`/queries/${part(id)}`),
  cancelQuery: (id: string) => call<Answer<'cancel_query'>>(`/queries/${part(id)}`, { method: 'DELETE' }),
  queries: (limit: number, search = '') =>
    call<Answer<'list_queries'>>(`/queries?limit=${limit}${search ? `&search=${part(search)}` : ''}`).then((answer) => answer.queries),
  endSession: (id: string) => call<Answer<'end_session'>>(`/sessions/${part(id)}`, { method: 'DELETE' }),
  running: () => call<Answer<'list_running'>>('/running'),

  catalog: () => call<Answer<'get_catalog'>>('/catalog'),
  table: (schema: string, name: string) => call<Answer<'get_table'>>(`/catalog/${part(schema)}/${part(name)}`),
  profile: (schema: string, name: string) => call<Answer<'get_profile'>>(`/catalog/${part(schema)}/${part(name)}/profile`),
  history: (schema: string, name: string) => call<Answer<'get_history'>>(`/catalog/${part(schema)}/${part(name)}/history`).then((answer) => answer.versions),

  preview: (source: PreviewSource, options?: LoadOptions, signal?: AbortSignal) =>
    call<Answer<'preview_load'>>('/loads/preview', { ...post<PreviewRequest>({ ...source, options }), signal }),
  startLoad: (load: LoadRequest) => call<Answer<'start_load'>>('/loads', post(load)),
  load: (id: string) => call<Answer<'get_load'>>(`/loads/${part(id)}`),
  cancelLoad: (id: string) => call<Answer<'cancel_load'>>(`/loads/${part(id)}`, { method: 'DELETE' }),

  savedQueries: () => call<Answer<'list_saved_queries'>>('/saved-queries').then((answer) => answer.queries.map(savedQuery)),
  createSavedQuery: (draft: SavedQueryDraft) => call<Answer<'create_saved_query'>>('/saved-queries', post<SavedQueryRequest>(draft)).then(savedQuery),
  updateSavedQuery: (id: string, draft: SavedQueryDraft) =>
    call<Answer<'update_saved_query'>>(`/saved-queries/${part(id)}`, { method: 'PUT', body: draft satisfies SavedQueryRequest }).then(savedQuery),
  deleteSavedQuery: (id: string) => call<Answer<'delete_saved_query'>>(`/saved-queries/${part(id)}`, { method: 'DELETE' }),

  jobs: () => call<Answer<'list_jobs'>>('/jobs').then((answer): Job[] => answer.jobs),
  job: (name: string) => call<Answer<'get_job'>>(`/jobs/${part(name)}`).then((job): Job => job),
  runJob: (name: string) => call<Answer<'run_job'>>(`/jobs/${part(name)}/run`, { method: 'POST' }),
  pauseJob: (name: string) => call<Answer<'pause_job'>>(`/jobs/${part(name)}/pause`, { method: 'POST' }),
  resumeJob: (name: string) => call<Answer<'resume_job'>>(`/jobs/${part(name)}/resume`, { method: 'POST' }),
  runs: (limit: number, job?: string) =>
    call<Answer<'list_runs'>>(`/runs?limit=${limit}${job === undefined ? '' : `&job=${part(job)}`}`).then((answer) => answer.runs),
  run: (id: string) => call<Answer<'get_run'>>(`/runs/${part(id)}`),
  runLog: (id: string, from: number) => call<Answer<'get_run_log'>>(`/runs/${part(id)}/log?from=${from}`),
  runAgain: (id: string) => call<Answer<'run_again'>>(`/runs/${part(id)}/again`, { method: 'POST' }),
  topics: () => call<Answer<'list_topics'>>('/topics'),
  topic: (name: string) => call<Answer<'get_topic'>>(`/topics/${part(name)}`),
  createTopic: (topic: TopicRequest) => call<Answer<'create_topic'>>('/topics', post(topic)),
  deleteTopic: (name: string) => call<Answer<'delete_topic'>>(`/topics/${part(name)}`, { method: 'DELETE' }),
  messages: (topic: string, questions: URLSearchParams, signal?: AbortSignal) => call<Answer<'list_messages'>>(`/topics/${part(topic)}/messages?${questions}`, { signal }),
  message: (topic: string, partition: number, offset: number) => call<Answer<'get_message'>>(`/topics/${part(topic)}/messages/${partition}/${offset}`),
  tail: (topic: string, questions: URLSearchParams, signal: AbortSignal) => request(`/topics/${part(topic)}/tail?${questions}`, { signal }),
  groups: () => call<Answer<'list_groups'>>('/groups').then((answer) => answer.groups),
  group: (name: string) => call<Answer<'get_group'>>(`/groups/${part(name)}`),
  deleteGroup: (name: string) => call<Answer<'delete_group'>>(`/groups/${part(name)}`, { method: 'DELETE' }),
  deliveries: () => call<Answer<'list_deliveries'>>('/deliveries').then((answer) => answer.deliveries),
  delivery: (name: string) => call<Answer<'get_delivery'>>(`/deliveries/${part(name)}`),
  pauseDelivery: (name: string) => call<Answer<'pause_delivery'>>(`/deliveries/${part(name)}/pause`, { method: 'POST' }),
  resumeDelivery: (name: string) => call<Answer<'resume_delivery'>>(`/deliveries/${part(name)}/resume`, { method: 'POST' }),
  deleteDelivery: (name: string) => call<Answer<'delete_delivery'>>(`/deliveries/${part(name)}`, { method: 'DELETE' }),
  redriveDelivery: (name: string) => call<Answer<'redrive_delivery'>>(`/deliveries/${part(name)}/redrive`, { method: 'POST' }),
  cancelRun: (id: string) => call<Answer<'cancel_run'>>(`/runs/${part(id)}`, { method: 'DELETE' }),
};

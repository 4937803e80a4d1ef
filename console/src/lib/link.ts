/** Addresses of pages, in one place, so that a link and the route it leads to agree. */
export const links = {
  home: () => '/',
  data: () => '/data',
  table: (schema: string, name: string, tab?: string) =>
    `/data/${encodeURIComponent(schema)}/${encodeURIComponent(name)}${tab && tab !== 'columns' ? `?tab=${tab}` : ''}`,
  query: () => '/query',
  savedQuery: (id: string) => `/query?saved=${encodeURIComponent(id)}`,
  /** SQL travels behind the `#`, so that it never reaches a server's log and may be long. */
  querySql: (sql: string, extra: Record<string, string> = {}) => `/query#${new URLSearchParams({ sql, ...extra }).toString()}`,
  load: (uploadId: string) => `/load/${encodeURIComponent(uploadId)}`,
  loadSource: (source: string) => `/load?source=${encodeURIComponent(source)}`,
  loadRun: (loadId: string) => `/loads/${encodeURIComponent(loadId)}`,
  jobs: () => '/jobs',
  job: (name: string) => `/jobs/${encodeURIComponent(name)}`,
  jobRun: (name: string, run: string) => `/jobs/${encodeURIComponent(name)}/runs/${run}`,
  streams: (tab = 'topics') => (tab === 'topics' ? '/streams' : `/streams?tab=${tab}`),
  group: (name: string) => `/streams/groups/${encodeURIComponent(name)}`,
  delivery: (name: string) => `/streams/deliveries/${encodeURIComponent(name)}`,
  message: (topic: string, partition: number, offset: number) => `/streams/${encodeURIComponent(topic)}?partition=${partition}&from=offset&place=${offset}`,
  topic: (name: string, tab = 'messages') => `/streams/${encodeURIComponent(name)}${tab === 'messages' ? '' : `?tab=${tab}`}`,
  settings: (section = 'account') => `/settings/${section}`,
  login: () => '/login',
};

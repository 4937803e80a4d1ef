// Topics that fill by themselves, and groups that read them.
const SECOND = 1_000;
const begun = Date.now();

const json = (value) => ({ kind: 'json', text: JSON.stringify(value), bytes: JSON.stringify(value).length, cut: false, schema_id: null });
const text = (value) => ({ kind: 'text', text: value, bytes: value.length, cut: false, schema_id: null });
const NONE = { kind: 'none', text: '', bytes: 0, cut: false, schema_id: null };
const KINDS = {
  'page-views': (n) => json({ page: `/products/${n % 97}`, user: { id: 1000 + (n % 411), country: ['NL', 'DE', 'FR', 'JP'][n % 4] }, ms: (n * 37) % 900, tags: n % 5 ? [] : ['new', 'mobile'], referrer: n % 3 ? null : 'https://example.org/a/long/way/to/come/from' }),
  'orders.placed': (n) => (n % 9 === 0 ? NONE : json({ order: n, lines: [{ sku: `A-${n % 50}`, count: 1 + (n % 3) }], total: ((n * 731) % 90_000) / 100 })),
  'device.telemetry.very-long-name-of-a-topic-that-somebody-thought-was-a-good-idea': (n) => ({ kind: 'binary', text: Array.from({ length: 24 }, (_, i) => ((n * 31 + i * 7) % 256).toString(16).padStart(2, '0')).join(''), bytes: 24, cut: false, schema_id: null }),
  logs: (n) => text(`level=${['info', 'warn', 'error'][n % 3]} request ${n} took ${(n * 13) % 400} ms`),
};
const RATES = { 'page-views': 180, 'orders.placed': 4, logs: 23 };
const PARTS = { 'page-views': 6, 'orders.placed': 3, logs: 2 };
const SCHEMA = { subject: 'orders.placed-value', version: 3, id: 12, kind: 'AVRO', text: '{"type":"record","name":"Order","fields":[{"name":"order","type":"long"},{"name":"total","type":"double"}]}' };

const made = new Map();
export const makeStreams = (lake) => {
  if (lake !== 'empty') for (const name of Object.keys(KINDS)) made.set(name, { name, id: crypto.randomUUID(), partitions: PARTS[name] ?? 1, rate: RATES[name] ?? 0, first: name === 'page-views' ? 1_200_000 : 100, settings: {} });
};

const endOf = (topic) => (topic.rate === undefined ? 0 : topic.first + Math.floor(((Date.now() - begun) / SECOND) * (topic.rate / topic.partitions)));
const startOf = (topic) => (topic.name === 'page-views' ? 400_000 : 0);
const timeOf = (topic, offset) => new Date(begun + ((offset - topic.first) / Math.max(0.2, topic.rate / topic.partitions)) * SECOND).toISOString();

function summary(topic) {
  const records = (endOf(topic) - startOf(topic)) * topic.partitions;
  return {
    name: topic.name, id: topic.id, partitions: topic.partitions, internal: false, records, written: endOf(topic) * topic.partitions, bytes: records * 180, newest_at: records ? timeOf(topic, endOf(topic) - 1) : null,
    cleanup_policy: topic.settings['cleanup.policy'] ?? (topic.name === 'orders.placed' ? 'compact' : 'delete'), retention_ms: Number(topic.settings['retention.ms'] ?? 604_800_000), schema: topic.name === 'orders.placed' ? SCHEMA : null,
  };
}

function message(topic, partition, offset) {
  return { partition, offset, timestamp: timeOf(topic, offset), key: topic.name === 'logs' ? NONE : text(`user-${1000 + (offset % 411)}`), headers: json(offset % 4 ? {} : { 'trace-id': (offset * 7919).toString(16), source: 'web' }), value: KINDS[topic.name](offset * topic.partitions + partition) };
}

const GROUPS = { 'dashboard-refresh': ['page-views', 220, 3], 'warehouse-loader': ['orders.placed', 0, 1], 'old-report': ['page-views', 90_000, 0] };

function offsets(name) {
  const [topicName, behind, members] = GROUPS[name];
  const topic = made.get(topicName);
  if (!topic) return [];
  const swing = behind ? Math.floor(behind * (1 + 0.4 * Math.sin(Date.now() / 9_000))) : 0;
  return Array.from({ length: topic.partitions }, (_, partition) => {
    const end = endOf(topic);
    return { topic: topicName, partition, offset: end - swing, end, lag: swing, member: members ? `member-${partition % members}` : null };
  });
}

const group = (name) => {
  const [topic, , members] = GROUPS[name];
  return { name, kind: 'classic', state: members ? 'stable' : 'empty', protocol: 'consumer', members, topics: [topic], lag: offsets(name).reduce((sum, one) => sum + one.lag, 0) };
};

function page(topic, query) {
  const limit = Number(query.get('limit') ?? 100);
  const parts = query.has('partition') ? [Number(query.get('partition'))] : Array.from({ length: topic.partitions }, (_, i) => i);
  const forward = query.get('begin') === 'oldest';
  const cursor = query.has('cursor') ? Number(query.get('cursor').split(':')[1]) : null;
  const search = (query.get('search') ?? '').toLowerCase();
  let at = cursor ?? (forward ? Math.max(startOf(topic), Number(query.get('offset') ?? 0)) : endOf(topic));
  const messages = [];
  let looked = 0;
  while (messages.length < limit && looked < 20_000 && (forward ? at < endOf(topic) : at > startOf(topic))) {
    if (!forward) at -= 1;
    for (const partition of parts) {
      const one = message(topic, partition, at);
      looked += 1;
      if (!search || `${one.key.text} ${one.value.text}`.toLowerCase().includes(search)) messages.push(one);
    }
    if (forward) at += 1;
  }
  const more = forward ? at < endOf(topic) : at > startOf(topic);
  return { messages: messages.slice(0, limit), next: more ? `0:${at}` : null, looked_at: looked };
}

const missing = (fail, name) => fail('42704', 'not_found', 404, `there is no topic "${name}"`);

export const streamRoutes = (fail, body) => {
  const find = (name) => {
    const topic = made.get(name);
    if (!topic) throw missing(fail, name);
    return topic;
  };
  const detail = (topic) => ({
    topic: summary(topic),
    partitions: Array.from({ length: topic.partitions }, (_, partition) => ({ partition, start: startOf(topic), end: endOf(topic), stable: endOf(topic), bytes: (endOf(topic) - startOf(topic)) * 180, newest_at: summary(topic).newest_at })),
    settings: [
      ...Object.entries(topic.settings).map(([name, value]) => ({ name, value, source: 'topic', read_only: false, documentation: null })),
      { name: 'max.message.bytes', value: '1048588', source: 'default', read_only: false, documentation: 'the largest batch that is taken' },
      { name: 'compression.type', value: 'producer', source: 'default', read_only: false, documentation: null },
    ],
    groups: Object.keys(GROUPS).filter((name) => GROUPS[name][0] === topic.name).map((name) => ({ group: name, state: group(name).state, lag: group(name).lag, offsets: offsets(name) })),
  });
  const shown = () => (made.size ? Object.keys(GROUPS) : []);
  return [
    ['GET', /^\/topics$/, () => ({ topics: [...made.values()].map(summary), kafka: { address: '127.0.0.1:7492', login: true } })],
    ['POST', /^\/topics$/, async (_, request) => {
      const asked = await body(request);
      if (made.has(asked.name)) throw fail('42710', 'already_exists', 409, `there is a topic "${asked.name}" already`);
      made.set(asked.name, { name: asked.name, id: crypto.randomUUID(), partitions: asked.partitions ?? 1, first: 0, settings: asked.settings });
      return detail(made.get(asked.name));
    }],
    ['GET', /^\/topics\/([^/]+)$/, ([name]) => detail(find(name))],
    ['DELETE', /^\/topics\/([^/]+)$/, ([name]) => void (find(name) && made.delete(name))],
    ['GET', /^\/topics\/([^/]+)\/messages$/, ([name], _, query) => page(find(name), query)],
    ['GET', /^\/topics\/([^/]+)\/messages\/(\d+)\/(\d+)$/, ([name, partition, offset]) => message(find(name), Number(partition), Number(offset))],
    ['GET', /^\/groups$/, () => ({ groups: shown().map(group) })],
    ['GET', /^\/groups\/([^/]+)$/, ([name]) => {
      if (!shown().includes(name)) throw fail('42704', 'not_found', 404, `there is no group "${name}"`);
      const [topic, , members] = GROUPS[name];
      const all = offsets(name);
      return { group: group(name), members: Array.from({ length: members }, (_, i) => ({ id: `member-${i}`, instance: null, client_id: 'rdkafka', host: '/10.0.0.7', assigned: [{ topic, partitions: all.filter((one) => one.member === `member-${i}`).map((one) => one.partition) }] })), offsets: all };
    }],
    ['DELETE', /^\/groups\/([^/]+)$/, ([name]) => void delete GROUPS[name]],
  ];
};

/** What comes into a topic, a line every quarter of a second. */
export function tail(path, query, response) {
  const name = decodeURIComponent(/^\/topics\/([^/]+)\/tail$/.exec(path)?.[1] ?? '');
  const topic = made.get(name);
  if (!topic) return false;
  response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
  response.write('\n');
  let at = endOf(topic);
  const timer = setInterval(() => {
    const end = endOf(topic);
    const messages = [];
    for (; at < end; at += 1) for (let partition = 0; partition < topic.partitions; partition += 1) messages.push(message(topic, partition, at));
    if (messages.length) response.write(`${JSON.stringify({ messages: messages.slice(-100), skipped: Math.max(0, messages.length - 100) })}\n`);
  }, 250);
  response.on('close', () => clearInterval(timer));
  return true;
}

// Topics with records, groups that are behind, deliveries: by Kafka's own client, as producers and readers make them.
import { Kafka, logLevel } from 'kafkajs';

import { runSql } from './browser.mjs';

const GROUP_MS = 20_000;

/** A client of a server that `findServer` started. */
export function kafka(server) {
  return new Kafka({ clientId: 'browser-tests', brokers: [server.kafka], sasl: { mechanism: 'scram-sha-256', username: server.user, password: server.password }, logLevel: logLevel.NOTHING });
}

/** Writes records, `{ key, value, headers }`, into one partition. */
export async function produce(server, topic, messages, partition = 0) {
  const producer = kafka(server).producer({ allowAutoTopicCreation: false });
  await producer.connect();
  try {
    await producer.send({ topic, messages: messages.map((message) => ({ partition, ...message })) });
  } finally {
    await producer.disconnect();
  }
}

/** Makes topics: `{ topic, numPartitions }`. */
export async function makeTopics(server, topics) {
  const admin = kafka(server).admin();
  await admin.connect();
  try {
    await admin.createTopics({ topics });
  } finally {
    await admin.disconnect();
  }
}

/** A group that has read `records` of a topic's one partition and is gone again. */
export async function readSome(server, groupId, topic, records) {
  const admin = kafka(server).admin();
  await admin.connect();
  try {
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: String(records) }] });
  } finally {
    await admin.disconnect();
  }
}

/** Runs `work` while somebody reads the topic in this group. */
export async function whileRead(server, groupId, topic, work) {
  const consumer = kafka(server).consumer({ groupId });
  await consumer.connect();
  try {
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    const joined = new Promise((resolve, reject) => {
      consumer.on(consumer.events.GROUP_JOIN, resolve);
      setTimeout(() => reject(new Error('the reader did not join its group')), GROUP_MS).unref();
    });
    await consumer.run({ eachBatch: async () => {} });
    await joined;
    return await work();
  } finally {
    await consumer.disconnect();
  }
}

const AVRO = '{"type": "record", "name": "Reading", "fields": [{"name": "sensor", "type": "string"}, {"name": "degrees", "type": "long"}]}';

/** Registers an Avro schema for a topic's values; its id. */
export async function registerReadings(server, topic) {
  const authorization = `Basic ${Buffer.from(`${server.user}:${server.password}`).toString('base64')}`;
  const answer = await fetch(`${server.url}/schema-registry/subjects/${topic}-value/versions`, { method: 'POST', headers: { 'Content-Type': 'application/vnd.schemaregistry.v1+json', Authorization: authorization }, body: JSON.stringify({ schema: AVRO }) });
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()).id;
}

/** Avro's whole numbers: the sign in the last bit, seven bits a byte, the lowest first. */
function avroLong(value) {
  const bytes = [];
  let left = value >= 0 ? value * 2 : -value * 2 - 1;
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return Buffer.from([...bytes, left]);
}

/** A reading as a serializer writes it: a zero, the schema's id, the fields. */
export function framedReading(schema, sensor, degrees) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(schema, 1);
  const name = Buffer.from(sensor);
  return Buffer.concat([head, avroLong(name.length), name, avroLong(degrees)]);
}

/** A topic with one odd record, a group that is behind, a delivery that goes well, one that rejects one that fails and one that rests. */
export async function makeStreams(page, server) {
  await makeTopics(server, [{ topic: 'page-views-of-the-shop-in-the-year-before', numPartitions: 3 }, { topic: 'orders', numPartitions: 1 }, { topic: 'nothing-yet', numPartitions: 1 }]);
  const views = Array.from({ length: 40 }, (_, number) => ({ key: `visitor-${number % 7}`, value: JSON.stringify({ visitor: number % 7, page: '/pricing', ms: number * 1.5, agent: { os: 'linux' } }), headers: { trace: `t${number}` } }));
  for (const partition of [0, 1, 2]) await produce(server, 'page-views-of-the-shop-in-the-year-before', views, partition);
  await produce(server, 'orders', [...views.map((_, number) => ({ key: `${number}`, value: `{"id": ${number}, "total": ${number * 3.5}}` })), { key: 'odd', value: 'no JSON at all' }, { key: 'gone', value: null }]);
  await readSome(server, 'billing', 'orders', 30);
  await runSql(page, 'CREATE DELIVERY orders_into_the_lake FROM TOPIC orders INTO TABLE public.orders_delivered BUFFER 1 MB OR 1 SECONDS');
  await runSql(page, 'CREATE DELIVERY resting_views FROM TOPIC "page-views-of-the-shop-in-the-year-before" INTO TABLE public.views_delivered');
  await runSql(page, 'ALTER DELIVERY resting_views PAUSE');
  await runSql(page, `CREATE DELIVERY orders_for_the_warehouse FROM TOPIC orders INTO POSTGRES WITH (host '127.0.0.1', port 9, database 'd', "user" 'u', "table" 't', password 'p') BUFFER 1 MB OR 1 SECONDS`);
  const delivered = async () => (await runSql(page, "SELECT count(*) AS n FROM polder.deliveries WHERE delivery_name = 'orders_into_the_lake' AND rejected > 0"))[0].n;
  while ((await delivered()) === 0) await page.waitForTimeout(100);
}

// What kafkajs does at a server: told as one object.
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'

const place = JSON.parse(process.argv[2])
const WAIT_MS = 60_000
const kafka = new Kafka({
  clientId: 'kafkajs', brokers: [place.broker], logLevel: logLevel.NOTHING,
  sasl: { mechanism: 'scram-sha-512', username: place.username, password: place.password },
})

// The values of so many records, read by a group of its own.
async function read(topic, groupId, count, work = async () => {}) {
  const consumer = kafka.consumer({ groupId })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const messages = []
  await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`only ${messages.length} records come`)), WAIT_MS)
    consumer.run({
      eachMessage: async ({ message }) => {
        messages.push(message)
        if (messages.length === count) {
          clearTimeout(late)
          resolve()
        }
      },
    })
  })
  await work()
  await consumer.disconnect()
  return messages
}

const told = {}
const admin = kafka.admin()
await admin.connect()
told.created = await admin.createTopics({ topics: [{ topic: place.topic, numPartitions: 1 }] })

const producer = kafka.producer({ idempotent: true })
await producer.connect()
const messages = Array.from({ length: 100 }, (_, number) => ({ key: `k${number}`, value: `v${number}`, headers: { h: '1' } }))
await producer.send({ topic: place.topic, compression: CompressionTypes.GZIP, messages })
told.written = messages.length
await producer.disconnect()

const group = `${place.topic}-group`
const seen = await read(place.topic, group, 100, async () => {
  told.described = (await admin.describeGroups([group])).groups[0].state
})
told.read = seen.length
told.headers = seen[0].headers.h.toString()
const [{ low, high }] = await admin.fetchTopicOffsets(place.topic)
told.low = Number(low)
told.high = Number(high)

const other = `${place.topic}-transactions`
await admin.createTopics({ topics: [{ topic: other, numPartitions: 1 }] })
const transactional = kafka.producer({ transactionalId: other, maxInFlightRequests: 1, idempotent: true })
await transactional.connect()
for (const value of ['gone', 'kept']) {
  const transaction = await transactional.transaction()
  await transaction.send({ topic: other, messages: [{ value }] })
  await (value === 'kept' ? transaction.commit() : transaction.abort())
}
await transactional.disconnect()
told.transaction = (await read(other, `${other}-group`, 1)).map((message) => message.value.toString())

await admin.deleteTopics({ topics: [place.topic, other] })
told.deleted = !(await admin.listTopics()).includes(place.topic)
await admin.disconnect()
console.log(JSON.stringify(told))

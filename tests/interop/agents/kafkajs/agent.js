// KafkaJS as an interop client: one JSON request per line in, one JSON answer per line out. See ../../agents.py for the
// operations; they mean the same in every agent.
'use strict'

const { readFileSync } = require('node:fs')
const readline = require('node:readline')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
const zstd = require('@bokuweb/zstd-wasm')
const lz4 = require('lz4js')
const xxh32 = require('lz4js/xxh32')

// Kafka takes only frames whose blocks are independent; with one block they are, but lz4js does not say so.
function independent (frame) {
  frame[4] |= 0x20
  frame[6] = (xxh32.hash(0, frame, 4, 2) >> 8) & 0xff
  return frame
}

// KafkaJS brings gzip; the other codecs are the user's to supply.
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => independent(Buffer.from(lz4.compress(encoder.buffer))),
  decompress: async buffer => Buffer.from(lz4.decompress(buffer))
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer))
})
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD
}

const TIMEOUT = 30000
const bytes = text => (text === null || text === undefined ? null : Buffer.from(text, 'base64'))
const text = value => (value === null || value === undefined ? null : Buffer.from(value).toString('base64'))

function security ({ security: how }) {
  if (!how) return {}
  const ssl = { ca: [readFileSync(how.ca, 'utf8')] }
  if (how.cert) Object.assign(ssl, { cert: readFileSync(how.cert, 'utf8'), key: readFileSync(how.key, 'utf8') })
  if (!how.mechanism) return { ssl }
  if (how.token) {
    return { ssl, sasl: { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: how.token }) } }
  }
  return { ssl, sasl: { mechanism: how.mechanism.toLowerCase(), username: how.user, password: how.password } }
}

function client (request) {
  return new Kafka({
    brokers: [request.bootstrap],
    ...security(request),
    clientId: 'interop-kafkajs',
    logLevel: logLevel.NOTHING,
    retry: { retries: 8, initialRetryTime: 50 }
  })
}

async function using (connected, act) {
  await connected.connect()
  try {
    return await act(connected)
  } finally {
    await connected.disconnect()
  }
}

// KafkaJS takes a header's values as one or a list; the order between names is kept.
function toHeaders (pairs) {
  const headers = {}
  for (const [name, value] of pairs) (headers[name] ??= []).push(bytes(value) ?? '')
  return headers
}

function fromHeaders (headers) {
  return Object.entries(headers ?? {}).flatMap(([name, values]) =>
    (Array.isArray(values) ? values : [values]).map(value => [name, text(value)]))
}

function messages (records) {
  return records.map(record => ({
    key: bytes(record.key),
    value: bytes(record.value),
    headers: toHeaders(record.headers),
    ...(record.timestamp ? { timestamp: String(record.timestamp) } : {}),
    ...(record.partition === undefined ? {} : { partition: record.partition })
  }))
}

async function gather (request, consumer, onBatch) {
  const found = []
  let done
  const finished = new Promise(resolve => { done = resolve })
  const timer = setTimeout(() => done(), request.wait_ms ?? TIMEOUT)
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset }) => {
      for (const message of batch.messages) {
        if (found.length >= request.count) break
        found.push({
          key: text(message.key),
          value: text(message.value),
          headers: fromHeaders(message.headers),
          timestamp: Number(message.timestamp),
          partition: batch.partition,
          offset: Number(message.offset)
        })
        resolveOffset(message.offset)
      }
      if (onBatch) await onBatch(batch)
      if (found.length >= request.count) done()
    }
  })
  await finished
  clearTimeout(timer)
  return found
}

function positions (topic, found) {
  const next = new Map()
  for (const { partition, offset } of found) next.set(partition, offset + 1)
  return [...next].map(([partition, offset]) => ({ topic, partition, offset: String(offset) }))
}

const operations = {
  version: async () => require('kafkajs/package.json').version,

  create_topic: request => using(client(request).admin(), admin => admin.createTopics({
    waitForLeaders: true,
    topics: [{
      topic: request.topic,
      numPartitions: request.partitions,
      replicationFactor: 1,
      configEntries: Object.entries(request.configs ?? {}).map(([name, value]) => ({ name, value }))
    }]
  })),

  delete_topic: request => using(client(request).admin(), admin => admin.deleteTopics({ topics: [request.topic] })),

  topics: request => using(client(request).admin(), admin => admin.listTopics()),

  topic_config: request => using(client(request).admin(), async admin => {
    const { resources } = await admin.describeConfigs({ resources: [{ type: 2, name: request.topic }] })
    return Object.fromEntries(resources[0].configEntries.map(entry => [entry.configName, entry.configValue]))
  }),

  set_topic_config: request => using(client(request).admin(), admin => admin.alterConfigs({
    validateOnly: false,
    resources: [{
      type: 2,
      name: request.topic,
      configEntries: Object.entries(request.configs).map(([name, value]) => ({ name, value }))
    }]
  })),

  produce: async request => {
    const kafka = client(request)
    const transactional = request.transaction !== undefined
    const producer = kafka.producer({
      allowAutoTopicCreation: true,
      idempotent: request.idempotent || transactional,
      ...(transactional ? { transactionalId: request.transactional_id, maxInFlightRequests: 1 } : {})
    })
    return using(producer, async () => {
      const batch = { topic: request.topic, acks: -1, compression: CODECS[request.codec], messages: messages(request.records) }
      if (!transactional) return void await producer.send(batch)
      const transaction = await producer.transaction()
      await transaction.send(batch)
      await (request.transaction === 'commit' ? transaction.commit() : transaction.abort())
    })
  },

  consume: async request => {
    const consumer = client(request).consumer({
      groupId: request.group,
      sessionTimeout: 6000,
      heartbeatInterval: 500,
      maxWaitTimeInMs: 200,
      readUncommitted: request.isolation !== 'read_committed'
    })
    return using(consumer, async () => {
      await consumer.subscribe({ topics: [request.topic], fromBeginning: true })
      const found = await gather(request, consumer)
      if (request.commit) await consumer.commitOffsets(positions(request.topic, found))
      return found
    })
  },

  two_members: async request => {
    const owned = [[], []]
    let settled
    const done = new Promise(resolve => { settled = resolve })
    const timer = setTimeout(() => settled(), TIMEOUT)
    const members = owned.map((_, index) => {
      const consumer = client(request).consumer({ groupId: request.group, sessionTimeout: 6000, heartbeatInterval: 500 })
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        owned[index] = payload.memberAssignment[request.topic] ?? []
        if (owned.every(partitions => partitions.length > 0) && !owned[0].some(one => owned[1].includes(one))) settled()
      })
      return consumer
    })
    for (const member of members) {
      await member.connect()
      await member.subscribe({ topics: [request.topic], fromBeginning: true })
      await member.run({ eachMessage: async () => {} })
    }
    await done
    clearTimeout(timer)
    const result = owned.map(partitions => [...partitions])
    for (const member of members) await member.disconnect()
    return result
  },

  offset_for_time: request => using(client(request).admin(), async admin => {
    const found = await admin.fetchTopicOffsetsByTimestamp(request.topic, request.timestamp)
    return Number(found.find(one => one.partition === request.partition).offset)
  }),

  delete_records: request => using(client(request).admin(), async admin => {
    // KafkaJS deletes only in topics whose metadata it has happened to load.
    await admin.fetchTopicOffsets(request.topic)
    await admin.deleteTopicRecords({
      topic: request.topic,
      partitions: [{ partition: request.partition, offset: String(request.offset) }]
    })
  }),

  transform: async request => {
    const kafka = client(request)
    const producer = kafka.producer({ transactionalId: request.transactional_id, idempotent: true, maxInFlightRequests: 1 })
    const consumer = kafka.consumer({
      groupId: request.group, sessionTimeout: 6000, heartbeatInterval: 500, maxWaitTimeInMs: 200, readUncommitted: false
    })
    return using(producer, () => using(consumer, async () => {
      await consumer.subscribe({ topics: [request.source], fromBeginning: true })
      await gather(request, consumer, async batch => {
        const transaction = await producer.transaction()
        await transaction.send({
          topic: request.sink,
          messages: batch.messages.map(({ key, value }) => ({ key, value: Buffer.concat([Buffer.from('seen '), value]) }))
        })
        const last = batch.messages[batch.messages.length - 1]
        await transaction.sendOffsets({
          consumerGroupId: request.group,
          topics: [{ topic: request.source, partitions: [{ partition: batch.partition, offset: String(Number(last.offset) + 1) }] }]
        })
        await transaction.commit()
      })
    }))
  },

  delete_group: request => using(client(request).admin(), admin => admin.deleteGroups([request.group])),

  groups: request => using(client(request).admin(), async admin => (await admin.listGroups()).groups.map(one => one.groupId))
}

async function main () {
  await zstd.init()
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line)
    let answer
    try {
      answer = { ok: (await operations[request.op](request)) ?? null }
    } catch (error) {
      answer = { error: `${error.name}: ${error.message}` }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
  process.exit(0)
}

main()

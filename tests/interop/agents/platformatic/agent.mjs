// @platformatic/kafka as an interop client: one JSON request per line in, one JSON answer per line out. See
// ../../agents.py for the operations; they mean the same in every agent.

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

// It counts on a newer Node than the oldest one it is used with.
Promise.withResolvers ??= () => {
  const made = {}
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}
const { Admin, Consumer, Producer } = await import('@platformatic/kafka')

const TIMEOUT = 30000
const bytes = text => (text === null || text === undefined ? undefined : Buffer.from(text, 'base64'))
const text = value => (value === null || value === undefined ? null : Buffer.from(value).toString('base64'))

function security ({ security: how }) {
  if (!how) return {}
  const tls = { ca: [readFileSync(how.ca)] }
  if (how.cert) Object.assign(tls, { cert: readFileSync(how.cert), key: readFileSync(how.key) })
  if (!how.mechanism) return { tls }
  if (how.token) return { tls, sasl: { mechanism: how.mechanism, token: how.token } }
  return { tls, sasl: { mechanism: how.mechanism, username: how.user, password: how.password } }
}

const base = request => ({
  clientId: 'interop-platformatic',
  bootstrapBrokers: [request.bootstrap],
  retries: request.security ? 3 : 60,
  retryDelay: 250,
  ...security(request)
})

async function admin (request, act) {
  const client = new Admin(base(request))
  try {
    return await act(client)
  } finally {
    await client.close()
  }
}

function messages (request) {
  return request.records.map(record => ({
    topic: request.topic,
    key: bytes(record.key),
    value: bytes(record.value),
    // Buffers as keys, so that a name may come twice.
    headers: new Map(record.headers.map(([name, value]) => [Buffer.from(name), bytes(value)])),
    ...(record.timestamp ? { timestamp: BigInt(record.timestamp) } : {})
  }))
}

function consumer (request, more = {}) {
  const protocol = request.protocol === 'consumer'
    ? { groupProtocol: 'consumer' }
    : { sessionTimeout: 6000, heartbeatInterval: 500 }
  return new Consumer({
    ...base(request),
    groupId: request.group,
    ...protocol,
    maxWaitTime: 200,
    autocommit: false,
    isolationLevel: request.isolation === 'read_committed' ? 1 : 0,
    ...more
  })
}

// Reads until `count` messages are there or the time is up.
async function gather (request, client, topic) {
  const stream = await client.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest', autocommit: false })
  const found = []
  await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, request.wait_ms ?? TIMEOUT)
    stream.on('error', reject)
    stream.on('data', message => {
      if (found.length < request.count) found.push(message)
      if (found.length >= request.count) {
        clearTimeout(timer)
        resolve()
      }
    })
  })
  return { stream, found }
}

function json (message) {
  return {
    key: text(message.key),
    value: text(message.value),
    headers: message.headerEntries.map(([name, value]) => [name.toString(), text(value)]),
    timestamp: Number(message.timestamp),
    partition: message.partition,
    offset: Number(message.offset)
  }
}

const operations = {
  version: async () =>
    JSON.parse(readFileSync(new URL('node_modules/@platformatic/kafka/package.json', import.meta.url))).version,

  create_topic: request => admin(request, async client => {
    const configs = Object.entries(request.configs ?? {}).map(([name, value]) => ({ name, value }))
    await client.createTopics({ topics: [request.topic], partitions: request.partitions, replicas: 1, configs })
  }),

  delete_topic: request => admin(request, client => client.deleteTopics({ topics: [request.topic] })),

  topics: request => admin(request, client => client.listTopics()),

  topic_config: request => admin(request, async client => {
    const [found] = await client.describeConfigs({ resources: [{ resourceType: 2, resourceName: request.topic, configurationKeys: null }] })
    return Object.fromEntries(found.configs.map(one => [one.name, one.value]))
  }),

  set_topic_config: request => admin(request, client => client.incrementalAlterConfigs({
    resources: [{
      resourceType: 2,
      resourceName: request.topic,
      configs: Object.entries(request.configs).map(([name, value]) => ({ name, configOperation: 0, value }))
    }]
  })),

  produce: async request => {
    const transactional = request.transaction !== undefined
    const producer = new Producer({
      ...base(request),
      acks: -1,
      autocreateTopics: true,
      compression: request.codec,
      idempotent: request.idempotent || transactional,
      ...(transactional ? { transactionalId: request.transactional_id } : {})
    })
    try {
      // Named here as well: a send takes its acks from its own options, not from the producer's.
      if (!transactional) return void await producer.send({ messages: messages(request), acks: -1 })
      const transaction = await producer.beginTransaction()
      await transaction.send({ messages: messages(request) })
      await (request.transaction === 'commit' ? transaction.commit() : transaction.abort())
    } finally {
      await producer.close(true)
    }
  },

  consume: async request => {
    const client = consumer(request)
    try {
      const { stream, found } = await gather(request, client, request.topic)
      if (request.commit) {
        const last = new Map(found.map(message => [message.partition, message]))
        await client.commit({
          offsets: [...last.values()].map(({ topic, partition, offset, leaderEpoch }) => ({ topic, partition, offset: offset + 1n, leaderEpoch }))
        })
      }
      await stream.close()
      return found.map(json)
    } finally {
      await client.close(true)
    }
  },

  two_members: async request => {
    const members = [0, 1].map(index =>
      consumer(request, request.instance_ids ? { groupInstanceId: request.instance_ids[index] } : {}))
    const owned = () => members.map(member =>
      (member.assignments ?? []).filter(one => one.topic === request.topic).flatMap(one => one.partitions))
    try {
      await Promise.all(members.map(member => member.consume({ topics: [request.topic], mode: 'earliest', autocommit: false })))
      const deadline = Date.now() + TIMEOUT
      while (Date.now() < deadline) {
        const [one, two] = owned()
        if (one.length && two.length && one.length + two.length === request.partitions && !one.some(p => two.includes(p))) break
        await new Promise(resolve => setTimeout(resolve, 50))
      }
      return owned()
    } finally {
      for (const member of members) await member.close(true)
    }
  },

  offset_for_time: request => admin(request, async client => {
    const partitions = [{ partitionIndex: request.partition, timestamp: BigInt(request.timestamp) }]
    const [found] = await client.listOffsets({ topics: [{ name: request.topic, partitions }] })
    return Number(found.partitions[0].offset)
  }),

  delete_records: request => admin(request, async client => {
    const partitions = [{ partition: request.partition, offset: BigInt(request.offset) }]
    await client.deleteRecords({ topics: [{ name: request.topic, partitions }] })
  }),

  transform: async request => {
    const producer = new Producer({ ...base(request), transactionalId: request.transactional_id, idempotent: true, autocreateTopics: true })
    const client = consumer({ ...request, isolation: 'read_committed' })
    try {
      const { stream, found } = await gather(request, client, request.source)
      const transaction = await producer.beginTransaction()
      await transaction.addConsumer(client)
      await transaction.send({
        messages: found.map(({ key, value }) => ({ topic: request.sink, key, value: Buffer.concat([Buffer.from('seen '), value]) }))
      })
      const last = new Map(found.map(message => [message.partition, message]))
      for (const message of last.values()) await transaction.addOffset(message)
      await transaction.commit()
      await stream.close()
    } finally {
      await client.close(true)
      await producer.close(true)
    }
  },

  delete_group: request => admin(request, client => client.deleteGroups({ groups: [request.group] })),

  groups: request => admin(request, async client => [...(await client.listGroups()).keys()])
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  let answer
  try {
    answer = { ok: (await operations[request.op](request)) ?? null }
  } catch (error) {
    const causes = (error.errors ?? []).map(one => one.message).join('; ')
    answer = { error: `${error.name}: ${error.message}${causes ? ` (${causes})` : ''}` }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
process.exit(0)

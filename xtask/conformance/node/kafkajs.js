// kafkajs, a client written in JavaScript alone: old protocol versions, its own assignor.

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = require('kafkajs')
const { assert, check, eventually, run } = require('./report')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const kafka = new Kafka({ clientId: 'js', brokers: [process.env.BOOTSTRAP], logLevel: logLevel.NOTHING, retry: { retries: 4 } })
const admin = kafka.admin()

const create = (topic, numPartitions = 1, config = {}) =>
  admin.createTopics({
    waitForLeaders: true,
    topics: [{ topic, numPartitions, replicationFactor: 1, configEntries: Object.entries(config).map(([name, value]) => ({ name, value })) }],
  })

const produce = async (topic, messages, { compression, acks, ...options } = {}) => {
  const producer = kafka.producer(options)
  await producer.connect()
  const sent = await producer.send({ topic, messages, compression, acks })
  await producer.disconnect()
  return sent
}

/** Starts a member of a group; what it reads arrives in `records`. */
const member = async (groupId, topics, { config = {}, runConfig = {} } = {}) => {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 300, rebalanceTimeout: 6000, maxWaitTimeInMs: 200, ...config })
  const records = []
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  await consumer.run({ eachMessage: async ({ partition, message }) => records.push({ partition, ...message }), ...runConfig })
  return { consumer, records }
}

const read = async (topic, count) => {
  const { consumer, records } = await member(`js-read-${topic}-${Math.random()}`, [topic])
  await eventually(`${count} records`, 30, () => records.length >= count)
  await consumer.disconnect()
  return records
}

const refused = async (promise, pattern) => {
  await assert.rejects(promise, (error) => pattern.test(JSON.stringify([error.type, error.message, error.errors, error.groups, error.partitions])) || assert.fail(String(error)))
}

check('the cluster describes itself', async () => {
  await admin.connect()
  const { brokers, controller, clusterId } = await admin.describeCluster()
  assert.strictEqual(`${brokers[0].host}:${brokers[0].port}`, process.env.BOOTSTRAP)
  assert(clusterId)
  assert.strictEqual(typeof controller, 'number')
})

check('topics are created listed grown and deleted', async () => {
  assert.strictEqual(await create('js-life', 2), true)
  assert.strictEqual(await create('js-life', 2), false)
  assert((await admin.listTopics()).includes('js-life'))
  await admin.createPartitions({ topicPartitions: [{ topic: 'js-life', count: 4 }] })
  await eventually('4 partitions', 10, async () => (await admin.fetchTopicMetadata({ topics: ['js-life'] })).topics[0].partitions.length === 4)
  await admin.deleteTopics({ topics: ['js-life'] })
  await eventually('it is gone', 10, async () => !(await admin.listTopics()).includes('js-life'))
})

check('bad topics are refused', async () => {
  await refused(create('js bad name'), /INVALID_TOPIC_EXCEPTION|Invalid topic/)
  await refused(create('js-config', 1, { 'retention.ms': 'soon' }), /INVALID_CONFIG|onfiguration is invalid/)
  await refused(admin.deleteTopics({ topics: ['js-never-there'] }), /UNKNOWN_TOPIC_OR_PARTITION|does not host this topic/)
})

check('every codec round trips', async () => {
  for (const compression of [CompressionTypes.None, CompressionTypes.GZIP, CompressionTypes.Snappy]) {
    const topic = `js-codec-${compression}`
    await create(topic)
    const messages = Array.from({ length: 200 }, (_, n) => ({ key: `k${n}`, value: `value ${n} `.repeat(10) }))
    const [sent] = await produce(topic, messages, { compression })
    assert.strictEqual(sent.baseOffset, '0')
    const got = await read(topic, 200)
    assert.deepStrictEqual(got.map((r) => r.value.toString()), messages.map((m) => m.value))
    assert.deepStrictEqual(got.map((r) => r.offset), messages.map((_, n) => String(n)))
  }
})

check('headers timestamps and null values survive', async () => {
  await create('js-parts')
  await produce('js-parts', [{ key: 'tombstone', value: null, headers: { a: '1', b: ['2', '3'] }, timestamp: '1600000000123' }])
  const [record] = await read('js-parts', 1)
  assert.strictEqual(record.value, null)
  assert.strictEqual(record.timestamp, '1600000000123')
  assert.strictEqual(record.headers.a.toString(), '1')
  assert.deepStrictEqual(record.headers.b.map(String), ['2', '3'])
})

check('every ack level is accepted', async () => {
  await create('js-acks')
  for (const acks of [0, 1, -1]) await produce('js-acks', [{ value: 'x' }], { acks })
  assert.strictEqual((await read('js-acks', 3)).length, 3)
})

check('the idempotent producer is accepted', async () => {
  await create('js-idempotent')
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let n = 0; n < 20; n += 1) await producer.send({ topic: 'js-idempotent', messages: [{ value: `${n}` }] })
  await producer.disconnect()
  const got = await read('js-idempotent', 20)
  assert.deepStrictEqual(got.map((r) => Number(r.value)), Array.from({ length: 20 }, (_, n) => n))
})

check('transactions commit and abort records and offsets', async () => {
  await create('js-txn')
  const producer = kafka.producer({ transactionalId: 'js-txn', idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let n = 0; n < 4; n += 1) {
    const transaction = await producer.transaction()
    await transaction.send({ topic: 'js-txn', messages: [{ value: `${n}` }] })
    await transaction.sendOffsets({ consumerGroupId: 'js-txn', topics: [{ topic: 'js-txn', partitions: [{ partition: 0, offset: `${10 + n}` }] }] })
    await (n % 2 === 0 ? transaction.commit() : transaction.abort())
  }
  const second = kafka.producer({ transactionalId: 'js-txn', idempotent: true, maxInFlightRequests: 1 })
  await second.connect()
  const transaction = await second.transaction()
  await assert.rejects(producer.transaction().then((stale) => stale.send({ topic: 'js-txn', messages: [{ value: 'fenced' }] })), /epoch|fenced|transactional/i)
  await transaction.send({ topic: 'js-txn', messages: [{ value: 'last' }] })
  await transaction.commit()
  await producer.disconnect()
  await second.disconnect()
  // This client reads what is committed.
  assert.deepStrictEqual((await read('js-txn', 3)).map((r) => r.value.toString()), ['0', '2', 'last'])
  const [{ partitions }] = await admin.fetchOffsets({ groupId: 'js-txn', topics: ['js-txn'] })
  assert.strictEqual(partitions[0].offset, '12')
})

check('offsets are listed by end and by time', async () => {
  await create('js-offsets')
  const messages = Array.from({ length: 10 }, (_, n) => ({ value: 'x', timestamp: String(2_000_000 + n * 1000) }))
  await produce('js-offsets', messages)
  const [end] = await admin.fetchTopicOffsets('js-offsets')
  assert.deepStrictEqual([end.low, end.high], ['0', '10'])
  const [found] = await admin.fetchTopicOffsetsByTimestamp('js-offsets', 2_003_500)
  assert.strictEqual(found.offset, '4')
})

check('records are deleted up to an offset', async () => {
  await create('js-delete')
  await produce('js-delete', Array.from({ length: 10 }, (_, n) => ({ value: `${n}` })))
  // The client looks for leaders only where it has asked before.
  await admin.fetchTopicOffsets('js-delete')
  await admin.deleteTopicRecords({ topic: 'js-delete', partitions: [{ partition: 0, offset: '4' }] })
  assert.strictEqual((await admin.fetchTopicOffsets('js-delete'))[0].low, '4')
  assert.strictEqual((await read('js-delete', 6))[0].offset, '4')
})

check('a group goes on where it stopped', async () => {
  await create('js-group')
  await produce('js-group', Array.from({ length: 10 }, (_, n) => ({ value: `${n}` })))
  const first = await member('js-group', ['js-group'])
  await eventually('10 records', 30, () => first.records.length === 10)
  await first.consumer.stop()
  await first.consumer.disconnect()
  await produce('js-group', [{ value: 'more' }])
  const second = await member('js-group', ['js-group'])
  await eventually('one more', 30, () => second.records.length > 0)
  assert.strictEqual(second.records[0].value.toString(), 'more')
  await second.consumer.disconnect()
  const [{ partitions }] = await admin.fetchOffsets({ groupId: 'js-group', topics: ['js-group'] })
  assert.strictEqual(partitions[0].offset, '11')
})

check('three members share a topic and one leaves', async () => {
  await create('js-share', 6)
  const members = []
  for (let n = 0; n < 3; n += 1) members.push(await member('js-share', ['js-share']))
  const assigned = async () => {
    const [group] = (await admin.describeGroups(['js-share'])).groups
    return group.state === 'Stable' && group.protocolType === 'consumer' ? group.members.length : 0
  }
  await eventually('three members', 30, async () => (await assigned()) === 3)
  await members[0].consumer.disconnect()
  await eventually('two members', 30, async () => (await assigned()) === 2)
  await produce('js-share', Array.from({ length: 60 }, (_, n) => ({ key: `${n}`, value: `${n}` })))
  await eventually('all records', 30, () => members[1].records.length + members[2].records.length >= 60)
  assert(members[1].records.length > 0 && members[2].records.length > 0)
  await members[1].consumer.disconnect()
  await members[2].consumer.disconnect()
})

check('groups are listed reset and deleted', async () => {
  assert((await admin.listGroups()).groups.some(({ groupId }) => groupId === 'js-group'))
  await admin.setOffsets({ groupId: 'js-group', topic: 'js-group', partitions: [{ partition: 0, offset: '3' }] })
  const [{ partitions }] = await admin.fetchOffsets({ groupId: 'js-group', topics: ['js-group'] })
  assert.strictEqual(partitions[0].offset, '3')
  await admin.deleteGroups(['js-group'])
  assert(!(await admin.listGroups()).groups.some(({ groupId }) => groupId === 'js-group'))
  await refused(admin.deleteGroups(['js-group']), /GROUP_ID_NOT_FOUND|group id does not exist/)
})

check('configs are described and altered', async () => {
  await create('js-config', 1, { 'retention.ms': '5000000' })
  const resource = { type: ConfigResourceTypes.TOPIC, name: 'js-config' }
  const value = async (name) => {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
    return resources[0].configEntries.find(({ configName }) => configName === name).configValue
  }
  assert.strictEqual(await value('retention.ms'), '5000000')
  await admin.alterConfigs({ resources: [{ ...resource, configEntries: [{ name: 'cleanup.policy', value: 'compact' }] }] })
  await eventually('it is altered', 10, async () => (await value('cleanup.policy')) === 'compact')
  // AlterConfigs replaces the whole resource.
  assert.strictEqual(await value('retention.ms'), '604800000')
})

run()

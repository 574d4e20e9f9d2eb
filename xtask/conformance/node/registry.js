// The schema registry client and serializers of npm: Avro and JSON Schema over kafkajs, and the client's own calls.

const { AvroDeserializer, AvroSerializer, JsonDeserializer, JsonSerializer, SchemaRegistryClient, SerdeType } = require('@confluentinc/schemaregistry')
const { Kafka, logLevel } = require('kafkajs')
const { assert, check, eventually, run } = require('./report')

process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
const kafka = new Kafka({ clientId: 'registry', brokers: [process.env.BOOTSTRAP], logLevel: logLevel.NOTHING })
const fresh = () => new SchemaRegistryClient({ baseURLs: [process.env.REGISTRY], createAxiosDefaults: { timeout: 10000 } })
const client = fresh()

const record = (...fields) =>
  JSON.stringify({
    type: 'record',
    name: 'User',
    fields: fields.map((field) => (field.endsWith('?') ? { name: field.slice(0, -1), type: 'int', default: 0 } : { name: field, type: 'int' })),
  })

const avro = (...fields) => ({ schemaType: 'AVRO', schema: record(...fields) })

const refused = (code, promise) =>
  assert.rejects(promise, (error) => {
    assert.strictEqual(error.errorCode, code, String(error))
    return true
  })

/** Writes values into a topic and reads them back. */
const throughTopic = async (topic, serializer, deserializer, values) => {
  const producer = kafka.producer()
  await producer.connect()
  const messages = await Promise.all(values.map(async (value) => ({ value: await serializer.serialize(topic, value) })))
  await producer.send({ topic, messages })
  await producer.disconnect()
  const consumer = kafka.consumer({ groupId: `registry-${topic}` })
  const got = []
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({ eachMessage: async ({ message }) => got.push(await deserializer.deserialize(topic, message.value)) })
  await eventually(`${values.length} records`, 30, () => got.length >= values.length)
  await consumer.disconnect()
  return got.map((value) => JSON.parse(JSON.stringify(value)))
}

check('schemas are registered and found', async () => {
  const first = await client.register('js-value', avro('a'))
  assert.strictEqual(await client.register('js-value', avro('a')), first)
  const second = await client.register('js-value', avro('a', 'b?'))
  assert(second > first)
  assert.deepStrictEqual(JSON.parse((await fresh().getBySubjectAndId('js-value', first)).schema), JSON.parse(record('a')))
  assert.strictEqual(await client.getId('js-value', avro('a')), first)
  assert.strictEqual(await client.getVersion('js-value', avro('a', 'b?')), 2)
  assert.strictEqual((await client.getLatestSchemaMetadata('js-value')).version, 2)
  assert.deepStrictEqual(await client.getAllVersions('js-value'), [1, 2])
  assert((await client.getAllSubjects()).includes('js-value'))
})

check('errors have their codes', async () => {
  await refused(40401, client.getAllVersions('js-none'))
  await refused(40403, client.getBySubjectAndId('js-none', 999999))
  await refused(42201, client.register('js-bad', { schemaType: 'AVRO', schema: '{' }))
  await refused(40901, client.register('js-value', avro('a', 'b?', 'c')))
  assert.strictEqual(await client.testCompatibility('js-value', 1, avro('a', 'c')), false)
  assert.strictEqual(await client.testSubjectCompatibility('js-value', avro('a', 'b?', 'c?')), true)
})

check('compatibility is set for subjects and everything', async () => {
  assert.strictEqual((await client.getDefaultConfig()).compatibilityLevel, 'BACKWARD')
  await client.updateConfig('js-level', { compatibility: 'FULL' })
  assert.strictEqual((await client.getConfig('js-level')).compatibilityLevel, 'FULL')
})

check('deletion is soft and then for good', async () => {
  await client.register('js-gone', avro('a'))
  assert.deepStrictEqual(await client.deleteSubject('js-gone'), [1])
  assert.deepStrictEqual(await client.deleteSubject('js-gone', true), [1])
  await refused(40401, fresh().getAllVersions('js-gone'))
})

check('avro goes through a topic', async () => {
  const schema = record('a')
  await client.register('js-avro-value', { schemaType: 'AVRO', schema })
  const serializer = new AvroSerializer(client, SerdeType.VALUE, { useLatestVersion: true })
  const deserializer = new AvroDeserializer(fresh(), SerdeType.VALUE, {})
  const values = Array.from({ length: 10 }, (_, n) => ({ a: n }))
  assert.deepStrictEqual(await throughTopic('js-avro', serializer, deserializer, values), values)
})

check('json schema goes through a topic', async () => {
  const schema = JSON.stringify({ type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] })
  await client.register('js-json-value', { schemaType: 'JSON', schema })
  const serializer = new JsonSerializer(client, SerdeType.VALUE, { useLatestVersion: true, validate: true })
  const deserializer = new JsonDeserializer(fresh(), SerdeType.VALUE, {})
  const values = Array.from({ length: 10 }, (_, n) => ({ id: n }))
  assert.deepStrictEqual(await throughTopic('js-json', serializer, deserializer, values), values)
})

run()

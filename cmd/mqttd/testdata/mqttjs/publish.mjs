// Publishes the messages of standard input, a JSON array, in order over one connection.
// It exits with 0 when each is complete at its QoS.
//
//   node publish.mjs '{"connection": {...}}' <messages.json
import { text } from 'node:stream/consumers'
import mqtt from 'mqtt'

const { connection } = JSON.parse(process.argv[2])
const messages = JSON.parse(await text(process.stdin))

const client = await mqtt.connectAsync(connection)
if (connection.reconnectPeriod) client.on('error', () => {}) // it connects again
await Promise.all(messages.map(({ topic, payload, qos, retain }) =>
  client.publishAsync(topic, payload, { qos, retain: retain === 1 })))
await client.endAsync()

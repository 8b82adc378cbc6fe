// Publishes the messages of standard input, a JSON array, one after another over one connection.
// It exits with 0 when the last one is complete at its QoS.
//
//   node publish.mjs '{"connection": {...}}' <messages.json
import { text } from 'node:stream/consumers'
import mqtt from 'mqtt'

const { connection } = JSON.parse(process.argv[2])
const messages = JSON.parse(await text(process.stdin))

const client = await mqtt.connectAsync({ ...connection, reconnectPeriod: 0 })
for (const { topic, payload, qos, retain } of messages) {
  await client.publishAsync(topic, payload, { qos, retain: retain === 1 })
}
await client.endAsync()

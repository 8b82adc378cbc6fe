// Subscribes, as mosquitto_sub does, and prints what it sees as one JSON object per line:
//   {"granted": [0], "sessionPresent": false}   the return codes of the SUBACK; none without filters
//   {"message": {...}}                          a PUBLISH
//   {"lost": true}                              the connection ended
// A connection that resumes a session does not subscribe again. SIGTERM ends the program with a
// DISCONNECT.
//
//   node subscribe.mjs '{"connection": {...}, "filters": ["a/#"], "qos": 0}'
import mqtt from 'mqtt'

const { connection, filters, qos } = JSON.parse(process.argv[2])
const print = (value) => console.log(JSON.stringify(value))

const client = mqtt.connect({ ...connection, resubscribe: false })
client.on('message', (topic, payload, packet) => {
  print({ message: { topic, payload: payload.toString(), qos: packet.qos, retain: Number(packet.retain) } })
})
if (connection.reconnectPeriod) client.on('error', () => {}) // it connects again
client.on('close', () => print({ lost: true }))
client.on('connect', async ({ sessionPresent }) => {
  const grants = filters.length && !sessionPresent ? await client.subscribeAsync(filters, { qos }) : []
  print({ granted: grants.map((grant) => grant.qos), sessionPresent })
})
process.on('SIGTERM', () => client.end())

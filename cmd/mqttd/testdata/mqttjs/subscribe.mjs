// Subscribes, as mosquitto_sub does, and prints what it sees as one JSON object per line:
//   {"granted": [0]}      the return codes of the SUBACK
//   {"message": {...}}    a PUBLISH
//   {"lost": true}        the connection ended; there is no second try
// SIGTERM ends it with a DISCONNECT.
//
//   node subscribe.mjs '{"connection": {...}, "filters": ["a/#"], "qos": 0}'
import mqtt from 'mqtt'

const { connection, filters, qos } = JSON.parse(process.argv[2])
const print = (value) => console.log(JSON.stringify(value))

const client = await mqtt.connectAsync({ ...connection, reconnectPeriod: 0 })
client.on('message', (topic, payload, packet) => {
  print({ message: { topic, payload: payload.toString(), qos: packet.qos, retain: Number(packet.retain) } })
})
client.on('close', () => print({ lost: true }))
process.on('SIGTERM', () => client.end())

const grants = await client.subscribeAsync(filters, { qos })
print({ granted: grants.map((grant) => grant.qos) })

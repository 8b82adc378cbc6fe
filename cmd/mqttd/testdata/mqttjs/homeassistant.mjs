// Talks to the broker as Home Assistant does: a birth message and a Will at QoS 0, not retained; one
// wildcard filter in each SUBSCRIBE for discovery; then the state topics of all entities, 500 filters in
// each SUBSCRIBE. Prints one JSON object per line:
//   {"granted": [0, ...]}   the return codes of a SUBACK
//   {"message": {...}}      a PUBLISH
// Home Assistant subscribes to state topics when no more discovery messages come for a while; this
// program does when it has seen as many entities as it was told of. SIGTERM ends it as a stop of Home
// Assistant does: it says that it goes, then DISCONNECT.
//
//   node homeassistant.mjs '{"connection": {...}, "qos": 0, "entities": 3000}'
import mqtt from 'mqtt'

const filtersPerSubscribe = 500
const { connection, qos, entities } = JSON.parse(process.argv[2])
const status = (payload) => ({ topic: 'homeassistant/status', payload, qos: 0, retain: false })
const print = (value) => console.log(JSON.stringify(value))

const client = mqtt.connect({ ...connection, will: status('offline') })
const stateTopics = []

async function subscribe(filters) {
  const grants = await client.subscribeAsync(filters, { qos })
  print({ granted: grants.map((grant) => grant.qos) })
}

async function say(payload) {
  const { topic, ...options } = status(payload)
  await client.publishAsync(topic, payload, options)
}

client.on('message', async (topic, payload, packet) => {
  print({ message: { topic, payload: payload.toString(), qos: packet.qos, retain: Number(packet.retain) } })
  if (!topic.endsWith('/config') || stateTopics.push(JSON.parse(payload).state_topic) !== entities) return
  for (let from = 0; from < stateTopics.length; from += filtersPerSubscribe) {
    await subscribe(stateTopics.slice(from, from + filtersPerSubscribe))
  }
})

client.on('connect', async () => {
  await subscribe('homeassistant/+/+/config')
  await subscribe('homeassistant/+/+/+/config')
  await say('online')
})

process.on('SIGTERM', async () => {
  await say('offline')
  client.end()
})

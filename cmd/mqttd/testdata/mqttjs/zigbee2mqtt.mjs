// Talks to the broker as Zigbee2MQTT does: a retained Will at QoS 1, its state retained, the list of all
// devices retained and published again whenever something changes, and a subscription to its whole base
// topic, so that its own messages come back. Prints one JSON object per line:
//   {"published": 20}   so many versions of the list are complete at their QoS
// SIGTERM ends it as a stop of Zigbee2MQTT does: its state, then DISCONNECT.
//
//   node zigbee2mqtt.mjs '{"connection": {...}, "base": "zigbee2mqtt", "devices": 30, "versions": 20, "qos": 1}'
import mqtt from 'mqtt'

const { connection, base, devices, versions, qos } = JSON.parse(process.argv[2])
const stateTopic = `${base}/bridge/state`
const state = (value) => JSON.stringify({ state: value })

const client = mqtt.connect({
  ...connection,
  will: { topic: stateTopic, payload: state('offline'), qos: 1, retain: true },
})

// device is about 1 KB of JSON: what a device is, and what it exposes.
function device(number, version) {
  const exposed = (property) => ({
    access: 1, label: property, name: property, property, type: 'numeric', unit: '°C', value_max: 100, value_min: -40,
    description: `Measured ${property} value`,
  })
  return {
    ieee_address: `0x00158d00${number.toString(16).padStart(8, '0')}`, friendly_name: `room ${number}`, version,
    type: 'EndDevice', supported: true, interview_completed: true, manufacturer: 'LUMI', power_source: 'Battery',
    definition: {
      model: 'WSDCGQ11LM', vendor: 'Aqara', description: 'Temperature and humidity sensor',
      exposes: ['battery', 'temperature', 'humidity', 'pressure', 'voltage'].map(exposed),
    },
  }
}

const listOf = (version) => JSON.stringify(Array.from({ length: devices }, (_, number) => device(number, version)))

client.on('connect', async () => {
  await client.publishAsync(stateTopic, state('online'), { qos: 0, retain: true })
  await client.subscribeAsync(`${base}/#`, { qos: 0 })
  for (let version = 1; version <= versions; version++) {
    await client.publishAsync(`${base}/bridge/devices`, listOf(version), { qos, retain: true })
  }
  console.log(JSON.stringify({ published: versions }))
})

process.on('SIGTERM', async () => {
  await client.publishAsync(stateTopic, state('offline'), { qos: 0, retain: true })
  client.end()
})

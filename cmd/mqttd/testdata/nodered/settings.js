// Node-RED without a web server: no editor, no admin API, no HTTP nodes. It only runs its flow.
module.exports = {
  httpAdminRoot: false,
  httpNodeRoot: false,
  uiHost: '127.0.0.1',
  credentialSecret: false,
  telemetry: { enabled: false },
  mqttReconnectTime: 100, // milliseconds
}

package main_test

import (
	"os"
	"path/filepath"
	"testing"
)

// mqttjsFolder holds the programs that drive MQTT.js, and MQTT.js itself after npm ci.
const mqttjsFolder = "testdata/mqttjs"

var mqttjs = client{
	name: "MQTT.js",
	require: func(t *testing.T) {
		requireProgram(t, "node", "nodejs npm")
		if _, err := os.Stat(filepath.Join(mqttjsFolder, "node_modules", "mqtt")); err != nil {
			missing(t, "MQTT.js is not installed: npm ci --prefix cmd/mqttd/"+mqttjsFolder)
		}
	},
	publish:   mqttjsPublish,
	subscribe: mqttjsSubscribe,
}

func mqttjsPublish(on connection, messages ...message) error {
	return runProgram(toJSON(messages), "node", filepath.Join(mqttjsFolder, "publish.mjs"),
		toJSON(map[string]any{"connection": mqttjsConnection(on)}))
}

func mqttjsSubscribe(t *testing.T, on connection, qos byte, filters ...string) *subscription {
	t.Helper()
	return subscribeWithScript(t, []string{"node", filepath.Join(mqttjsFolder, "subscribe.mjs")}, toJSON(map[string]any{
		"connection": mqttjsConnection(on), "filters": append([]string{}, filters...), "qos": qos,
	}))
}

// mqttjsConnection returns the connection in the words of MQTT.js.
func mqttjsConnection(on connection) map[string]any {
	options := map[string]any{
		"host": on.host, "port": on.port, "clientId": on.clientID, "keepalive": on.keepAliveSeconds,
		"protocolVersion": on.version, "protocolId": map[byte]string{3: "MQIsdp", 4: "MQTT"}[on.version],
		"clean": !on.persistent, "reconnectPeriod": 0, // milliseconds; 0: never again
	}
	if on.persistent {
		options["reconnectPeriod"] = reconnectInterval.Milliseconds()
	}
	if on.will != nil {
		options["will"] = on.will
	}
	return options
}

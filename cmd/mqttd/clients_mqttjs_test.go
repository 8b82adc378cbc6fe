package main_test

import (
	"encoding/json"
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
	s := newSubscription()
	granted := make(chan []byte, 1)
	onLine := func(line []byte) {
		var event struct {
			Granted []int
			Message *message
			Lost    bool
		}
		err := json.Unmarshal(line, &event)
		switch {
		case err != nil:
			t.Errorf("subscribe.mjs: %v: %.80s", err, line)
		case event.Message != nil:
			s.receive(*event.Message)
		case event.Lost:
			s.setLost()
		default:
			granted <- toBytes(event.Granted)
		}
	}
	s.run(t, granted, onLine, "node", filepath.Join(mqttjsFolder, "subscribe.mjs"), toJSON(map[string]any{
		"connection": mqttjsConnection(on), "filters": filters, "qos": qos,
	}))
	return s
}

// mqttjsConnection returns the connection in the words of MQTT.js.
func mqttjsConnection(on connection) map[string]any {
	options := map[string]any{
		"host": on.host, "port": on.port, "clientId": on.clientID, "keepalive": on.keepAliveSeconds,
		"protocolVersion": on.version, "protocolId": map[byte]string{3: "MQIsdp", 4: "MQTT"}[on.version],
	}
	if on.will != nil {
		options["will"] = on.will
	}
	return options
}

func toJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // the tests' own values can be encoded
	}
	return string(text)
}

func toBytes(numbers []int) []byte {
	var values []byte
	for _, number := range numbers {
		values = append(values, byte(number))
	}
	return values
}

package main_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Zigbee2MQTT publishes a long list of devices again and again, retained. Who was there sees each
// version, who comes late sees the newest alone, and everybody whether Zigbee2MQTT is there.
func TestZigbee2MQTT(t *testing.T) {
	mqttjs.require(t)
	b := startBroker(t)
	lists := []struct {
		name              string
		devices, versions int
		qos               byte
	}{
		{"lists of 35 KB at QoS 0", 32, 20, 0},
		{"lists of 35 KB at QoS 1", 32, 20, 1},
		{"lists of 35 KB at QoS 2", 32, 20, 2},
		{"a list of 700 KB at QoS 1", 640, 1, 1},
	}
	for _, list := range lists {
		t.Run(list.name, func(t *testing.T) {
			playZigbee2MQTT(t, b, list.devices, list.versions, list.qos)
		})
	}
}

func playZigbee2MQTT(t *testing.T, b *broker, devices, versions int, qos byte) {
	base := freshTopic(t)
	state, list, end := base+"/bridge/state", base+"/bridge/devices", message{Topic: base + "/end"}
	online := message{Topic: state, Payload: `{"state":"online"}`}
	offline := message{Topic: state, Payload: `{"state":"offline"}`}
	retained := func(m message) message {
		m.Retain = 1
		return m
	}
	asWill := func(m message) message {
		m.QoS = 1
		return m
	}
	watcher := paho.subscribe(t, b.connect(), 2, base+"/#")

	z := startZigbee2MQTT(t, b, base, devices, versions, qos)
	require.Equal(t, online, watcher.next(t))
	var newest message
	for version := range versions {
		newest = watcher.next(t)
		requireDevices(t, newest.Payload, devices, version+1)
		require.Equal(t, message{Topic: list, Payload: newest.Payload, QoS: qos}, newest)
	}
	late := paho.subscribe(t, b.connect(), 2, list, state, end.Topic)
	require.ElementsMatch(t, []message{retained(newest), retained(online)}, []message{late.next(t), late.next(t)})

	z.kill()
	require.Equal(t, asWill(offline), watcher.next(t), "the Will")
	require.Equal(t, asWill(offline), late.next(t), "the Will")
	require.Equal(t, retained(asWill(offline)), paho.subscribe(t, b.connect(), 2, state).next(t))

	z = startZigbee2MQTT(t, b, base, devices, 1, qos)
	for _, s := range []*subscription{watcher, late} {
		require.Equal(t, online, s.next(t))
		requireDevices(t, s.next(t).Payload, devices, 1)
	}
	z.terminate(t)
	for _, s := range []*subscription{watcher, late} {
		require.Equal(t, offline, s.next(t), "its own word, and no Will")
	}
	requireNothingBefore(t, paho, b, end, []*subscription{watcher, late})
}

// startZigbee2MQTT returns when the program has published so many versions of its list.
func startZigbee2MQTT(t *testing.T, b *broker, base string, devices, versions int, qos byte) *process {
	t.Helper()
	published := make(chan struct{}, 1)
	onLine := func([]byte) { published <- struct{}{} }
	p := startProcess(t, onLine, "node", filepath.Join(mqttjsFolder, "zigbee2mqtt.mjs"), toJSON(map[string]any{
		"connection": mqttjsConnection(b.connect()), "base": base, "devices": devices, "versions": versions, "qos": qos,
	}))
	await(t, published, "the list of devices to be published")
	return p
}

// requireDevices checks that a list is whole, and of that version.
func requireDevices(t *testing.T, payload string, count, version int) {
	t.Helper()
	var devices []struct{ Version int }
	require.NoError(t, json.Unmarshal([]byte(payload), &devices), "%d bytes", len(payload))
	require.Len(t, devices, count)
	require.Greater(t, len(payload), count<<10)
	for _, device := range devices {
		require.Equal(t, version, device.Version)
	}
}

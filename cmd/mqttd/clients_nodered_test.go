package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
)

// noderedFolder holds a flow, and Node-RED itself after npm ci.
const noderedFolder = "testdata/nodered"

// nodered is a Node-RED whose flow takes messages in at each QoS, and publishes them again in upper case
// at the QoS at which they came. It has a persistent session.
type nodered struct {
	topic, userFolder string
	on                connection
}

func (n *nodered) start(t *testing.T) *process {
	t.Helper()
	environment := map[string]string{
		"BROKER_HOST": n.on.host, "BROKER_PORT": n.on.port, "CLIENT_ID": n.on.clientID,
		"PROTOCOL_VERSION": fmt.Sprint(n.on.version), "STATUS_TOPIC": n.topic + "/status",
	}
	for qos := range 3 {
		environment[fmt.Sprint("IN_TOPIC_", qos)] = fmt.Sprint(n.topic, "/in/", qos)
	}
	arguments := []string{}
	for name, value := range environment {
		arguments = append(arguments, name+"="+value)
	}
	onLine := func(line []byte) { t.Logf("Node-RED: %s", line) }
	return startProcess(t, onLine, "env", append(arguments, "node", filepath.Join(noderedFolder, "node_modules/node-red/red.js"),
		"--userDir", n.userFolder, "--settings", filepath.Join(noderedFolder, "settings.js"),
		absolute(t, filepath.Join(noderedFolder, "flow.json")))...)
}

func absolute(t *testing.T, path string) string {
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	return path
}

func requireNodered(t *testing.T) {
	requireProgram(t, "node", "nodejs npm")
	if _, err := os.Stat(filepath.Join(noderedFolder, "node_modules", "node-red")); err != nil {
		missing(t, "Node-RED is not installed: npm ci --prefix cmd/mqttd/"+noderedFolder)
	}
}

// What goes into the flow comes out, once, at its QoS; at QoS 1 and 2 also what comes while Node-RED is
// away. Its birth message, its Will and its close message say how it is.
func TestNodeRED(t *testing.T) {
	requireNodered(t)
	b := startBroker(t)
	for name, version := range map[string]byte{"MQTT 3.1": 3, "MQTT 3.1.1": 4} {
		t.Run(name, func(t *testing.T) {
			line := startCutter(t, b) // to see what Node-RED has answered
			n := &nodered{topic: freshTopic(t), userFolder: t.TempDir(), on: line.through(b.connect())}
			n.on.version = version
			status := paho.subscribe(t, b.connect(), 2, n.topic+"/status")
			var out []*subscription
			for qos := range 3 {
				out = append(out, paho.subscribe(t, b.connect(), 2, fmt.Sprint(n.topic, "/out/", qos), n.topic+"/end"))
			}
			says := func(word string) {
				t.Helper()
				require.Equal(t, message{Topic: n.topic + "/status", Payload: word, QoS: 2}, status.next(t))
			}

			flow := n.start(t)
			says("started") // and subscribed
			n.requireFlow(t, b, out, "here")
			line.awaitPassed(t, packetKind{true, packets.Pubcomp}, noderedMessages)
			line.awaitPassed(t, packetKind{true, packets.Pubrel}, 1+noderedMessages) // or it forgets what it has in flight
			flow.kill()
			says("killed")

			require.NoError(t, paho.publish(b.connect(), n.in(1, "away")...))
			require.NoError(t, paho.publish(b.connect(), n.in(2, "away")...))
			flow = n.start(t)
			says("started")
			n.requireOut(t, out, 1, "away")
			n.requireOut(t, out, 2, "away")
			n.requireFlow(t, b, out, "again")
			flow.terminate(t)
			says("stopped")
			requireNothingBefore(t, paho, b, message{Topic: n.topic + "/end"}, out)
		})
	}
}

const noderedMessages = 50 // at each QoS; chosen: more than are in flight at once

// in returns messages into the flow.
func (n *nodered) in(qos byte, payload string) []message {
	var messages []message
	for i := range noderedMessages {
		messages = append(messages, message{
			Topic: fmt.Sprint(n.topic, "/in/", qos), Payload: fmt.Sprint(payload, " ", i), QoS: qos,
		})
	}
	return messages
}

func (n *nodered) requireFlow(t *testing.T, b *broker, out []*subscription, payload string) {
	t.Helper()
	for qos := range byte(3) {
		require.NoError(t, paho.publish(b.connect(), n.in(qos, payload)...))
	}
	for qos := range byte(3) {
		n.requireOut(t, out, qos, payload)
	}
}

// requireOut checks that what in returns comes out, in order.
func (n *nodered) requireOut(t *testing.T, out []*subscription, qos byte, payload string) {
	t.Helper()
	for _, m := range n.in(qos, payload) {
		m.Topic = fmt.Sprint(n.topic, "/out/", qos)
		m.Payload = strings.ToUpper(m.Payload)
		require.Equal(t, m, out[qos].next(t))
	}
}

package main_test

import (
	"fmt"
	"strings"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
)

// Tasmota has room for packets of about 1.2 KB and asks for QoS 0 alone, with one SUBSCRIBE for each
// filter. It is sent what it asked for and not a packet more, whatever others publish: its telemetry is
// retained at QoS 2 by others, and the house is busy.
func TestTasmotaIsSentWhatItAskedFor(t *testing.T) {
	b := startBroker(t)
	line := startCutter(t, b)
	root := freshTopic(t)
	status := message{Topic: root + "/tele/plug/LWT", Payload: "Offline", QoS: 1, Retain: 1}
	watcher := paho.subscribe(t, b.connect(), 1, status.Topic)
	var standing []message // for who subscribes
	for _, command := range []string{"cmnd/plug/POWER", "cmnd/plugs/STATE", "cmnd/lamp/POWER"} {
		standing = append(standing, message{Topic: root + "/" + command, Payload: "1", QoS: 2, Retain: 1})
	}
	require.NoError(t, paho.publish(b.connect(), standing...))

	on := line.through(b.connect())
	on.will = &status
	var wire pahoLine
	plug := mqtt.NewClient(pahoOptions(on).SetCustomOpenConnectionFn(wire.open))
	require.NoError(t, pahoWait(plug.Connect()))
	require.NoError(t, pahoWait(plug.Publish(status.Topic, 0, true, "Online")))
	for _, filter := range []string{"/cmnd/plug/#", "/cmnd/plugs/#", "/cmnd/DVES_000000_fb/#"} {
		require.NoError(t, pahoWait(plug.Subscribe(root+filter, 0, nil)))
	}
	require.Equal(t, message{Topic: status.Topic, Payload: "Online"}, watcher.next(t))

	var traffic []message
	for i := range 100 {
		traffic = append(traffic,
			message{Topic: root + "/cmnd/plug/POWER", Payload: fmt.Sprint(i), QoS: byte(i % 3)},
			message{Topic: root + "/zigbee/bridge/devices", Payload: strings.Repeat("long", 8<<10), QoS: byte(i % 3), Retain: 1})
	}
	require.NoError(t, paho.publish(b.connect(), traffic...))
	publishes := packetKind{fromClient: false, packetType: packets.Publish}
	line.awaitPassed(t, publishes, 2+100)
	wire.cut()
	require.Equal(t, message{Topic: status.Topic, Payload: "Offline", QoS: 1}, watcher.next(t))
	require.Equal(t, status, paho.subscribe(t, b.connect(), 1, status.Topic).next(t))

	for _, p := range line.all(publishes) {
		publish := p.packet.(*packets.PublishPacket)
		require.Zero(t, publish.Qos, publish.TopicName)
		require.Contains(t, publish.TopicName, "/cmnd/plug")
		require.Less(t, p.size, 1200)
	}
	require.Equal(t, map[byte]int{packets.Connack: 1, packets.Suback: 3, packets.Publish: 2 + 100}, line.countFromBroker())
}

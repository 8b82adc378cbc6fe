package main_test

import (
	"fmt"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
)

// A connection that breaks in place of any packet of an exchange loses no message, and at QoS 2
// doubles none [MQTT-4.4.0-1], [MQTT-4.3.2-1], [MQTT-4.3.3-1].
var exchanges = []struct {
	qos     byte
	packets []byte
}{
	{1, []byte{packets.Publish, packets.Puback}},
	{2, []byte{packets.Publish, packets.Pubrec, packets.Pubrel, packets.Pubcomp}},
}

// cutsOf returns a cut for each packet of an exchange that the client or the broker begins.
func cutsOf(exchange []byte, byClient bool) []packetKind {
	var cuts []packetKind
	for _, packetType := range exchange {
		answer := packetType == packets.Puback || packetType == packets.Pubrec || packetType == packets.Pubcomp
		cuts = append(cuts, packetKind{fromClient: byClient != answer, packetType: packetType})
	}
	return cuts
}

func TestClientsReceiveAcrossCuts(t *testing.T) {
	b := startBroker(t)
	for _, exchange := range exchanges {
		t.Run(fmt.Sprint("QoS ", exchange.qos), func(t *testing.T) {
			t.Parallel()
			forEachClient(t, func(t *testing.T, c client) {
				receiveAcrossCuts(t, b, c, exchange.qos, cutsOf(exchange.packets, false))
			})
		})
	}
}

func receiveAcrossCuts(t *testing.T, b *broker, c client, qos byte, cuts []packetKind) {
	line := startCutter(t, b)
	on := line.through(b.connect())
	on.persistent = true
	topic := freshTopic(t)
	s := c.subscribe(t, on, qos, topic)
	completion := cuts[len(cuts)-1]
	for i, cut := range cuts {
		m := message{Topic: topic, Payload: fmt.Sprint("cut in place of ", cut), QoS: qos}
		line.cutAt(cut)
		require.NoError(t, c.publish(b.connect(), m))
		line.awaitPassed(t, completion, i+1)
		require.Equal(t, m, s.next(t))
		for len(s.messages) > 0 {
			require.Equal(t, m, s.next(t))
			require.True(t, mayRepeat(c, qos, cut), "%q came twice", m.Payload)
		}
	}
	requireDuplicatesMarked(t, line.all(packetKind{fromClient: false, packetType: packets.Publish}))
}

// mayRepeat reports whether the client hands a message out again when its own answer got lost: at QoS
// 1 all do. At QoS 2 Paho Go does when its PUBREC got lost: it hands messages out when PUBLISH comes,
// and does not remember the Packet Identifier (eclipse-paho/paho.mqtt.golang issue 768).
func mayRepeat(c client, qos byte, cut packetKind) bool {
	return qos == 1 && cut.packetType == packets.Puback || c.name == paho.name && cut.packetType == packets.Pubrec
}

// requireDuplicatesMarked checks the DUP flag of PUBLISH packets to or from one client, whose payloads
// differ: 0 at first, and then 1 with the same Packet Identifier [MQTT-3.3.1-1], [MQTT-4.4.0-1].
func requireDuplicatesMarked(t *testing.T, publishes []passed) {
	t.Helper()
	identifiers := make(map[string]uint16)
	for _, p := range publishes {
		publish := p.packet.(*packets.PublishPacket)
		identifier, again := identifiers[string(publish.Payload)]
		require.Equal(t, again, publish.Dup, "DUP of %q", publish.Payload)
		if again {
			require.Equal(t, identifier, publish.MessageID, "Packet Identifier of %q", publish.Payload)
		}
		identifiers[string(publish.Payload)] = publish.MessageID
	}
}

func TestClientsSendAcrossCuts(t *testing.T) {
	b := startBroker(t)
	for _, exchange := range exchanges {
		t.Run(fmt.Sprint("QoS ", exchange.qos), func(t *testing.T) {
			t.Parallel()
			forEachClient(t, func(t *testing.T, c client) {
				sendAcrossCuts(t, b, c, exchange.qos, cutsOf(exchange.packets, true))
			})
		})
	}
}

func sendAcrossCuts(t *testing.T, b *broker, c client, qos byte, cuts []packetKind) {
	line := startCutter(t, b)
	topic := freshTopic(t)
	end := message{Topic: topic + "/end"}
	s := c.subscribe(t, b.connect(), qos, topic, end.Topic)
	for _, cut := range cuts {
		m := message{Topic: topic, Payload: fmt.Sprint("cut in place of ", cut), QoS: qos}
		line.cutAt(cut)
		on := line.through(b.connect())
		on.persistent = true
		require.NoError(t, publishBurst(c, on, []message{m}))
		require.Equal(t, m, s.next(t))
		if publishesAgain(c, cut) {
			require.Equal(t, m, s.next(t))
		}
	}
	requireNothingBefore(t, c, b, end, []*subscription{s})
}

// publishesAgain reports whether the client publishes a message again that the broker has taken, for it
// got no answer: at QoS 1 all do. At QoS 2 Paho Go does when PUBCOMP got lost: it sends PUBLISH where
// PUBREL is due (eclipse-paho/paho.mqtt.golang issue 788), and the Packet Identifier is free by then.
func publishesAgain(c client, cut packetKind) bool {
	return cut.packetType == packets.Puback || c.name == paho.name && cut.packetType == packets.Pubcomp
}

package conformance

func violationCases() []testCase {
	var cases []testCase
	for _, bad := range []struct {
		name string
		sent []byte
	}{
		{"packet type 0", []byte{0x00, 0x00}},
		{"packet type 15", []byte{0xF0, 0x00}},
		{"CONNACK from a Client", connack(0, accepted)},
		{"SUBACK from a Client", suback(1, 0)},
		{"UNSUBACK from a Client", acknowledge(firstUnsuback, 1)},
		{"PINGRESP from a Client", pingresp},
		{"PINGREQ with a payload", packet(firstPingreq, []byte{0})},
		{"DISCONNECT with a payload", packet(firstDisconnect, []byte{0})},
		{"PUBACK without Packet Identifier", packet(firstPuback)},
		{"PUBACK with three bytes", packet(firstPuback, []byte{0, 1, 0})},
		{"PUBREC with one byte", packet(firstPubrec, []byte{1})},
		{"PUBREL with one byte", packet(firstPubrel, []byte{1})},
		{"PUBREL with three bytes", packet(firstPubrel, []byte{0, 1, 0})},
		{"PUBCOMP with three bytes", packet(firstPubcomp, []byte{0, 1, 0})},
	} {
		cases = append(cases, testCase{rule: "MQTT-4.8.0-1", name: bad.name, run: func(t *trial) {
			c := t.client()
			c.trySend(bad.sent)
			c.expectClosed(bad.name)
		}})
	}
	return append(cases, testCase{
		rule: "MQTT-4.8.0-1", name: "only the connection at fault is closed",
		run: func(t *trial) {
			other := t.subscriber(t.topic("a"))
			c := t.subscriber(t.topic("a"))
			c.trySend(publish{topic: t.topic("a"), payload: "good"}.packet(), publish{topic: "#"}.packet(),
				publish{topic: t.topic("a"), payload: "after the fault"}.packet())
			c.awaitClosed(t.patience, "a protocol violation")
			other.expectPublish(publish{topic: t.topic("a"), payload: "good"})
			other.expectSilence(t.client())
		}})
}

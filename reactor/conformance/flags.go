package conformance

func flagsCases() []testCase {
	cases := []testCase{
		{rule: "MQTT-2.2.2-1", name: "packets from the Server have the listed flags", run: func(t *trial) {
			c := t.client()
			c.send(subscribe(7, subscription{filter: t.topic("a")}))
			c.expect("SUBACK", suback(7, 0))
			c.send(publish{topic: t.topic("other"), qos: 1, id: 8}.packet())
			c.expect("PUBACK", acknowledge(firstPuback, 8))
			c.send(publish{topic: t.topic("other"), qos: 2, id: 9}.packet())
			c.expect("PUBREC", acknowledge(firstPubrec, 9))
			c.send(acknowledge(firstPubrel, 9))
			c.expect("PUBCOMP", acknowledge(firstPubcomp, 9))
			c.send(unsubscribe(10, t.topic("a")))
			c.expect("UNSUBACK", acknowledge(firstUnsuback, 10))
			c.ping()
		}},
		{rule: "MQTT-2.2.2-2", name: "CONNECT with flags 0001", also: []string{"MQTT-3.1.4-1"}, run: func(t *trial) {
			p := connect{id: t.newID(), cleanSession: true}.packet()
			p[0] |= 0x01
			c := t.dial()
			c.trySend(p)
			c.expectClosed("CONNECT with flags 0001")
		}},
	}
	// Packets whose flags are reserved; each other value of the lower half must close the connection.
	for _, reserved := range []struct {
		name  string
		rule  string
		first byte
		body  func(t *trial) []byte
		bad   []byte
	}{
		{"PUBACK", "MQTT-2.2.2-2", firstPuback, identifierBody, []byte{1, 2, 8}},
		{"PUBREC", "MQTT-2.2.2-2", firstPubrec, identifierBody, []byte{1, 2, 8}},
		{"PUBREL", "MQTT-3.6.1-1", firstPubrel, identifierBody, []byte{0, 1, 3, 6, 10}},
		{"PUBCOMP", "MQTT-2.2.2-2", firstPubcomp, identifierBody, []byte{1, 2, 8}},
		{"SUBSCRIBE", "MQTT-3.8.1-1", firstSubscribe, subscribeBody, []byte{0, 1, 3, 6, 10}},
		{"UNSUBSCRIBE", "MQTT-3.10.1-1", firstUnsubscribe, unsubscribeBody, []byte{0, 1, 3, 6, 10}},
		{"PINGREQ", "MQTT-2.2.2-2", firstPingreq, noBody, []byte{1, 2, 4, 8}},
		{"DISCONNECT", "MQTT-3.14.1-1", firstDisconnect, noBody, []byte{1, 2, 4, 8}},
	} {
		for _, flags := range reserved.bad {
			name := reserved.name + " with flags " + bits(flags)
			cases = append(cases, testCase{
				rule: reserved.rule, name: name,
				also: []string{"MQTT-2.2.2-2"}, run: func(t *trial) {
					c := t.client()
					if reserved.first == firstPubrel {
						c.send(publish{topic: t.topic("a"), qos: 2, id: 1}.packet())
						c.expect("PUBREC", acknowledge(firstPubrec, 1))
					}
					c.trySend(packet(reserved.first&0xF0|flags, reserved.body(t)))
					c.expectClosed(name)
				}})
		}
	}
	return append(cases, testCase{
		rule: "MQTT-3.14.1-1", name: "DISCONNECT with a reserved flag does not discard the Will",
		also: []string{"MQTT-3.1.2-8"}, run: func(t *trial) {
			will := publish{topic: t.topic("will"), payload: "gone"}
			watcher := t.subscriber(will.topic)
			c := t.connect(connect{id: t.newID(), cleanSession: true, will: &will})
			c.trySend(packet(firstDisconnect | 0x01))
			c.expectClosed("DISCONNECT with flags 0001")
			watcher.expectPublish(will)
		},
	})
}

func identifierBody(*trial) []byte { return number(1) }
func noBody(*trial) []byte         { return nil }
func subscribeBody(t *trial) []byte {
	return join(number(1), text(t.topic("a")), []byte{0})
}
func unsubscribeBody(t *trial) []byte {
	return join(number(1), text(t.topic("a")))
}

// bits shows the lower half of a first byte.
func bits(flags byte) string {
	digits := make([]byte, 4)
	for i := range digits {
		digits[i] = '0' + flags>>(3-i)&1
	}
	return string(digits)
}

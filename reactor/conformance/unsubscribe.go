package conformance

func unsubscribeCases() []testCase {
	cases := []testCase{
		{rule: "MQTT-3.10.4-1", name: "only the same filter is deleted", run: func(t *trial) {
			c := t.subscriber(t.topic("a/+"))
			by := t.client()
			for _, other := range []string{"a/b", "a/#", "+/+", "#", "a/+/", "A/+", "a/", "a"} {
				c.unsubscribe(t.topic(other))
				by.publish(publish{topic: t.topic("a/b"), payload: other})
				c.expectPublish(publish{topic: t.topic("a/b"), payload: other})
			}
			c.unsubscribe(t.topic("a/+"))
			by.publish(publish{topic: t.topic("a/b"), payload: "none"})
			c.expectSilence(by)
		}},
		{rule: "MQTT-3.10.4-1", name: "an overlapping subscription stays", run: func(t *trial) {
			c := t.subscriber(t.topic("a/b"), t.topic("a/#"))
			by := t.client()
			c.unsubscribe(t.topic("a/#"))
			by.publish(publish{topic: t.topic("a/b"), payload: "x"}, publish{topic: t.topic("a/c"), payload: "none"})
			c.expectPublish(publish{topic: t.topic("a/b"), payload: "x"})
			c.expectSilence(by)
		}},
		{rule: "MQTT-3.10.4-1", name: "the same filter of another Client stays", run: func(t *trial) {
			a, b := t.subscriber(t.topic("a")), t.subscriber(t.topic("a"))
			a.unsubscribe(t.topic("a"))
			by := t.client()
			by.publish(publish{topic: t.topic("a"), payload: "x"})
			b.expectPublish(publish{topic: t.topic("a"), payload: "x"})
			a.expectSilence(by)
		}},
		{rule: "MQTT-3.10.4-2", name: "nothing new after UNSUBACK", run: func(t *trial) {
			c := t.subscriber(t.topic("a"))
			by := t.client()
			by.publish(publish{topic: t.topic("a"), payload: "before"})
			c.expectPublish(publish{topic: t.topic("a"), payload: "before"})
			c.unsubscribe(t.topic("a"))
			by.publish(publish{topic: t.topic("a"), payload: "after"})
			c.expectSilence(by)
		}},
		{rule: "MQTT-3.10.4-2", name: "subscribing again works", run: func(t *trial) {
			c := t.client()
			by := t.client()
			for range 3 {
				c.subscribe(t.topic("a"))
				by.publish(publish{topic: t.topic("a"), payload: "x"})
				c.expectPublish(publish{topic: t.topic("a"), payload: "x"})
				c.unsubscribe(t.topic("a"))
			}
			c.expectSilence(by)
		}},
		{rule: "MQTT-3.10.4-4", name: "UNSUBACK", also: []string{"MQTT-2.3.1-7"}, run: func(t *trial) {
			c := t.subscriber(t.topic("a"))
			c.send(unsubscribe(0x4321, t.topic("a")))
			c.expect("UNSUBACK", acknowledge(firstUnsuback, 0x4321))
		}},
		{rule: "MQTT-3.10.4-5", name: "UNSUBACK when nothing was deleted", run: func(t *trial) {
			c := t.client()
			c.send(unsubscribe(1, t.topic("never")), unsubscribe(2, "#"), unsubscribe(3, t.topic("never"), t.topic("again")))
			for id := uint16(1); id <= 3; id++ {
				c.expect("UNSUBACK", acknowledge(firstUnsuback, id))
			}
			c.ping()
		}},
		{rule: "MQTT-3.10.4-6", name: "many filters in one UNSUBSCRIBE", run: func(t *trial) {
			c := t.subscriber(t.topic("a"), t.topic("b"), t.topic("c"), t.topic("d/#"))
			by := t.client()
			c.send(unsubscribe(9, t.topic("a"), t.topic("never"), t.topic("c"), t.topic("d/#")))
			c.expect("UNSUBACK", acknowledge(firstUnsuback, 9))
			for _, topic := range []string{"a", "c", "d", "d/e", "b"} {
				by.publish(publish{topic: t.topic(topic), payload: topic})
			}
			c.expectPublish(publish{topic: t.topic("b"), payload: "b"})
			c.expectSilence(by)
		}},
	}
	for _, bad := range []struct{ rule, name, body string }{
		{"MQTT-3.10.3-2", "no Topic Filter", "\x00\x01"},
		{"MQTT-3.10.3-2", "no payload and no Packet Identifier", ""},
		{"MQTT-3.10.3-1", "a gap after the Topic Filter", "\x00\x01\x00\x01a\x00"},
		{"MQTT-3.10.3-1", "a filter longer than the packet", "\x00\x01\x00\x05a"},
	} {
		cases = append(cases, testCase{
			rule: bad.rule, name: bad.name,
			also: []string{"MQTT-4.8.0-1"}, run: func(t *trial) {
				c := t.client()
				c.trySend(packet(firstUnsubscribe, []byte(bad.body)))
				c.expectClosed(bad.name)
			}})
	}
	return cases
}

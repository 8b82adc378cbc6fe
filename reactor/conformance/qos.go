package conformance

import "time"

// publishQoS1 completes the exchange.
func (c *client) publishQoS1(m publish) {
	m.qos = 1
	c.send(m.packet())
	c.expect("PUBACK", acknowledge(firstPuback, m.id))
}

// publishQoS2 completes the exchange up to PUBREC.
func (c *client) publishQoS2(m publish) {
	m.qos = 2
	c.send(m.packet())
	c.expect("PUBREC", acknowledge(firstPubrec, m.id))
}

// release completes a QoS 2 exchange.
func (c *client) release(id uint16) {
	c.send(acknowledge(firstPubrel, id))
	c.expect("PUBCOMP", acknowledge(firstPubcomp, id))
}

func qosCases() []testCase {
	return []testCase{
		{rule: "MQTT-4.3.2-2", name: "PUBACK, then the identifier is a new publication", run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			c := t.client()
			for _, m := range []publish{
				{topic: t.topic("a"), payload: "one", id: 5},
				{topic: t.topic("a"), payload: "two", id: 5},
				{topic: t.topic("a"), payload: "two", id: 5, dup: true},
			} {
				c.publishQoS1(m)
				watcher.expectPublish(publish{topic: m.topic, payload: m.payload})
			}
			watcher.expectSilence(c)
		}},
		{rule: "MQTT-4.3.3-2", name: "the whole exchange", run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			c := t.client()
			c.publishQoS2(publish{topic: t.topic("a"), payload: "x", id: 6})
			c.release(6)
			watcher.expectPublish(publish{topic: t.topic("a"), payload: "x"})
			watcher.expectSilence(c)
		}},
		{rule: "MQTT-4.3.3-2", name: "repetitions before PUBREL are delivered once", run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			c := t.client()
			m := publish{topic: t.topic("a"), payload: "once", id: 7}
			c.publishQoS2(m)
			m.dup = true
			c.publishQoS2(m)
			c.publishQoS2(m)
			c.release(7)
			watcher.expectPublish(publish{topic: m.topic, payload: "once"})
			watcher.expectSilence(c)
		}},
		{rule: "MQTT-4.3.3-2", name: "a repetition without DUP is delivered once", run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			c := t.client()
			m := publish{topic: t.topic("a"), payload: "once", id: 7}
			c.publishQoS2(m)
			c.publishQoS2(m)
			c.release(7)
			watcher.expectPublish(publish{topic: m.topic, payload: "once"})
			watcher.expectSilence(c)
		}},
		{rule: "MQTT-4.3.3-2", name: "after PUBCOMP the identifier is a new publication", run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			c := t.client()
			for _, payload := range []string{"first", "second", "second"} {
				c.publishQoS2(publish{topic: t.topic("a"), payload: payload, id: 8, dup: payload == "second"})
				c.release(8)
				watcher.expectPublish(publish{topic: t.topic("a"), payload: payload})
			}
			watcher.expectSilence(c)
		}},
		{rule: "MQTT-4.3.3-2", name: "a repeated PUBREL gets PUBCOMP again", run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			c := t.client()
			c.publishQoS2(publish{topic: t.topic("a"), payload: "x", id: 9})
			c.release(9)
			c.release(9)
			watcher.expectPublish(publish{topic: t.topic("a"), payload: "x"})
			watcher.expectSilence(c)
		}},
		{
			rule: "section-4.3.3", name: "PUBREL for an identifier never used",
			also: []string{"MQTT-4.3.3-2"}, run: func(t *trial) {
				t.client().release(4711)
			}},
		{rule: "MQTT-4.3.3-2", name: "ten exchanges at a time", run: func(t *trial) {
			watcher := t.subscriber(t.topic("#"))
			c := t.client()
			var sent []publish
			for id := uint16(1); id <= 10; id++ {
				m := publish{topic: t.topic("a"), payload: pattern(int(id)), id: id}
				c.publishQoS2(m)
				sent = append(sent, publish{topic: m.topic, payload: m.payload})
			}
			for id := uint16(1); id <= 10; id++ {
				c.publishQoS2(publish{topic: t.topic("a"), payload: pattern(int(id)), id: id, dup: true})
			}
			for id := uint16(1); id <= 10; id++ {
				c.release(id)
			}
			watcher.expectPublish(sent...)
			watcher.expectSilence(c)
		}},
		{rule: "MQTT-4.3.3-2", name: "identifiers of two Clients do not meet", run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			a, b := t.client(), t.client()
			a.publishQoS2(publish{topic: t.topic("a"), payload: "of a", id: 1})
			b.publishQoS2(publish{topic: t.topic("a"), payload: "of b", id: 1})
			a.release(1)
			b.release(1)
			watcher.expectPublishSet(publish{topic: t.topic("a"), payload: "of a"}, publish{topic: t.topic("a"), payload: "of b"})
		}},
		{
			rule: "MQTT-4.3.3-2", name: "an identifier unreleased in one Session is new in the next",
			also: []string{"MQTT-3.1.2-6"}, run: func(t *trial) {
				id := t.newID()
				c := t.connect(connect{id: id, cleanSession: true})
				c.publishQoS2(publish{topic: t.topic("a"), payload: "first", id: 1})
				c.drop()
				time.Sleep(grace)
				// What the first Session left behind may or may not have been delivered already: subscribe after it.
				watcher := t.subscriber(t.topic("a"))
				c = t.connect(connect{id: id, cleanSession: true})
				c.publishQoS2(publish{topic: t.topic("a"), payload: "second", id: 1})
				c.release(1)
				watcher.expectPublish(publish{topic: t.topic("a"), payload: "second"})
			}},
		{
			rule: "MQTT-3.8.4-6", name: "published at QoS 1 and 2, granted QoS 0",
			also: []string{"MQTT-4.3.1-1"}, run: func(t *trial) {
				watcher := t.subscriber(t.topic("a"))
				c := t.client()
				c.publishQoS1(publish{topic: t.topic("a"), payload: "one", id: 1})
				watcher.expectPublish(publish{topic: t.topic("a"), payload: "one"})
				c.publishQoS2(publish{topic: t.topic("a"), payload: "two", id: 2})
				c.release(2)
				watcher.expectPublish(publish{topic: t.topic("a"), payload: "two"})
			}},
		{rule: "MQTT-3.8.4-6", name: "published at QoS 0, granted what the Server grants", run: func(t *trial) {
			c := t.client()
			c.subscribeQoS(subscription{t.topic("a"), 2})
			c.publish(publish{topic: t.topic("a"), payload: "zero"})
			c.expectPublish(publish{topic: t.topic("a"), payload: "zero"})
		}},
	}
}

package conformance

import (
	"slices"
	"time"
)

// qosCases hold the broker to its part as the receiver of QoS 1 and 2, whatever the QoS at which it sends onwards.
func qosCases() []testCase {
	return slices.Concat(
		eachQoS(testCase{
			rule: "MQTT-4.3.2-2", name: "PUBACK, then the identifier is a new publication, sent on",
			also: []string{"MQTT-2.3.1-6"},
		}, 0, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			for _, m := range []publish{
				{topic: t.topic("a"), payload: "one", qos: 1, id: 5},
				{topic: t.topic("a"), payload: "two", qos: 1, id: 5},
				{topic: t.topic("a"), payload: "two", qos: 1, id: 5, dup: true},
			} {
				by.give(m)
				c.take(t.sent(m, qos))
			}
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-4.3.3-2", name: "repetitions before PUBREL are delivered once",
		}, 0, func(t *trial, qos byte) {
			t.repeatedBeforePubrel(qos, true)
		}),
		eachQoS(testCase{
			rule: "MQTT-4.3.3-2", name: "a repetition without DUP is delivered once",
		}, 0, func(t *trial, qos byte) {
			t.repeatedBeforePubrel(qos, false)
		}),
		eachQoS(testCase{
			rule: "MQTT-4.3.3-2", name: "after PUBCOMP the identifier is a new publication, sent on",
		}, 0, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			for _, payload := range []string{"first", "second", "second"} {
				m := publish{topic: t.topic("a"), payload: payload, qos: 2, id: 8, dup: payload == "second"}
				by.give(m)
				c.take(t.sent(m, qos))
			}
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-4.3.3-2", name: "a repeated PUBREL gets PUBCOMP and delivers nothing",
		}, 0, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			m := publish{topic: t.topic("a"), payload: "x", qos: 2, id: 9}
			by.give(m)
			by.release(9)
			by.release(9)
			c.take(t.sent(m, qos))
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-4.3.3-2", name: "ten exchanges at a time, sent on",
		}, 0, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("#")), t.client()
			messages := numbered(t.topic("a"), 2, 10)
			for i := range messages {
				messages[i].id = uint16(i + 1)
				by.publishQoS2(messages[i])
			}
			for _, m := range messages {
				m.dup = true
				by.publishQoS2(m)
			}
			for _, m := range messages {
				by.release(m.id)
			}
			for _, m := range messages {
				c.take(t.sent(m, qos))
			}
			c.expectSilence(by)
		}),
		[]testCase{
			{rule: "MQTT-4.3.3-2", name: "the whole exchange", also: []string{"MQTT-7.0.0-2"}, run: func(t *trial) {
				watcher := t.subscriber(t.topic("a"))
				c := t.client()
				c.publishQoS2(publish{topic: t.topic("a"), payload: "x", id: 6})
				c.release(6)
				watcher.expectPublish(publish{topic: t.topic("a"), payload: "x"})
				watcher.expectSilence(c)
			}},
			{
				rule: "section-4.3.3", name: "PUBREL for an identifier never used",
				also: []string{"MQTT-4.3.3-2"}, run: func(t *trial) {
					t.client().release(4711)
				}},
			{
				rule: "section-4.3.3", name: "PUBREL for an identifier of QoS 1",
				also: []string{"MQTT-4.3.3-2"}, run: func(t *trial) {
					c := t.client()
					c.give(publish{topic: t.topic("a"), qos: 1, id: 3})
					c.release(3)
				}},
			{rule: "MQTT-4.3.3-2", name: "PUBREL of one exchange leaves the others", run: func(t *trial) {
				watcher := t.subscriber(t.topic("a"))
				c := t.client()
				for _, m := range []publish{
					{topic: t.topic("a"), payload: "one", id: 1}, {topic: t.topic("a"), payload: "two", id: 2},
				} {
					c.publishQoS2(m)
				}
				c.release(1)
				c.publishQoS2(publish{topic: t.topic("a"), payload: "two", id: 2, dup: true})
				c.release(2)
				watcher.expectPublish(publish{topic: t.topic("a"), payload: "one"}, publish{topic: t.topic("a"), payload: "two"})
				watcher.expectSilence(c)
			}},
			{rule: "MQTT-4.3.3-2", name: "an identifier may serve SUBSCRIBE and PUBLISH in turn", run: func(t *trial) {
				c := t.client()
				c.send(subscribe(1, subscription{filter: t.topic("b")}))
				c.expect("SUBACK", suback(1, 0))
				c.give(publish{topic: t.topic("a"), qos: 2, id: 1}, publish{topic: t.topic("a"), qos: 1, id: 1})
				c.send(unsubscribe(1, t.topic("b")))
				c.expect("UNSUBACK", acknowledge(firstUnsuback, 1))
				c.give(publish{topic: t.topic("a"), qos: 2, id: 1})
			}},
			{
				rule: "MQTT-4.3.3-2", name: "an identifier serves one exchange each way",
				also: []string{"MQTT-2.3.1-4"}, needs: needsQoS2, run: bothWays,
			},
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
					c := t.client()
					c.publishQoS2(publish{topic: t.topic("a"), payload: "first", id: 1})
					c.drop()
					time.Sleep(grace)
					// What the first Session left behind may or may not have been delivered already: subscribe after it.
					watcher := t.subscriber(t.topic("a"))
					c = c.again()
					c.publishQoS2(publish{topic: t.topic("a"), payload: "second", id: 1})
					c.release(1)
					watcher.expectPublish(publish{topic: t.topic("a"), payload: "second"})
				}},
			{
				rule: "MQTT-3.3.5-2", name: "a PUBLISH to a topic of the Server's own",
				also: []string{"MQTT-3.3.4-1"}, run: func(t *trial) {
					for _, m := range []publish{
						{topic: "$SYS/broker/" + t.token, payload: "x", qos: 1, id: 1},
						{topic: "$SYS/broker/" + t.token, payload: "x", qos: 2, id: 1},
					} {
						c := t.client()
						c.send(m.packet())
						frame := c.nextOrClosed()
						positive := acknowledge([]byte{1: firstPuback, 2: firstPubrec}[m.qos], m.id)
						if frame != nil && string(frame) != string(positive) {
							t.Errorf("expected %s or a closed connection, got %s", show(positive), show(frame))
						}
					}
				}},
		},
	)
}

func (t *trial) repeatedBeforePubrel(qos byte, dup bool) {
	c, by := t.subscriberAt(qos, t.topic("a")), t.client()
	m := publish{topic: t.topic("a"), payload: "once", qos: 2, id: 7}
	by.publishQoS2(m)
	m.dup = dup
	by.publishQoS2(m)
	if dup {
		by.publishQoS2(m)
	}
	by.release(7)
	c.take(t.sent(m, qos))
	c.expectSilence(by)
}

// bothWays has the Client publish to itself with the Packet Identifier that the broker uses at the same time.
func bothWays(t *trial) {
	c, by := t.subscriberAt(2, t.topic("a")), t.client()
	first := publish{topic: t.topic("a"), payload: "of the other", qos: 2}
	by.give(first)
	id := c.expectMessage(first)
	own := publish{topic: t.topic("b"), payload: "its own", qos: 2, id: id}
	c.publishQoS2(own)
	c.send(acknowledge(firstPubrec, id))
	c.expect("PUBREL", acknowledge(firstPubrel, id))
	c.release(id)
	c.send(acknowledge(firstPubcomp, id))
	c.release(id)
	c.expectSilence(by)
}

package conformance

import (
	"slices"

	"github.com/stretchr/testify/require"
)

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
	return slices.Concat(cases, unsubscribeQoSCases())
}

// unsubscribeQoSCases have messages on their way when the subscription goes.
func unsubscribeQoSCases() []testCase {
	return slices.Concat(
		overQoS(testCase{
			rule: "MQTT-3.10.4-2", name: "nothing new after UNSUBACK", also: []string{"MQTT-3.10.4-1"},
		}, func(t *trial, published, subscribed byte) {
			c, by := t.subscriberAt(subscribed, t.topic("a")), t.client()
			m := publish{topic: t.topic("a"), payload: "before", qos: published}
			by.give(m)
			c.take(t.sent(m, subscribed))
			c.unsubscribe(t.topic("a"))
			by.give(publish{topic: t.topic("a"), payload: "after", qos: published})
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.10.4-3", name: "deliveries begun are completed",
			also: []string{"MQTT-4.3.2-1", "MQTT-4.3.3-1"},
		}, 1, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			messages := numbered(t.topic("a"), qos, 4)
			by.give(messages...)
			ids := c.expectMessages(messages...)
			if qos == 2 { // one of them has come further
				c.send(acknowledge(firstPubrec, ids[0]))
				c.expect("PUBREL", acknowledge(firstPubrel, ids[0]))
			}
			c.unsubscribe(t.topic("a"))
			if qos == 2 {
				c.send(acknowledge(firstPubcomp, ids[0]))
				ids = ids[1:]
			}
			for _, id := range ids {
				c.accept(qos, id)
			}
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.10.4-3", name: "deliveries begun are completed after another connection",
			also: []string{"MQTT-4.4.0-1"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			messages := numbered(t.topic("a"), qos, 4)
			by.give(messages...)
			again := repeated(messages, c.expectMessages(messages...))
			c.unsubscribe(t.topic("a"))
			c.drop()
			c = c.resume()
			c.take(again...)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.10.4-2", name: "messages that wait when the subscription goes",
			also: []string{"MQTT-3.10.4-3"},
		}, 1, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a"), t.topic("end")), t.client()
			messages := numbered(t.topic("a"), qos, 100)
			by.give(messages...)
			begun := c.expectMessages(messages[:unacknowledgedMin]...)
			c.unsubscribe(t.topic("a"))
			by.give(publish{topic: t.topic("a"), payload: "after", qos: qos}, publish{topic: t.topic("end"), qos: qos})
			for _, id := range begun {
				c.accept(qos, id)
			}
			// Those that wait may come or not; what comes is in order, and none was published after UNSUBACK.
			for rest := messages[unacknowledgedMin:]; ; {
				m := c.nextPublish()
				c.accept(m.qos, m.id)
				if m.topic == t.topic("end") {
					break
				}
				at := slices.IndexFunc(rest, func(r publish) bool { return r.payload == m.payload })
				require.GreaterOrEqual(t, at, 0, "not expected now: %s", show(m.packet()))
				rest = rest[at+1:]
			}
			c.expectSilence(by)
		}),
	)
}

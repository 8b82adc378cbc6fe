package conformance

import (
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"
)

func subscribeCases() []testCase {
	cases := []testCase{
		{rule: "MQTT-3.8.4-1", name: "SUBACK", also: []string{"MQTT-3.8.4-2", "MQTT-2.3.1-7"}, run: func(t *trial) {
			c := t.client()
			c.send(subscribe(0x1234, subscription{filter: t.topic("a")}))
			c.expect("SUBACK", suback(0x1234, 0))
		}},
		{rule: "MQTT-3.8.4-3", name: "re-subscribing sends retained messages again", run: func(t *trial) {
			m := publish{topic: t.topic("a"), payload: "kept", retain: true}
			by := t.client()
			t.retain(by, m)
			c := t.client()
			for range 3 {
				c.subscribe(t.topic("+"))
				c.expectPublish(m)
			}
			by.publish(publish{topic: m.topic, payload: "live"})
			c.expectPublish(publish{topic: m.topic, payload: "live"})
			c.expectSilence(by)
		}},
		{rule: "MQTT-3.8.4-3", name: "re-subscribing replaces the subscription", run: func(t *trial) {
			c := t.client()
			for _, qos := range []byte{0, 2, 1, 0} {
				c.subscribeQoS(subscription{t.topic("a"), qos})
			}
			by := t.client()
			by.publishQoS1(publish{topic: t.topic("a"), payload: "once", id: 1})
			c.expectPublish(publish{topic: t.topic("a"), payload: "once"})
			c.expectSilence(by)
			c.unsubscribe(t.topic("a"))
			by.publish(publish{topic: t.topic("a"), payload: "none"})
			c.expectSilence(by)
		}},
		{rule: "MQTT-3.8.4-3", name: "re-subscribing does not interrupt the flow", run: func(t *trial) {
			c := t.subscriber(t.topic("a"))
			by := t.client()
			var sent []publish
			for i := range 100 {
				m := publish{topic: t.topic("a"), payload: strconv.Itoa(i)}
				sent = append(sent, m)
				by.publish(m)
				if i%10 == 5 {
					c.subscribe(t.topic("a"))
				}
			}
			c.expectPublish(sent...)
		}},
		{
			rule: "MQTT-3.8.4-4", name: "many filters in one SUBSCRIBE",
			also: []string{"MQTT-3.8.4-5"}, run: func(t *trial) {
				c := t.client()
				c.subscribe(t.topic("a"), t.topic("b/+"), t.topic("c/#"))
				for _, topic := range []string{"a", "b/1", "c", "c/2"} {
					c.publish(publish{topic: t.topic(topic), payload: topic})
					c.expectPublish(publish{topic: t.topic(topic), payload: topic})
				}
			}},
		{rule: "MQTT-3.8.4-4", name: "retained messages for each filter", run: func(t *trial) {
			a := publish{topic: t.topic("a"), payload: "a", retain: true}
			b := publish{topic: t.topic("b"), payload: "b", retain: true}
			t.retain(t.client(), a, b)
			c := t.client()
			c.subscribe(t.topic("a"), t.topic("b"))
			c.expectPublishSet(a, b)
		}},
		{rule: "MQTT-3.8.4-4", name: "the same filter twice", run: func(t *trial) {
			c := t.client()
			c.subscribe(t.topic("a"), t.topic("a"))
			by := t.client()
			by.publish(publish{topic: t.topic("a"), payload: "once"})
			c.expectPublish(publish{topic: t.topic("a"), payload: "once"})
			c.expectSilence(by)
		}},
		{rule: "section-3.8.4", name: "500 filters", also: []string{"MQTT-3.8.4-5"}, run: func(t *trial) {
			filters := make([]string, 500)
			for i := range filters {
				filters[i] = t.topic("level/" + strconv.Itoa(i))
			}
			c := t.client()
			c.subscribe(filters...)
			for _, i := range []int{0, 250, 499} {
				c.publish(publish{topic: filters[i], payload: "x"})
				c.expectPublish(publish{topic: filters[i], payload: "x"})
			}
			c.unsubscribe(filters...)
			c.publish(publish{topic: filters[250], payload: "none"})
			c.ping()
		}},
		{
			rule: "MQTT-3.9.3-1", name: "return codes in the order of the filters",
			also: []string{"MQTT-3.8.4-5"}, run: func(t *trial) {
				c := t.client()
				c.subscribeQoS(subscription{t.topic("a"), 2}, subscription{t.topic("b"), 0}, subscription{t.topic("c"), 1},
					subscription{t.topic("d"), 0}, subscription{t.topic("e"), 2})
			}},
		{rule: "MQTT-3.9.3-2", name: "return codes that are not reserved", run: func(t *trial) {
			c := t.client()
			filters := []subscription{
				{t.topic("a"), 0}, {t.topic("a"), 1}, {t.topic("a"), 2}, {"$SYS/#", 0},
				{"$share/group/" + t.topic("a"), 0}, {"$" + t.token + "/a", 2},
			}
			c.send(subscribe(1, filters...))
			// Messages on $SYS may be there already.
			frame := c.next("SUBACK")
			for frame[0] == firstPublish|1 {
				frame = c.next("SUBACK")
			}
			require.Len(t, frame, len(suback(1, make([]byte, len(filters))...)), "got %s", show(frame))
			for _, code := range frame[4:] {
				require.True(t, slices.Contains([]byte{0, 1, 2, subscribeFailure}, code), "return code 0x%02x", code)
			}
		}},
	}
	for _, bad := range []struct{ rule, name, body string }{
		{"MQTT-3.8.3-3", "no Topic Filter", "\x00\x01"},
		{"MQTT-3.8.3-3", "no payload and no Packet Identifier", ""},
		{"MQTT-3.8.3-4", "QoS 3", "\x00\x01\x00\x01a\x03"},
		{"MQTT-3.8.3-4", "reserved bit 2", "\x00\x01\x00\x01a\x04"},
		{"MQTT-3.8.3-4", "reserved bit 3", "\x00\x01\x00\x01a\x08"},
		{"MQTT-3.8.3-4", "reserved bits 5 and 4", "\x00\x01\x00\x01a\x30"},
		{"MQTT-3.8.3-4", "reserved bit 7", "\x00\x01\x00\x01a\x80"},
		{"MQTT-3.8.3-4", "QoS 3 in the second filter", "\x00\x01\x00\x01a\x00\x00\x01b\x03"},
		{"MQTT-4.8.0-1", "SUBSCRIBE without requested QoS", "\x00\x01\x00\x01a"},
		{"MQTT-4.8.0-1", "SUBSCRIBE whose filter is longer than the packet", "\x00\x01\x00\x05a\x00"},
		{"MQTT-4.8.0-1", "SUBSCRIBE with half a Packet Identifier", "\x01"},
		{"MQTT-4.8.0-1", "SUBSCRIBE with half a length", "\x00\x01\x00\x01a\x00\x00"},
	} {
		cases = append(cases, testCase{
			rule: bad.rule, name: bad.name,
			also: []string{"MQTT-4.8.0-1"}, run: func(t *trial) {
				c := t.client()
				c.trySend(packet(firstSubscribe, []byte(bad.body)))
				c.expectClosed(bad.name)
			}})
	}
	return slices.Concat(cases, resubscribeCases(), grantCases())
}

// resubscribeCases replace a subscription of one QoS by one of another.
func resubscribeCases() []testCase {
	return slices.Concat(
		overQoSOfTwo(testCase{
			rule: "MQTT-3.8.4-3", name: "re-subscribing changes the QoS",
			also: []string{"MQTT-3.8.4-6", "MQTT-3.3.1-6"},
		}, func(t *trial, first, second byte) {
			c, by := t.client(), t.client()
			kept := publish{topic: t.topic("a"), payload: "kept", qos: 2}
			t.retain(by, kept)
			for _, qos := range []byte{first, second} {
				c.subscribeQoS(subscription{t.topic("a"), qos})
				want := t.sent(kept, qos)
				want.retain = true
				c.take(want)
				for published := range byte(3) {
					m := publish{topic: t.topic("a"), payload: "live", qos: published}
					by.give(m)
					c.take(t.sent(m, qos))
				}
			}
			c.unsubscribe(t.topic("a"))
			by.give(publish{topic: t.topic("a"), payload: "none", qos: 2})
			c.expectSilence(by)
		}),
		overQoSOfTwo(testCase{
			rule: "MQTT-3.8.4-4", name: "the same filter twice in one SUBSCRIBE", also: []string{"MQTT-3.8.4-3"},
		}, func(t *trial, first, second byte) {
			c, by := t.client(), t.client()
			c.subscribeQoS(subscription{t.topic("a"), first}, subscription{t.topic("a"), second})
			m := publish{topic: t.topic("a"), payload: "once", qos: 2}
			by.give(m)
			c.take(t.sent(m, second))
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.8.4-3", name: "re-subscribing leaves alone what is on its way",
			also: []string{"MQTT-4.3.2-1", "MQTT-4.3.3-1"},
		}, 1, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			messages := numbered(t.topic("a"), qos, 3)
			by.give(messages...)
			ids := c.expectMessages(messages...)
			c.subscribe(t.topic("a"))
			for _, id := range ids {
				c.accept(qos, id)
			}
			by.give(messages[0])
			c.take(t.sent(messages[0], 0))
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.8.4-3", name: "re-subscribing in the middle of the flow",
		}, 1, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			messages := numbered(t.topic("a"), qos, 100)
			for i, m := range messages {
				by.give(m)
				if i%10 == 5 {
					c.subscribeQoS(subscription{t.topic("a"), qos})
				}
			}
			c.take(messages...)
			c.expectSilence(by)
		}),
	)
}

// grantCases are about the codes of SUBACK and that they are kept.
func grantCases() []testCase {
	return []testCase{
		{
			rule: "section-3.8.4", name: "500 filters of every QoS",
			also: []string{"MQTT-3.8.4-4", "MQTT-3.8.4-5", "MQTT-3.9.3-1", "MQTT-3.8.4-6"}, run: func(t *trial) {
				subscriptions := make([]subscription, 500)
				for i := range subscriptions {
					subscriptions[i] = subscription{t.topic("level/" + strconv.Itoa(i)), byte(i * 7 % 3)}
				}
				by := t.client()
				kept := publish{topic: subscriptions[499].filter, payload: "kept", qos: 2}
				t.retain(by, kept)
				c := t.client()
				c.subscribeQoS(subscriptions...)
				want := t.sent(kept, subscriptions[499].qos)
				want.retain = true
				c.take(want)
				for i := 0; i < len(subscriptions); i += 13 {
					m := publish{topic: subscriptions[i].filter, payload: "x", qos: byte(i % 3)}
					by.give(m)
					c.take(t.sent(m, subscriptions[i].qos))
				}
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-3.9.3-2", name: "each QoS is granted as asked for",
			also: []string{"MQTT-3.8.4-5", "MQTT-3.9.3-1"}, needs: needsQoS2, run: func(t *trial) {
				c := t.client()
				var all []subscription
				for i := range 27 { // all triples
					for _, qos := range []int{i / 9, i / 3 % 3, i % 3} {
						all = append(all, subscription{t.topic(strconv.Itoa(len(all))), byte(qos)})
					}
					c.subscribeQoS(all[len(all)-3:]...)
				}
				c.subscribeQoS(all...)
			}},
		{
			rule: "MQTT-3.8.3-2", name: "a filter with a wildcard works or is rejected",
			also: []string{"MQTT-3.9.3-2"}, run: func(t *trial) {
				by := t.client()
				for i, filter := range []string{"a/+", "a/#", "+/b", "#"} {
					c := t.client()
					c.send(subscribe(1, subscription{t.topic(filter), byte(i % 3)}))
					frame := c.next("SUBACK")
					by.publish(publish{topic: t.topic("a/b"), payload: "x"})
					if string(frame) != string(suback(1, subscribeFailure)) {
						require.Equal(t, show(suback(1, t.granted(byte(i%3)))), show(frame))
						c.take(publish{topic: t.topic("a/b"), payload: "x"})
					}
					c.expectSilence(by)
				}
			}},
	}
}

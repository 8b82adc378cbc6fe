package conformance

import (
	"slices"

	"github.com/stretchr/testify/require"
)

// deliveryCases hold the broker to how a message goes out, for each QoS it came with and each QoS asked for.
func deliveryCases() []testCase {
	return slices.Concat(
		overQoS(testCase{
			rule: "MQTT-3.8.4-6", name: "delivered once and at the lower QoS",
			also: []string{"MQTT-4.3.1-1", "MQTT-4.3.2-1", "MQTT-4.3.3-1", "MQTT-3.3.4-1", "MQTT-3.3.1-2"},
		}, func(t *trial, published, subscribed byte) {
			c, by := t.subscriberAt(subscribed, t.topic("a")), t.client()
			for _, m := range numbered(t.topic("a"), published, 3) {
				by.give(m)
				c.take(t.sent(m, subscribed))
			}
			c.expectSilence(by)
		}),
		overQoS(testCase{rule: "MQTT-3.8.4-6", name: "an empty payload"}, func(t *trial, published, subscribed byte) {
			c, by := t.subscriberAt(subscribed, t.topic("a")), t.client()
			m := publish{topic: t.topic("a"), qos: published}
			by.give(m)
			c.take(t.sent(m, subscribed))
			c.expectSilence(by)
		}),
		overQoS(testCase{
			rule: "MQTT-4.5.0-1", name: "the publisher itself",
		}, func(t *trial, published, subscribed byte) {
			c := t.subscriberAt(subscribed, t.topic("a"))
			for _, m := range numbered(t.topic("a"), published, 3) {
				c.give(m)
				c.take(t.sent(m, subscribed))
			}
			c.expectSilence(c)
		}),
		[]testCase{{
			rule: "MQTT-4.5.0-1", name: "each Client at the QoS of its own subscription",
			also: []string{"MQTT-3.8.4-6"}, run: func(t *trial) {
				by := t.client()
				var readers []*client
				for _, filter := range []string{"a/b", "a/+", "#"} {
					for qos := range byte(3) {
						readers = append(readers, t.subscriberAt(qos, t.topic(filter)))
					}
				}
				for published := range byte(3) {
					m := publish{topic: t.topic("a/b"), payload: "for all", qos: published}
					by.give(m)
					for i, c := range readers {
						c.take(t.sent(m, byte(i%3)))
					}
				}
				for _, c := range readers {
					c.expectSilence(by)
				}
			}}},
		dupCases(), overlapCases(), payloadCases(),
	)
}

// dupCases hold the broker to the DUP flag being its own on each side.
func dupCases() []testCase {
	return overQoS(testCase{
		rule: "MQTT-3.3.1-3", name: "DUP of an incoming PUBLISH", also: []string{"MQTT-3.3.1-1", "MQTT-4.3.2-1"},
	}, func(t *trial, published, subscribed byte) {
		c, by := t.subscriberAt(subscribed, t.topic("a")), t.client()
		m := publish{topic: t.topic("a"), payload: "x", qos: published, dup: published > 0}
		by.give(m)
		c.take(t.sent(m, subscribed))
		c.expectSilence(by)
	})
}

// overlapCases give one Client subscriptions that overlap, made in either order, of any two QoS.
func overlapCases() []testCase {
	var cases []testCase
	for _, filters := range [][2]string{{"a/b", "#"}, {"#", "a/b"}, {"a/+", "+/b"}} {
		cases = append(cases, overQoSOfTwo(testCase{
			rule: "MQTT-3.3.5-1", name: "overlapping filters " + inName(filters[0]) + " and " + inName(filters[1]),
			also: []string{"MQTT-3.8.4-6"},
		}, func(t *trial, first, second byte) {
			c, by := t.client(), t.client()
			c.subscribeQoS(subscription{t.topic(filters[0]), first})
			c.subscribeQoS(subscription{t.topic(filters[1]), second})
			for published := range byte(3) {
				by.give(publish{topic: t.topic("a/b"), payload: "x", qos: published})
				require.Equal(t, min(published, t.granted(max(first, second))), highestQoS(t, c.drain(by)),
					"published at QoS %d", published)
			}
		})...)
	}
	return cases
}

// highestQoS is that of several copies: a broker may send one for each of the subscriptions [MQTT-3.3.5-1].
func highestQoS(t *trial, copies []publish) (highest byte) {
	require.NotEmpty(t, copies, "messages")
	for _, m := range copies {
		highest = max(highest, m.qos)
	}
	return highest
}

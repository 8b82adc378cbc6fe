package conformance

import (
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"
)

// absentCases are about what happens to a Session while its Client is away.
func absentCases() []testCase {
	cases := slices.Concat(
		overQoSSent(testCase{
			rule: "MQTT-3.1.2-5", name: "stored",
			also:  []string{"MQTT-4.5.0-1", "MQTT-4.1.0-1", "MQTT-4.6.0-6", "MQTT-3.8.4-6"},
			needs: needsSessions,
		}, func(t *trial, published, subscribed byte) {
			c, by := t.persistent(subscription{t.topic("a"), subscribed}), t.client()
			c.leave()
			messages := numbered(t.topic("a"), published, 5)
			by.give(messages...)
			c = c.resume()
			for _, m := range messages {
				c.take(t.sent(m, subscribed))
			}
			c.expectSilence(by)
			c.leave()
			c.resume().expectSilence(by) // nothing is left
		}),
		eachQoS(testCase{
			rule: "MQTT-3.1.2-4", name: "the subscription is kept", also: []string{"MQTT-3.2.2-2", "MQTT-4.1.0-1"},
			needs: needsSessions,
		}, 0, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			for _, ending := range endings {
				old := c
				ending.end(old)
				c = old.resume()
				m := publish{topic: t.topic("a"), payload: "after " + ending.name, qos: 2}
				by.give(m)
				c.take(t.sent(m, qos))
				c.ping() // or a takeover might come before the acknowledgement
			}
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.1.2-5", name: "an empty payload", needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			c.leave()
			by.give(publish{topic: t.topic("a"), qos: qos})
			c = c.resume()
			c.take(publish{topic: t.topic("a"), qos: qos})
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.1.2-5", name: "five hundred messages in their order",
			also: []string{"MQTT-4.6.0-6"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("#"), qos}), t.client()
			c.leave()
			messages := numbered(t.topic("a"), qos, 500)
			by.give(messages...)
			c = c.resume()
			c.take(messages...)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.3.1-9", name: "RETAIN 0 after the absence",
			also: []string{"MQTT-3.1.2-5"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			c.leave()
			m := publish{topic: t.topic("a"), payload: "kept", qos: qos}
			t.retain(by, m)
			c = c.resume()
			c.take(m) // once: to resume is not to subscribe
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.3.1-6", name: "resuming is not subscribing",
			also: []string{"MQTT-3.1.2-4"}, needs: needsSessions,
		}, 0, func(t *trial, qos byte) {
			by := t.client()
			m := publish{topic: t.topic("a"), payload: "kept", qos: qos, retain: true}
			t.retain(by, m)
			c := t.persistent(subscription{m.topic, qos})
			c.take(m)
			c.ping()
			c.leave()
			c.resume().expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.10.4-2", name: "nothing is stored after UNSUBSCRIBE",
			also: []string{"MQTT-3.1.2-5"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}, subscription{t.topic("b"), qos}), t.client()
			c.unsubscribe(t.topic("a"))
			c.leave()
			m := publish{topic: t.topic("b"), payload: "x", qos: qos}
			by.give(publish{topic: t.topic("a"), payload: "none", qos: qos}, m)
			c = c.resume()
			c.take(m)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.1.2-5", name: "overlapping subscriptions store one message", also: []string{"MQTT-3.3.5-1"},
			needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}, subscription{t.topic("#"), qos}), t.client()
			c.leave()
			m := publish{topic: t.topic("a"), payload: "once", qos: qos}
			by.give(m)
			c = c.resume()
			c.take(m)
			c.expectSilence(by)
		}),
		[]testCase{
			{
				rule: "MQTT-3.1.2-5", name: "present and absent Clients at each QoS",
				also: []string{"MQTT-4.5.0-1", "MQTT-3.8.4-6"}, needs: needsSessions | needsQoS2, run: presentAndAbsent,
			},
			{
				rule: "MQTT-3.1.2-5", name: "identifiers of stored messages are distinct",
				also: []string{"MQTT-2.3.1-4"}, needs: needsSessions | needsQoS2, run: func(t *trial) {
					c, by := t.persistent(subscription{t.topic("a"), 2}), t.client()
					messages := numbered(t.topic("a"), 1, unacknowledgedMin)
					for i := range messages {
						messages[i].qos = 1 + byte(i%2)
					}
					by.give(messages[:2]...)
					ids := c.expectMessages(messages[:2]...)
					c.fault()
					by.give(messages[2:]...)
					c = c.resume()
					c.expectMessages(repeated(messages[:2], ids)...)
					ids = append(ids, c.expectMessages(messages[2:]...)...)
					requireDistinct(t, ids)
					for i, id := range ids {
						c.accept(messages[i].qos, id)
					}
					c.expectSilence(by)
				}},
			{
				rule: "MQTT-4.6.0-6", name: "stored messages of QoS 1 and 2, each in their order",
				also: []string{"MQTT-3.1.2-5"}, needs: needsSessions | needsQoS2, run: func(t *trial) {
					c, by := t.persistent(subscription{t.topic("a"), 2}), t.client()
					c.leave()
					messages := numbered(t.topic("a"), 1, 40)
					for i := range messages {
						messages[i].qos = 1 + byte(i%3%2)
					}
					by.give(messages...)
					c = c.resume()
					var got [3][]string
					for range messages {
						m := c.nextPublish()
						c.accept(m.qos, m.id)
						got[m.qos] = append(got[m.qos], m.payload)
					}
					var want [3][]string
					for _, m := range messages {
						want[m.qos] = append(want[m.qos], m.payload)
					}
					require.Equal(t, want, got)
					c.expectSilence(by)
				}},
		},
	)
	for _, pair := range [][2]byte{{0, 0}, {0, 1}, {0, 2}, {1, 0}, {2, 0}} {
		cases = append(cases, testCase{
			rule: "section-3.1.2.4-QoS-0", name: fmt.Sprintf("published at %d and subscribed at %d", pair[0], pair[1]),
			needs: needsSessions, run: func(t *trial) {
				c, by := t.persistent(subscription{t.topic("a"), pair[1]}), t.client()
				c.leave()
				by.give(numbered(t.topic("a"), pair[0], 3)...)
				by.ping()
				c = c.resume()
				c.expectSilence(by)
			}})
	}
	return cases
}

// presentAndAbsent has a Client of each QoS stay, and another go.
func presentAndAbsent(t *trial) {
	by := t.client()
	var absent, present []*client
	for qos := range byte(3) {
		present = append(present, t.persistent(subscription{t.topic("a"), qos}))
		absent = append(absent, t.persistent(subscription{t.topic("a"), qos}))
		absent[qos].leave()
	}
	var sent []publish
	for published := range byte(3) {
		m := publish{topic: t.topic("a"), payload: pattern(int(published)), qos: published}
		sent = append(sent, m)
		by.give(m)
		for qos, c := range present {
			c.take(t.sent(m, byte(qos)))
		}
	}
	for qos, c := range absent {
		c = c.resume()
		for _, m := range sent {
			if stored := t.sent(m, byte(qos)); stored.qos > 0 {
				c.take(stored)
			}
		}
		c.expectSilence(by)
	}
}

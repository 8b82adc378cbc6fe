package conformance

import (
	"slices"

	"github.com/stretchr/testify/require"
)

// repeated is the messages as they are re-sent with these Packet Identifiers.
func repeated(messages []publish, ids []uint16) []publish {
	again := slices.Clone(messages)
	for i := range again {
		again[i].dup, again[i].id = true, ids[i]
	}
	return again
}

// endings are the ways in which a connection of a Session ends.
var endings = []struct {
	name string
	end  func(c *client)
}{
	{"DISCONNECT", (*client).leave},
	{"FIN without DISCONNECT", (*client).drop},
	{"a protocol violation", (*client).fault},
	{"a takeover", func(*client) {}},
}

// redeliveryCases hold the broker to what it re-sends when a Client resumes its Session.
func redeliveryCases() []testCase {
	var cases []testCase
	for _, ending := range endings {
		cases = append(cases, eachQoS(testCase{
			rule: "MQTT-4.4.0-1", name: "unacknowledged messages after " + ending.name,
			also:  []string{"MQTT-3.3.1-1", "MQTT-2.3.1-4", "MQTT-4.6.0-1", "MQTT-3.1.2-4", "MQTT-4.1.0-1"},
			needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			old, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			messages := numbered(t.topic("a"), qos, unacknowledgedMin)
			by.give(messages...)
			ids := old.expectMessages(messages...)
			ending.end(old)
			c := old.resume()
			c.take(repeated(messages, ids)...)
			c.expectSilence(by)
			c.leave()
			c = c.resume()
			c.expectSilence(by) // what was acknowledged is not re-sent
		})...)
	}
	return slices.Concat(cases, redeliveryByStateCases(), redeliveryThenQueueCases(), exactlyOnceCases())
}

// redeliveryByStateCases break the connection at different points of the exchanges.
func redeliveryByStateCases() []testCase {
	return slices.Concat(
		overQoSSent(testCase{
			rule: "MQTT-3.3.1-1", name: "DUP on re-delivery",
			also: []string{"MQTT-2.3.1-4", "MQTT-4.4.0-1"}, needs: needsSessions,
		}, func(t *trial, published, subscribed byte) {
			c, by := t.persistent(subscription{t.topic("a"), subscribed}), t.client()
			m := publish{topic: t.topic("a"), payload: "x", qos: published}
			by.give(m)
			m = t.sent(m, subscribed)
			m.id = c.expectMessage(m)
			m.dup = true
			for range 3 {
				c.drop()
				c = c.resume()
				c.expectMessage(m)
			}
			c.accept(m.qos, m.id)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-4.6.0-1", name: "what was acknowledged leaves a gap",
			also: []string{"MQTT-4.4.0-1"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			messages := numbered(t.topic("a"), qos, unacknowledgedMin)
			by.give(messages...)
			ids := c.expectMessages(messages...)
			var left []publish
			for i, again := range repeated(messages, ids) {
				if i%2 == 0 {
					c.accept(qos, again.id)
				} else {
					left = append(left, again)
				}
			}
			c.ping() // the broker has read them
			c.drop()
			c = c.resume()
			c.take(left...)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.3.1-1", name: "a retained message is re-sent with DUP and RETAIN",
			also: []string{"MQTT-3.3.1-8", "MQTT-4.4.0-1"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			by := t.client()
			m := publish{topic: t.topic("a"), payload: "kept", qos: qos, retain: true}
			t.retain(by, m)
			c := t.persistent(subscription{m.topic, qos})
			m.id = c.expectMessage(m)
			c.drop()
			c = c.resume()
			m.dup = true
			c.take(m)
			c.expectSilence(by)
		}),
		[]testCase{
			{
				rule: "MQTT-4.4.0-1", name: "an unacknowledged PUBREL is re-sent, and its PUBLISH is not",
				also: []string{"MQTT-4.3.3-1"}, needs: needsSessions | needsQoS2, run: func(t *trial) {
					c, by := t.persistent(subscription{t.topic("a"), 2}), t.client()
					m := publish{topic: t.topic("a"), payload: "x", qos: 2}
					by.give(m)
					id := c.expectMessage(m)
					c.send(acknowledge(firstPubrec, id))
					for range 3 {
						c.expect("PUBREL", acknowledge(firstPubrel, id))
						c.drop()
						c = c.resume()
					}
					c.expect("PUBREL", acknowledge(firstPubrel, id))
					c.send(acknowledge(firstPubcomp, id))
					c.expectSilence(by)
					c.leave()
					c.resume().expectSilence(by)
				}},
			{
				rule: "MQTT-4.4.0-1", name: "PUBREL is sent for a PUBREC whose answer nobody read",
				also: []string{"MQTT-4.3.3-1"}, needs: needsSessions | needsQoS2, run: func(t *trial) {
					c, by := t.persistent(subscription{t.topic("a"), 2}), t.client()
					m := publish{topic: t.topic("a"), payload: "x", qos: 2}
					by.give(m)
					m.id = c.expectMessage(m)
					c.trySend(acknowledge(firstPubrec, m.id))
					c.fault()
					c = c.resume()
					c.expect("PUBREL", acknowledge(firstPubrel, m.id))
					c.send(acknowledge(firstPubcomp, m.id))
					c.expectSilence(by)
				}},
			{
				rule: "MQTT-4.6.0-1", name: "exchanges of every state",
				also: []string{"MQTT-4.4.0-1", "MQTT-4.6.0-4"}, needs: needsSessions | needsQoS2, run: everyState,
			},
		},
	)
}

// everyState leaves messages in each state of both exchanges. The PUBLISHes come again in their order. The PUBRELs
// have an order when they answer PUBREC [MQTT-4.6.0-4], and none when they are re-sent.
func everyState(t *trial) {
	c, by := t.persistent(subscription{t.topic("a"), 2}), t.client()
	var messages []publish
	for i := range unacknowledgedMin {
		messages = append(messages, publish{topic: t.topic("a"), payload: pattern(i), qos: 1 + byte(i%2)})
	}
	by.give(messages...)
	again := repeated(messages, c.expectMessages(messages...))
	c.accept(1, again[2].id)
	for _, i := range []int{5, 1} { // of QoS 2, against the order of PUBLISH
		c.send(acknowledge(firstPubrec, again[i].id))
		c.expect("PUBREL", acknowledge(firstPubrel, again[i].id))
	}
	for range 2 {
		c.drop()
		c = c.resume()
		var publishes, releases []string
		for range 5 {
			frame := c.next("PUBLISH or PUBREL")
			if frame[0] == firstPubrel {
				releases = append(releases, show(frame))
				continue
			}
			publishes = append(publishes, show(frame))
		}
		require.Equal(t, []string{show(again[0].packet()), show(again[3].packet()), show(again[4].packet())}, publishes)
		require.ElementsMatch(t,
			[]string{show(acknowledge(firstPubrel, again[5].id)), show(acknowledge(firstPubrel, again[1].id))}, releases)
	}
	c.accept(1, again[0].id)
	c.accept(2, again[3].id)
	c.accept(1, again[4].id)
	c.send(acknowledge(firstPubcomp, again[1].id), acknowledge(firstPubcomp, again[5].id))
	c.expectSilence(by)
}

// redeliveryThenQueueCases have messages that follow those that are re-sent.
func redeliveryThenQueueCases() []testCase {
	return slices.Concat(
		eachQoS(testCase{
			rule: "MQTT-4.6.0-6", name: "re-sent, then stored, then live",
			also: []string{"MQTT-4.6.0-1", "MQTT-3.1.2-5", "MQTT-3.3.1-1"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			messages := numbered(t.topic("a"), qos, 9)
			by.give(messages[:3]...)
			ids := c.expectMessages(messages[:3]...)
			c.fault()
			by.give(messages[3:6]...)
			c = c.resume()
			by.give(messages[6:]...)
			c.take(repeated(messages[:3], ids)...)
			c.take(messages[3:]...)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.3.1-1", name: "stored messages have DUP 1 from the second time on", needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			c.leave()
			messages := numbered(t.topic("a"), qos, unacknowledgedMin)
			by.give(messages...)
			c = c.resume()
			again := repeated(messages, c.expectMessages(messages...))
			c.accept(qos, again[0].id)
			c.ping()
			c.drop()
			c = c.resume()
			c.take(again[1:]...)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.3.1-1", name: "DUP 1 for what was sent and DUP 0 for what was not",
			also: []string{"MQTT-4.6.0-1", "MQTT-4.6.0-6"}, needs: needsSessions | needsWindow,
		}, 1, func(t *trial, qos byte) {
			window := t.target.MaxInflight
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			messages := numbered(t.topic("a"), qos, 3*window)
			by.give(messages...)
			again := repeated(messages[:window], c.expectMessages(messages[:window]...))
			c.ping()
			c.drop()
			c = c.resume()
			c.expectMessages(again...)
			c.ping()
			for _, m := range again {
				c.accept(qos, m.id)
			}
			c.take(messages[window:]...)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-4.6.0-1", name: "what the Client did not read comes after all",
			also: []string{"MQTT-4.4.0-1", "MQTT-4.6.0-6"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			messages := numbered(t.topic("a"), qos, 100)
			by.give(messages...)
			c.drop() // whatever of it was sent
			c = c.resume()
			c.takeAgain(messages...)
			c.expectSilence(by)
		}),
	)
}

package conformance

import (
	"fmt"
	"slices"
)

// sessionCases are about which Sessions there are: those that a CONNECT finds, and those that it discards.
func sessionCases() []testCase {
	return slices.Concat(sessionPresentCases(), cleanSessionCases(), discardCases(), keptSessionCases())
}

// sessionPresentCases follow one CONNECT by another with the same Client Identifier, each with either Clean Session.
func sessionPresentCases() []testCase {
	var cases []testCase
	for _, first := range []bool{false, true} {
		for _, second := range []bool{false, true} {
			for _, ending := range endings {
				c := testCase{rule: "MQTT-3.2.2-3", also: []string{"MQTT-3.1.4-3"}, needs: needsSessions}
				present := byte(0)
				switch {
				case second:
					c.rule = "MQTT-3.2.2-1"
				case !first:
					c.rule, present = "MQTT-3.2.2-2", 1
					c.also = append(c.also, "MQTT-3.1.2-4", "MQTT-4.1.0-1")
				}
				c.name = fmt.Sprintf("Clean Session %d, %s, Clean Session %d", digit(first), ending.name, digit(second))
				c.run = func(t *trial) { t.followed(first, second, present, ending.end) }
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// followed connects twice. The subscription, asked for at QoS 2, is there the second time if and only if the Session
// is.
func (t *trial) followed(first, second bool, present byte, end func(*client)) {
	by := t.client()
	p := connect{id: t.newID(), cleanSession: first}
	t.endSession(p.id)
	old := t.connect(p)
	old.subscribeQoS(subscription{t.topic("a"), 2})
	end(old)
	p.cleanSession = second
	c := t.connectTo(p, present)
	m := publish{topic: t.topic("a"), payload: "for the second", qos: 2}
	by.give(m)
	if present == 1 {
		c.take(t.sent(m, 2))
	}
	c.expectSilence(by)
}

func digit(flag bool) int {
	if flag {
		return 1
	}
	return 0
}

// cleanSessionCases hold for brokers without Sessions that outlive the connection, too.
func cleanSessionCases() []testCase {
	return []testCase{
		{
			rule: "MQTT-3.1.2-6", name: "subscriptions end with the connection",
			also: []string{"MQTT-3.1.4-3", "MQTT-3.2.2-1"}, run: func(t *trial) {
				c := t.subscriber(t.topic("a"))
				c.leave()
				by := t.client()
				by.publish(publish{topic: t.topic("a"), payload: "between"})
				by.ping()
				c = c.again()
				by.publish(publish{topic: t.topic("a"), payload: "after"})
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-3.1.2-6", name: "Clean Session 1 discards a Session with Clean Session 0",
			also: []string{"MQTT-3.1.4-3", "MQTT-3.2.2-1"}, run: func(t *trial) {
				id := t.newID()
				t.endSession(id)
				c := t.connect(connect{id: id})
				c.subscribe(t.topic("a"))
				c.leave()
				by := t.client()
				c = t.connect(connect{id: id, cleanSession: true})
				by.publish(publish{topic: t.topic("a"), payload: "after"})
				c.expectSilence(by)
				c.leave()
				c = t.connect(connect{id: id}) // Session Present 0: nothing is left
				by.publish(publish{topic: t.topic("a"), payload: "later"})
				c.expectSilence(by)
			}},
		{rule: "MQTT-3.2.2-3", name: "no Session left by Clean Session 1", run: func(t *trial) {
			id := t.newID()
			t.endSession(id)
			t.connect(connect{id: id, cleanSession: true}).leave()
			t.connect(connect{id: id})
		}},
	}
}

// discardCases fill a Session with all that it can hold and discard it.
func discardCases() []testCase {
	var cases []testCase
	for _, ending := range endings {
		cases = append(cases, eachQoS(testCase{
			rule: "MQTT-3.1.2-6", name: "Clean Session 1 discards unacknowledged messages after " + ending.name,
			also: []string{"MQTT-3.1.4-3", "MQTT-3.2.2-1"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			old, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			messages := numbered(t.topic("a"), qos, 3)
			by.give(messages...)
			old.expectMessages(messages...)
			ending.end(old)
			p := old.origin
			p.cleanSession = true
			c := t.connect(p)
			c.expectSilence(by)
			c.leave()
			p.cleanSession = false
			c = t.connect(p)
			c.expectSilence(by)
		})...)
	}
	return slices.Concat(cases,
		eachQoS(testCase{
			rule: "MQTT-3.1.2-6", name: "Clean Session 1 discards stored messages", needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			c.leave()
			by.give(numbered(t.topic("a"), qos, 30)...)
			p := c.origin
			p.cleanSession = true
			c = t.connect(p)
			c.expectSilence(by)
			c.leave()
			p.cleanSession = false
			t.connect(p).expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.1.2-6", name: "Clean Session 1 discards identifiers of QoS 2", needs: needsSessions,
		}, 0, func(t *trial, qos byte) {
			by := t.persistent()
			by.publishQoS2(publish{topic: t.topic("a"), payload: "first", id: 1})
			by.leave()
			p := by.origin
			p.cleanSession = true
			by = t.connect(p)
			// What the first Session left behind may or may not have been delivered already: subscribe after it.
			c := t.subscriberAt(qos, t.topic("a"))
			m := publish{topic: t.topic("a"), payload: "second", qos: 2, id: 1}
			by.give(m)
			c.take(t.sent(m, qos))
			c.expectSilence(by)
		}),
		[]testCase{{
			rule: "MQTT-3.1.2-6", name: "Clean Session 1 discards a PUBREL",
			needs: needsSessions | needsQoS2, run: func(t *trial) {
				c, by := t.persistent(subscription{t.topic("a"), 2}), t.client()
				m := publish{topic: t.topic("a"), payload: "x", qos: 2}
				by.give(m)
				id := c.expectMessage(m)
				c.send(acknowledge(firstPubrec, id))
				c.expect("PUBREL", acknowledge(firstPubrel, id))
				c.drop()
				p := c.origin
				p.cleanSession = true
				t.connect(p).expectSilence(by)
			}}})
}

// keptSessionCases are about what must leave a stored Session alone.
func keptSessionCases() []testCase {
	return []testCase{
		{
			rule: "MQTT-3.2.2-4", name: "a refused CONNECT with a stored Session",
			also: []string{"MQTT-3.1.4-5", "MQTT-3.1.2-2"}, needs: needsSessions, run: func(t *trial) {
				c, by := t.persistent(subscription{t.topic("a"), 2}), t.client()
				c.leave()
				for _, flags := range []byte{0, flagCleanSession} {
					refused := t.dial()
					refused.send(rawConnect("MQTT", 6, flags, 0, text(c.origin.id)))
					refused.expectConnack(0, unacceptableLevel)
					refused.expectClosed("CONNACK 0x01")
				}
				c = c.resume()
				m := publish{topic: t.topic("a"), payload: "x", qos: 2}
				by.give(m)
				c.take(t.sent(m, 2))
			}},
		{
			rule: "MQTT-3.1.4-1", name: "a malformed CONNECT with a stored Session",
			also: []string{"MQTT-3.1.2-4"}, needs: needsSessions, run: func(t *trial) {
				c := t.persistent(subscription{t.topic("a"), 2})
				c.leave()
				malformed := t.dial()
				malformed.trySend(rawConnect("MQTT", 4, flagCleanSession|flagReserved, 0, text(c.origin.id)))
				malformed.expectClosed("a CONNECT with the reserved flag")
				c.resume()
			}},
		{
			rule: "MQTT-3.1.3-2", name: "Sessions are told apart by case and length of the identifier",
			also: []string{"MQTT-3.2.2-3", "MQTT-3.1.2-4"}, needs: needsSessions, run: func(t *trial) {
				id := t.newID()
				for _, end := range []string{"a", "A", "aa", ""} {
					t.endSession(id + end)
					c := t.connect(connect{id: id + end}) // Session Present 0: none of the others is it
					c.subscribe(t.topic("by" + end))
					c.leave()
				}
				by := t.client()
				for _, end := range []string{"a", "A", "aa", ""} {
					c := t.connectTo(connect{id: id + end}, 1)
					m := publish{topic: t.topic("by" + end), payload: "x"}
					by.publish(m)
					c.take(m)
					c.expectSilence(by)
				}
			}},
		{
			rule: "MQTT-3.1.2-4", name: "subscriptions of every connection add up",
			also: []string{"MQTT-4.1.0-1"}, needs: needsSessions, run: func(t *trial) {
				c, by := t.persistent(), t.client()
				for i := range 10 {
					c.subscribeQoS(subscription{t.topic(fmt.Sprint(i)), byte(i % 3)})
					c.leave()
					c = c.resume()
				}
				c.unsubscribe(t.topic("4"))
				c.leave()
				c = c.resume()
				for i := range 10 {
					m := publish{topic: t.topic(fmt.Sprint(i)), payload: "x", qos: 2}
					by.give(m)
					if i != 4 {
						c.take(t.sent(m, byte(i%3)))
					}
				}
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-3.1.2-4", name: "a Session may change its Keep Alive and its Will",
			also: []string{"MQTT-3.1.2-12", "MQTT-3.14.4-3"}, needs: needsSessions, run: func(t *trial) {
				first := publish{topic: t.topic("will"), payload: "first"}
				second := publish{topic: t.topic("will"), payload: "second"}
				watcher := t.subscriber(first.topic)
				p := connect{id: t.newID(), will: &first}
				t.endSession(p.id)
				t.connect(p).drop()
				watcher.expectPublish(first)
				p.will, p.keepAliveSeconds = &second, 600
				t.connectTo(p, 1).drop()
				watcher.expectPublish(second)
				p.will, p.keepAliveSeconds = nil, 0
				c := t.connectTo(p, 1)
				c.fault()
				watcher.expectSilence(t.client())
			}},
	}
}

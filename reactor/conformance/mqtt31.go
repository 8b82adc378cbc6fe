package conformance

import "slices"

// mqtt31Cases serve Clients of MQTT 3.1, whose CONNECT says MQIsdp and 3. What else differs from MQTT 3.1.1 is that
// CONNACK has no Session Present, and that PUBREL, SUBSCRIBE and UNSUBSCRIBE may have the DUP flag.
func mqtt31Cases() []testCase {
	const rule = "section-3.1.2.2"
	return slices.Concat(
		overQoS(testCase{rule: rule, name: "MQTT 3.1 at both ends"}, func(t *trial, published, subscribed byte) {
			c, by := t.client31(), t.client31()
			c.subscribeQoS(subscription{t.topic("a"), subscribed})
			for _, m := range numbered(t.topic("a"), published, 3) {
				by.give(m)
				c.take(t.sent(m, subscribed))
			}
			c.ping()
			c.expectSilence(by)
			c.leave()
		}),
		overQoS(testCase{
			rule: rule, name: "MQTT 3.1 to and from MQTT 3.1.1",
		}, func(t *trial, published, subscribed byte) {
			older, newer := t.client31(), t.client()
			for _, c := range []*client{older, newer} {
				c.subscribeQoS(subscription{t.topic("a"), subscribed})
			}
			for _, by := range []*client{older, newer} {
				m := publish{topic: t.topic("a"), payload: "x", qos: published}
				by.give(m)
				older.take(t.sent(m, subscribed))
				newer.take(t.sent(m, subscribed))
			}
		}),
		overQoS(testCase{rule: rule, name: "the Will of MQTT 3.1"}, func(t *trial, published, subscribed byte) {
			will := publish{topic: t.topic("will"), payload: "gone", qos: published, retain: true}
			t.clearAtEnd(will.topic)
			c := t.subscriberAt(subscribed, will.topic)
			t.connect(connect{mqtt31: true, id: t.newID(), cleanSession: true, will: &will}).drop()
			c.take(t.sent(will, subscribed))
			late := t.client31()
			late.subscribeQoS(subscription{will.topic, subscribed})
			kept := t.sent(will, subscribed)
			kept.retain = true
			late.take(kept)
		}),
		eachQoS(testCase{
			rule: rule, name: "a Session of MQTT 3.1 re-sends", needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			by := t.client31()
			p := connect{mqtt31: true, id: t.newID()}
			t.endSession(p.id)
			c := t.connect(p)
			c.subscribeQoS(subscription{t.topic("a"), qos})
			messages := numbered(t.topic("a"), qos, 4)
			by.give(messages[:2]...)
			ids := c.expectMessages(messages[:2]...)
			c.fault()
			by.give(messages[2:]...)
			c = t.connect(p) // this byte of CONNACK is reserved in MQTT 3.1
			c.take(repeated(messages[:2], ids)...)
			c.take(messages[2:]...)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: rule, name: "a Session passes from MQTT 3.1 to 3.1.1", needs: needsSessions,
		}, 0, func(t *trial, qos byte) {
			by := t.client()
			p := connect{mqtt31: true, id: t.newID()}
			t.endSession(p.id)
			c := t.connect(p)
			c.subscribeQoS(subscription{t.topic("a"), qos})
			c.leave()
			p.mqtt31 = false
			c = t.connectTo(p, 1)
			m := publish{topic: t.topic("a"), payload: "x", qos: 2}
			by.give(m)
			c.take(t.sent(m, qos))
		}),
		[]testCase{
			{rule: rule, name: "PUBREL with DUP", run: func(t *trial) {
				c := t.client31()
				c.publishQoS2(publish{topic: t.topic("a"), id: 1})
				c.send(acknowledge(firstPubrel|0x08, 1))
				c.expect("PUBCOMP", acknowledge(firstPubcomp, 1))
			}},
			{rule: rule, name: "SUBSCRIBE and UNSUBSCRIBE with DUP", run: func(t *trial) {
				c := t.client31()
				again := subscribe(1, subscription{filter: t.topic("a")})
				again[0] |= 0x08
				c.send(again)
				c.expect("SUBACK", suback(1, 0))
				again = unsubscribe(2, t.topic("a"))
				again[0] |= 0x08
				c.send(again)
				c.expect("UNSUBACK", acknowledge(firstUnsuback, 2))
			}},
			{rule: rule, name: "an empty identifier", run: func(t *trial) {
				for _, clean := range []bool{false, true} {
					c := t.dial()
					c.send(connect{mqtt31: true, cleanSession: clean}.packet())
					c.expectConnack(0, identifierRejected)
					c.expectClosed("CONNACK 0x02")
				}
			}},
			{rule: rule, name: "MQIsdp with level 4 and MQTT with level 3", run: func(t *trial) {
				for _, mixed := range [][]byte{
					rawConnect("MQIsdp", 4, flagCleanSession, 0, text(t.newID())),
					rawConnect("MQTT", 3, flagCleanSession, 0, text(t.newID())),
				} {
					c := t.dial()
					c.trySend(mixed)
					if frame := c.nextOrClosed(); frame != nil { // to close at once is allowed by [MQTT-3.1.2-1]
						if string(frame) != string(connack(0, unacceptableLevel)) {
							t.Errorf("expected CONNACK 0x01 or a closed connection, got %s", show(frame))
						}
						c.expectClosed("CONNACK 0x01")
					}
				}
			}},
		},
	)
}

// client31 returns a new connected client of MQTT 3.1 with Clean Session 1.
func (t *trial) client31() *client {
	return t.connect(connect{mqtt31: true, id: t.newID(), cleanSession: true})
}

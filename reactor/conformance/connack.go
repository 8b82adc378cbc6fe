package conformance

import "time"

func connackCases() []testCase {
	return []testCase{
		{rule: "MQTT-3.1.4-4", name: "CONNACK with return code 0", also: []string{"MQTT-3.2.2-1"}, run: func(t *trial) {
			t.client().ping()
		}},
		{rule: "MQTT-3.1.4-5", name: "PUBLISH after a refused CONNECT", run: func(t *trial) {
			watcher := t.subscriber(t.topic("#"))
			c := t.dial()
			c.send(rawConnect("MQTT", 6, flagCleanSession, 0, text(t.newID())),
				publish{topic: t.topic("a"), payload: "late"}.packet())
			c.expectConnack(0, unacceptableLevel)
			c.expectClosed("CONNACK 0x01")
			watcher.expectSilence(t.client())
		}},
		{rule: "MQTT-3.1.4-5", name: "PUBLISH after a malformed CONNECT", run: func(t *trial) {
			watcher := t.subscriber(t.topic("#"))
			c := t.dial()
			c.trySend(rawConnect("MQTT", 4, flagCleanSession|flagReserved, 0, text(t.newID())),
				publish{topic: t.topic("a"), payload: "late"}.packet())
			c.expectClosed("a CONNECT with the reserved flag")
			watcher.expectSilence(t.client())
		}},
		{rule: "MQTT-3.1.4-5", name: "a valid CONNECT after a refused one", run: func(t *trial) {
			c := t.dial()
			c.send(connect{}.packet(), connect{id: t.newID(), cleanSession: true}.packet())
			c.expectConnack(0, identifierRejected)
			c.expectClosed("CONNACK 0x02")
		}},
		{rule: "MQTT-3.2.0-1", name: "CONNACK comes before PINGRESP and SUBACK", run: func(t *trial) {
			c := t.dial()
			c.send(connect{id: t.newID(), cleanSession: true}.packet(), pingreq,
				subscribe(1, subscription{filter: t.topic("a")}))
			c.expectConnack(0, accepted)
			c.expectBoth(pingresp, suback(1, 0))
		}},
		{rule: "MQTT-3.2.0-1", name: "CONNACK comes before retained messages", run: func(t *trial) {
			m := publish{topic: t.topic("a"), payload: "kept", retain: true}
			t.retain(t.client(), m)
			c := t.dial()
			c.send(connect{id: t.newID(), cleanSession: true}.packet(), subscribe(1, subscription{filter: m.topic}))
			c.expectConnack(0, accepted)
			c.expectBoth(suback(1, 0), m.packet())
		}},
		{rule: "MQTT-3.2.2-1", name: "Session Present 0 after a Session with the same identifier", run: func(t *trial) {
			id := t.newID()
			c := t.connect(connect{id: id})
			c.subscribe(t.topic("a"))
			c.leave()
			t.connect(connect{id: id, cleanSession: true})
		}},
		{
			rule: "section-3.1.4-Will", name: "a refused CONNECT has no Will",
			also: []string{"MQTT-3.1.2-8"}, run: func(t *trial) {
				watcher := t.subscriber(t.topic("#"))
				c := t.dial()
				c.send(rawConnect("MQTT", 6, flagCleanSession|flagWill, 0,
					text(t.newID()), text(t.topic("will")), text("gone")))
				c.expectConnack(0, unacceptableLevel)
				c.expectClosed("CONNACK 0x01")
				time.Sleep(grace)
				watcher.expectSilence(t.client())
			}},
		{rule: "section-3.1.4-Will", name: "a malformed CONNECT has no Will", run: func(t *trial) {
			watcher := t.subscriber(t.topic("#"))
			c := t.dial()
			c.trySend(rawConnect("MQTT", 4, flagCleanSession|flagWill|flagReserved, 0,
				text(t.newID()), text(t.topic("will")), text("gone")))
			c.expectClosed("a CONNECT with the reserved flag")
			time.Sleep(grace)
			watcher.expectSilence(t.client())
		}},
	}
}

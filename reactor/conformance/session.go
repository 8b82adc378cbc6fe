package conformance

func sessionCases() []testCase {
	return []testCase{
		{
			rule: "MQTT-3.1.2-6", name: "subscriptions end with the connection",
			also: []string{"MQTT-3.1.4-3", "MQTT-3.2.2-1"}, run: func(t *trial) {
				id := t.newID()
				c := t.connect(connect{id: id, cleanSession: true})
				c.subscribe(t.topic("a"))
				c.send(disconnect)
				c.expectClosed("DISCONNECT")
				by := t.client()
				by.publish(publish{topic: t.topic("a"), payload: "between"})
				by.ping()
				c = t.connect(connect{id: id, cleanSession: true})
				by.publish(publish{topic: t.topic("a"), payload: "after"})
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-3.1.2-6", name: "Clean Session 1 discards a Session with Clean Session 0",
			also: []string{"MQTT-3.1.4-3", "MQTT-3.2.2-1"}, run: func(t *trial) {
				id := t.newID()
				c := t.connect(connect{id: id})
				c.subscribe(t.topic("a"))
				c.send(disconnect)
				c.expectClosed("DISCONNECT")
				by := t.client()
				c = t.connect(connect{id: id, cleanSession: true})
				by.publish(publish{topic: t.topic("a"), payload: "after"})
				c.expectSilence(by)
				c.send(disconnect)
				c.expectClosed("DISCONNECT")
				c = t.connect(connect{id: id}) // Session Present 0: nothing is left
				by.publish(publish{topic: t.topic("a"), payload: "later"})
				c.expectSilence(by)
				t.endSession(id)
			}},
		{rule: "MQTT-3.2.2-3", name: "no Session left by Clean Session 1", run: func(t *trial) {
			id := t.newID()
			c := t.connect(connect{id: id, cleanSession: true})
			c.send(disconnect)
			c.expectClosed("DISCONNECT")
			t.connect(connect{id: id})
			t.endSession(id)
		}},
	}
}

// persistentSessionCases hold a broker whose Sessions outlive the connection.
func persistentSessionCases() []testCase {
	return []testCase{
		{
			rule: "MQTT-3.1.2-4", name: "the Session is resumed", needs: needsSessions,
			also: []string{"MQTT-3.2.2-2", "MQTT-4.1.0-1"}, run: func(t *trial) {
				id := t.newID()
				t.endSession(id)
				c := t.connect(connect{id: id})
				c.subscribe(t.topic("a"))
				c.send(disconnect)
				c.expectClosed("DISCONNECT")
				c = t.resume(id)
				c.publish(publish{topic: t.topic("a"), payload: "x"})
				c.expectPublish(publish{topic: t.topic("a"), payload: "x"})
			}},
		{
			rule: "MQTT-3.1.2-4", name: "a takeover resumes the Session",
			needs: needsSessions, also: []string{"MQTT-3.2.2-2"}, run: func(t *trial) {
				id := t.newID()
				t.endSession(id)
				old := t.connect(connect{id: id})
				old.subscribe(t.topic("a"))
				c := t.resume(id)
				old.expectClosed("a takeover")
				c.publish(publish{topic: t.topic("a"), payload: "x"})
				c.expectPublish(publish{topic: t.topic("a"), payload: "x"})
			}},
		{
			rule: "MQTT-3.1.2-5", name: "messages are stored while disconnected",
			needs: needsSessionsQoS1, run: func(t *trial) {
				id := t.newID()
				t.endSession(id)
				c := t.connect(connect{id: id})
				c.subscribeQoS(subscription{t.topic("a"), 1})
				c.send(disconnect)
				c.expectClosed("DISCONNECT")
				by := t.client()
				for i := range uint16(5) {
					by.publishQoS1(publish{topic: t.topic("a"), payload: pattern(int(i)), id: i + 1})
				}
				c = t.resume(id)
				for i := range 5 {
					c.send(acknowledge(firstPuback, c.expectQoS(publish{topic: t.topic("a"), payload: pattern(i), qos: 1})))
				}
			}},
		{rule: "MQTT-4.1.0-1", name: "QoS 2 identifiers are kept", needs: needsSessionsQoS2, run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			id := t.newID()
			t.endSession(id)
			c := t.connect(connect{id: id})
			c.publishQoS2(publish{topic: t.topic("a"), payload: "once", id: 1})
			c.drop()
			c = t.resume(id)
			c.publishQoS2(publish{topic: t.topic("a"), payload: "once", id: 1, dup: true})
			c.release(1)
			watcher.expectPublish(publish{topic: t.topic("a"), payload: "once"})
			watcher.expectSilence(c)
		}},
	}
}

// resume connects with Clean Session 0 and expects a stored Session.
func (t *trial) resume(id string) *client {
	c := t.dial()
	c.send(connect{id: id}.packet())
	c.expectConnack(1, accepted)
	return c
}

// endSession discards the stored Session of id when the trial has ended.
func (t *trial) endSession(id string) {
	t.cleanups = append(t.cleanups, func() {
		t.tidy(connect{id: id, cleanSession: true}.packet(), pingreq)
	})
}

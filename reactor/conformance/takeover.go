package conformance

import (
	"slices"
	"time"

	"github.com/stretchr/testify/require"
)

func takeoverCases() []testCase {
	return slices.Concat(plainTakeoverCases(), takeoverOfSessionCases())
}

func plainTakeoverCases() []testCase {
	return []testCase{

		{
			rule: "MQTT-3.1.4-2", name: "the existing Client is disconnected",
			also: []string{"MQTT-3.1.3-2"}, run: func(t *trial) {
				id := t.newID()
				old := t.connect(connect{id: id, cleanSession: true})
				c := t.connect(connect{id: id, cleanSession: true})
				old.expectClosed("a takeover")
				c.ping()
			}},
		{rule: "MQTT-3.1.4-2", name: "twenty takeovers in a row", run: func(t *trial) {
			id := t.newID()
			clients := make([]*client, 20)
			for i := range clients {
				clients[i] = t.connect(connect{id: id, cleanSession: true})
			}
			last := len(clients) - 1
			for _, c := range clients[:last] {
				c.expectClosed("a takeover")
			}
			clients[last].subscribe(t.topic("a"))
			clients[last].publish(publish{topic: t.topic("a"), payload: "x"})
			clients[last].expectPublish(publish{topic: t.topic("a"), payload: "x"})
		}},
		{rule: "MQTT-3.1.4-2", name: "CONNECTs at the same time leave one Client", run: func(t *trial) {
			id := t.newID()
			clients := make([]*client, 10)
			for i := range clients {
				clients[i] = t.dial()
			}
			for _, c := range clients {
				c.send(connect{id: id, cleanSession: true}.packet())
			}
			for end := time.Now().Add(t.patience); len(clients) > 1 && time.Now().Before(end); {
				clients = slices.DeleteFunc(clients, func(c *client) bool { return !c.alive() })
			}
			require.Len(t, clients, 1, "Clients connected with one identifier")
			require.True(t, clients[0].alive(), "the last Client stays connected")
		}},
		{
			rule: "MQTT-3.1.4-2", name: "the Will of the existing Client is published",
			also: []string{"MQTT-3.1.2-8"}, run: func(t *trial) {
				will := publish{topic: t.topic("will"), payload: "gone"}
				watcher := t.subscriber(will.topic)
				id := t.newID()
				old := t.connect(connect{id: id, cleanSession: true, will: &will})
				c := t.connect(connect{id: id, cleanSession: true})
				old.expectClosed("a takeover")
				watcher.expectPublish(will)
				c.leave()
				watcher.expectSilence(t.client())
			}},
		{
			rule: "MQTT-3.1.4-2", name: "the Will of the new Client stays its own",
			also: []string{"MQTT-3.1.2-10"}, run: func(t *trial) {
				first := publish{topic: t.topic("will"), payload: "first"}
				second := publish{topic: t.topic("will"), payload: "second"}
				watcher := t.subscriber(first.topic)
				id := t.newID()
				old := t.connect(connect{id: id, cleanSession: true, will: &first})
				c := t.connect(connect{id: id, cleanSession: true, will: &second})
				old.expectClosed("a takeover")
				watcher.expectPublish(first)
				c.drop()
				watcher.expectPublish(second)
			}},
		{
			rule: "MQTT-3.1.4-3", name: "subscriptions do not pass to the new Client",
			also: []string{"MQTT-3.1.2-6"}, run: func(t *trial) {
				id := t.newID()
				old := t.connect(connect{id: id, cleanSession: true})
				old.subscribe(t.topic("a"))
				c := t.connect(connect{id: id, cleanSession: true})
				old.expectClosed("a takeover")
				by := t.client()
				by.publish(publish{topic: t.topic("a"), payload: "for the old one"})
				c.expectSilence(by)
			}},
	}
}

// takeoverOfSessionCases take over a Session that is kept; what is re-sent then is among the redelivery cases.
func takeoverOfSessionCases() []testCase {
	return slices.Concat(
		eachQoS(testCase{
			rule: "MQTT-3.1.4-2", name: "twenty takeovers of a Session in a row",
			also: []string{"MQTT-3.2.2-2", "MQTT-4.4.0-1"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			old, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			m := publish{topic: t.topic("a"), payload: "x", qos: qos}
			by.give(m)
			m.id = old.expectMessage(m)
			m.dup = true
			for range 20 {
				c := old.resume()
				c.expectMessage(m)
				old.expectClosed("a takeover")
				old = c
			}
			old.accept(qos, m.id)
			old.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.1.4-2", name: "CONNECTs at the same time leave one Client with the Session",
			also: []string{"MQTT-4.4.0-1", "MQTT-3.1.2-4"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			old, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			messages := numbered(t.topic("a"), qos, 3)
			by.give(messages...)
			again := repeated(messages, old.expectMessages(messages...))
			clients := make([]*client, 10)
			for i := range clients {
				clients[i] = t.dial()
			}
			for _, c := range clients {
				c.send(old.origin.packet())
			}
			for end := time.Now().Add(t.patience); len(clients) > 1 && time.Now().Before(end); {
				clients = slices.DeleteFunc(clients, func(c *client) bool { return !c.alive() })
			}
			require.Len(t, clients, 1, "Clients connected with one identifier")
			clients[0].drop()
			c := old.resume()
			c.take(again...)
			c.expectSilence(by)
		}),
	)
}

// alive asks whether the connection still stands, by PINGREQ; a CONNACK may come before the answer.
func (c *client) alive() bool {
	c.trySend(pingreq)
	for {
		frame, err := c.read(c.t.patience)
		if err != nil || string(frame) == string(pingresp) {
			return err == nil
		}
	}
}

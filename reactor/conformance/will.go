package conformance

import (
	"net"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
)

func willCases() []testCase {
	var cases []testCase
	// Ways to end a connection that must publish the Will.
	for _, end := range []struct {
		name string
		end  func(c *client)
	}{
		{"FIN without DISCONNECT", func(c *client) { c.drop() }},
		{"half-closed without DISCONNECT", func(c *client) {
			require.NoError(c.t, c.conn.(*net.TCPConn).CloseWrite())
			c.expectClosed("FIN")
		}},
		{"RST", func(c *client) {
			require.NoError(c.t, c.conn.(*net.TCPConn).SetLinger(0))
			c.drop()
		}},
		{"FIN within a packet", func(c *client) {
			c.send([]byte{firstPublish, 100, 0, 1})
			c.drop()
		}},
		{"protocol error", func(c *client) {
			c.trySend(publish{topic: "#"}.packet())
			c.expectClosed("a protocol error")
		}},
		{"malformed packet", func(c *client) {
			c.trySend([]byte{0x00, 0x00})
			c.expectClosed("a malformed packet")
		}},
	} {
		cases = append(cases, testCase{rule: "MQTT-3.1.2-8", name: end.name, run: func(t *trial) {
			will := publish{topic: t.topic("will"), payload: "gone"}
			watcher := t.subscriber(will.topic)
			end.end(t.connect(connect{id: t.newID(), cleanSession: true, will: &will}))
			watcher.expectPublish(will)
			watcher.expectSilence(t.client()) // once only
		}})
	}
	cases = append(cases, willQoSCases()...)
	return append(cases,
		testCase{
			rule: "section-3.1.2.5", name: "empty Will Message",
			also: []string{"MQTT-3.1.2-8"}, run: func(t *trial) {
				watcher := t.subscriber(t.topic("will"))
				t.connect(connect{id: t.newID(), cleanSession: true, will: &publish{topic: t.topic("will")}}).drop()
				watcher.expectPublish(publish{topic: t.topic("will")})
			}},
		testCase{
			rule: "MQTT-3.14.4-3", name: "DISCONNECT discards the Will",
			also: []string{"MQTT-3.1.2-10", "MQTT-3.1.2-8"}, run: func(t *trial) {
				will := publish{topic: t.topic("will"), payload: "gone"}
				watcher := t.subscriber(will.topic)
				c := t.connect(connect{id: t.newID(), cleanSession: true, will: &will})
				c.leave()
				time.Sleep(grace)
				watcher.expectSilence(t.client())
			}},
		testCase{rule: "MQTT-3.14.4-3", name: "DISCONNECT and FIN at once discard the Will", run: func(t *trial) {
			will := publish{topic: t.topic("will"), payload: "gone"}
			watcher := t.subscriber(will.topic)
			c := t.connect(connect{id: t.newID(), cleanSession: true, will: &will})
			c.send(disconnect)
			c.drop()
			time.Sleep(grace)
			watcher.expectSilence(t.client())
		}},
		testCase{
			rule: "MQTT-3.1.2-12", name: "no Will after a connection without Will Flag",
			also: []string{"MQTT-3.1.2-10"}, run: func(t *trial) {
				will := publish{topic: t.topic("will"), payload: "gone"}
				watcher := t.subscriber(will.topic)
				id := t.newID()
				t.connect(connect{id: id, cleanSession: true, will: &will}).drop()
				watcher.expectPublish(will)
				c := t.connect(connect{id: id, cleanSession: true})
				require.NoError(t, c.conn.(*net.TCPConn).CloseWrite())
				c.expectClosed("FIN")
				time.Sleep(grace)
				watcher.expectSilence(t.client())
			}},
		testCase{rule: "MQTT-3.1.2-16", name: "Will Retain 0", run: func(t *trial) {
			will := publish{topic: t.topic("will"), payload: "gone"}
			watcher := t.subscriber(will.topic)
			t.connect(connect{id: t.newID(), cleanSession: true, will: &will}).drop()
			watcher.expectPublish(will)
			late := t.subscriber(will.topic)
			late.expectSilence(t.client())
		}},
		testCase{rule: "MQTT-3.1.2-17", name: "Will Retain 1", also: []string{"MQTT-3.3.1-9"}, run: func(t *trial) {
			will := publish{topic: t.topic("will"), payload: "gone", retain: true}
			watcher := t.subscriber(will.topic)
			t.connect(connect{id: t.newID(), cleanSession: true, will: &will}).drop()
			t.clearAtEnd(will.topic)
			watcher.expectPublish(publish{topic: will.topic, payload: "gone"})
			late := t.subscriber(will.topic)
			late.expectPublish(will)
		}},
		testCase{
			rule: "MQTT-3.1.2-17", name: "empty Will with Will Retain clears the topic",
			also: []string{"MQTT-3.3.1-10"}, run: func(t *trial) {
				topic := t.topic("will")
				t.retain(t.client(), publish{topic: topic, payload: "kept"})
				watcher := t.subscriber(topic)
				watcher.expectPublish(publish{topic: topic, payload: "kept", retain: true})
				t.connect(connect{id: t.newID(), cleanSession: true, will: &publish{topic: topic, retain: true}}).drop()
				watcher.expectPublish(publish{topic: topic})
				t.subscriber(topic).expectSilence(t.client())
			}},
		testCase{rule: "MQTT-3.1.2-8", name: "a Will comes after what its Client published", run: func(t *trial) {
			topic := t.topic("a")
			watcher := t.subscriber(topic)
			c := t.connect(connect{id: t.newID(), cleanSession: true, will: &publish{topic: topic, payload: "will"}})
			c.publish(publish{topic: topic, payload: "last"})
			c.drop()
			watcher.expectPublish(publish{topic: topic, payload: "last"}, publish{topic: topic, payload: "will"})
		}},
	)
}

// willQoSCases take each Will QoS with each QoS of the subscription.
func willQoSCases() []testCase {
	return slices.Concat(
		overQoS(testCase{
			rule: "MQTT-3.1.2-9", name: "Will QoS", also: []string{"MQTT-3.1.2-8", "MQTT-3.1.2-16", "MQTT-3.8.4-6"},
		}, func(t *trial, published, subscribed byte) {
			will := publish{topic: t.topic("will"), payload: "gone", qos: published}
			watcher := t.subscriberAt(subscribed, will.topic)
			t.connect(connect{id: t.newID(), cleanSession: true, will: &will}).drop()
			watcher.take(t.sent(will, subscribed))
			watcher.expectSilence(t.client())
			t.subscriberAt(subscribed, will.topic).expectSilence(t.client())
		}),
		overQoS(testCase{
			rule: "MQTT-3.1.2-17", name: "retained Will",
			also: []string{"MQTT-3.3.1-9", "MQTT-3.3.1-8", "MQTT-3.8.4-6"},
		}, func(t *trial, published, subscribed byte) {
			will := publish{topic: t.topic("will"), payload: "gone", qos: published, retain: true}
			t.clearAtEnd(will.topic)
			watcher := t.subscriberAt(subscribed, will.topic)
			t.connect(connect{id: t.newID(), cleanSession: true, will: &will}).drop()
			want := t.sent(will, subscribed)
			watcher.take(want)
			want.retain = true
			late := t.subscriberAt(subscribed, will.topic)
			late.take(want)
			late.expectSilence(t.client())
		}),
		overQoSSent(testCase{
			rule: "MQTT-3.1.2-8", name: "a Will is stored for an absent Client",
			also: []string{"MQTT-3.1.2-5"}, needs: needsSessions,
		}, func(t *trial, published, subscribed byte) {
			will := publish{topic: t.topic("will"), payload: "gone", qos: published}
			present, absent := t.subscriber(will.topic), t.persistent(subscription{will.topic, subscribed})
			absent.leave()
			t.connect(connect{id: t.newID(), cleanSession: true, will: &will}).drop()
			present.take(t.sent(will, 0))
			c := absent.resume()
			c.take(t.sent(will, subscribed))
			c.expectSilence(t.client())
		}),
		eachQoS(testCase{
			rule: "MQTT-3.1.2-8", name: "the Will of a Session goes out when it is taken over",
			also:  []string{"MQTT-3.1.4-2"},
			needs: needsSessions,
		}, 0, func(t *trial, qos byte) {
			will := publish{topic: t.topic("will"), payload: "gone", qos: qos}
			watcher := t.subscriberAt(qos, will.topic)
			p := connect{id: t.newID(), will: &will}
			t.endSession(p.id)
			old := t.connect(p)
			c := old.resume()
			old.expectClosed("a takeover")
			watcher.take(t.sent(will, qos))
			c.leave()
			watcher.expectSilence(t.client())
		}),
	)
}

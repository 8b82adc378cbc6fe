package conformance

import (
	"strconv"

	"github.com/stretchr/testify/require"
)

func publishCases() []testCase {
	cases := []testCase{
		{rule: "MQTT-3.3.1-2", name: "DUP with QoS 0", also: []string{"MQTT-4.8.0-1"}, run: func(t *trial) {
			c := t.client()
			c.trySend(publish{topic: t.topic("a"), dup: true}.packet())
			c.expectClosed("DUP with QoS 0")
		}},
		{rule: "MQTT-3.3.2-3", name: "the Topic Name is the published one", run: func(t *trial) {
			c := t.subscriber(t.topic("+/b/#"))
			c.publish(publish{topic: t.topic("a/b/c/d"), payload: "x"})
			c.expectPublish(publish{topic: t.topic("a/b/c/d"), payload: "x"})
		}},
		{rule: "MQTT-3.3.4-1", name: "QoS 0 has no response", run: func(t *trial) {
			c := t.client()
			c.publish(publish{topic: t.topic("a"), payload: "x"})
			c.ping()
		}},
		{rule: "MQTT-3.3.4-1", name: "QoS 1 gets PUBACK and QoS 2 PUBREC without any subscriber", run: func(t *trial) {
			c := t.client()
			c.send(publish{topic: t.topic("a"), qos: 1, id: 3}.packet())
			c.expect("PUBACK", acknowledge(firstPuback, 3))
			c.send(publish{topic: t.topic("a"), qos: 2, id: 4}.packet())
			c.expect("PUBREC", acknowledge(firstPubrec, 4))
			c.ping()
		}},
		{rule: "section-3.3.5", name: "overlapping subscriptions", also: []string{"MQTT-3.3.5-1"}, run: func(t *trial) {
			c := t.subscriber(t.topic("a/b"), t.topic("a/#"), t.topic("+/b"), t.topic("#"))
			by := t.client()
			by.publish(publish{topic: t.topic("a/b"), payload: "once"})
			c.expectPublish(publish{topic: t.topic("a/b"), payload: "once"})
			c.expectSilence(by)
		}},
		{rule: "section-3.3.5", name: "overlapping subscriptions in one SUBSCRIBE", run: func(t *trial) {
			c := t.client()
			c.subscribe(t.topic("a/b"), t.topic("a/+"), t.topic("#"))
			by := t.client()
			by.publish(publish{topic: t.topic("a/b"), payload: "once"})
			c.expectPublish(publish{topic: t.topic("a/b"), payload: "once"})
			c.expectSilence(by)
		}},
		{rule: "MQTT-3.3.5-1", name: "highest QoS of three overlapping subscriptions", run: func(t *trial) {
			c, by := t.client(), t.client()
			c.subscribeQoS(subscription{t.topic("#"), 0})
			c.subscribeQoS(subscription{t.topic("a/+"), 2})
			c.subscribeQoS(subscription{t.topic("a/b"), 1})
			by.give(publish{topic: t.topic("a/b"), payload: "x", qos: 2})
			require.Equal(t, t.granted(2), highestQoS(t, c.drain(by)))
		}},
		{rule: "MQTT-4.5.0-1", name: "every Client with a matching subscription", run: func(t *trial) {
			m := publish{topic: t.topic("a/b"), payload: "x"}
			var watchers []*client
			for _, filter := range []string{"a/b", "a/+", "#", "+/+", "a/b"} {
				watchers = append(watchers, t.subscriber(t.topic(filter)))
			}
			t.client().publish(m)
			for _, c := range watchers {
				c.expectPublish(m)
			}
		}},
		{rule: "MQTT-4.5.0-1", name: "the publisher itself", run: func(t *trial) {
			m := publish{topic: t.topic("a"), payload: "x"}
			c := t.subscriber(m.topic)
			c.publish(m)
			c.expectPublish(m)
		}},
		{rule: "MQTT-4.5.0-1", name: "one hundred subscribers", run: func(t *trial) {
			m := publish{topic: t.topic("a"), payload: pattern(2000)}
			watchers := make([]*client, 100)
			for i := range watchers {
				watchers[i] = t.subscriber(m.topic)
			}
			t.client().publish(m, m, m)
			for _, c := range watchers {
				c.expectPublish(m, m, m)
			}
		}},
	}
	for _, dup := range []bool{false, true} {
		name := "QoS 3"
		if dup {
			name = "QoS 3 with DUP"
		}
		cases = append(cases, testCase{rule: "MQTT-3.3.1-4", name: name, run: func(t *trial) {
			watcher := t.subscriber(t.topic("#"))
			c := t.client()
			c.trySend(publish{topic: t.topic("a"), qos: 3, dup: dup, id: 1}.packet())
			c.expectClosed(name)
			watcher.expectSilence(t.client())
		}})
	}
	for _, wildcard := range []string{"#", "+", "a/#", "a/+/b", "a#", "a+"} {
		cases = append(cases, testCase{
			rule: "MQTT-3.3.2-2", name: "PUBLISH to " + inName(wildcard),
			also: []string{"MQTT-4.7.1-1"}, run: func(t *trial) {
				watcher := t.subscriber(t.topic("#"))
				c := t.client()
				c.trySend(publish{topic: t.topic(wildcard), payload: "x"}.packet())
				c.expectClosed("a wildcard in a Topic Name")
				watcher.expectSilence(t.client())
			}})
	}
	for i, body := range []string{"", "\x00", "\x00\x05abcd", "\xFF\xFFa"} {
		cases = append(cases, testCase{
			rule: "MQTT-3.3.2-1", name: "Topic Name cut short, part " + strconv.Itoa(i+1),
			also: []string{"MQTT-4.8.0-1"}, run: func(t *trial) {
				c := t.client()
				c.trySend(packet(firstPublish, []byte(body)))
				c.expectClosed("a PUBLISH without a whole Topic Name")
			}})
	}
	for _, body := range []string{"\x00\x01a", "\x00\x01a\x01"} {
		cases = append(cases, testCase{
			rule: "MQTT-4.8.0-1", name: "PUBLISH at QoS 1 with " + strconv.Itoa(len(body)-3) + " bytes of Packet Identifier",
			run: func(t *trial) {
				c := t.client()
				c.trySend(packet(firstPublish|1<<1, []byte(body)))
				c.expectClosed("a PUBLISH without a whole Packet Identifier")
			}})
	}
	return cases
}

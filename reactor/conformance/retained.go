package conformance

import (
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"
)

func retainedCases() []testCase {
	return slices.Concat(retainedAtQoS0Cases(), retainedQoSCases())
}

// retainedQoSCases take each QoS of the retained message with each QoS of the subscription.
func retainedQoSCases() []testCase {
	return slices.Concat(
		overQoS(testCase{
			rule: "MQTT-3.3.1-6", name: "sent at the lower QoS with RETAIN 1",
			also: []string{"MQTT-3.3.1-5", "MQTT-3.3.1-8", "MQTT-3.8.4-6", "MQTT-3.1.2-7"},
		}, func(t *trial, published, subscribed byte) {
			by := t.client()
			m := publish{topic: t.topic("a/b"), payload: "kept", qos: published}
			t.retain(by, m)
			by.leave()
			by = t.client()
			want := t.sent(m, subscribed)
			want.retain = true
			for _, filter := range []string{"a/b", "a/+", "#"} {
				c := t.subscriberAt(subscribed, t.topic(filter))
				c.take(want)
				c.expectSilence(by)
			}
		}),
		overQoS(testCase{
			rule: "MQTT-3.3.1-9", name: "RETAIN 0 for an established subscription, and RETAIN 1 for a new one",
			also: []string{"MQTT-3.3.1-5", "MQTT-3.3.1-8"},
		}, func(t *trial, published, subscribed byte) {
			c, by := t.subscriberAt(subscribed, t.topic("a")), t.client()
			m := publish{topic: t.topic("a"), payload: "kept", qos: published}
			t.retain(by, m)
			want := t.sent(m, subscribed)
			c.take(want)
			c.expectSilence(by)
			want.retain = true
			c = t.subscriberAt(subscribed, t.topic("a"))
			c.take(want)
			c.expectSilence(by)
		}),
		overQoS(testCase{
			rule: "MQTT-3.3.1-10", name: "an empty message is delivered and clears",
			also: []string{"MQTT-3.3.1-11", "MQTT-3.3.1-9"},
		}, func(t *trial, published, subscribed byte) {
			by := t.client()
			m := publish{topic: t.topic("a"), payload: "kept", qos: 2}
			t.retain(by, m)
			c := t.subscriberAt(subscribed, t.topic("a"))
			want := t.sent(m, subscribed)
			want.retain = true
			c.take(want)
			m = publish{topic: t.topic("a"), qos: published}
			t.retain(by, m)
			c.take(t.sent(m, subscribed))
			c.expectSilence(by)
			t.subscriberAt(subscribed, t.topic("a")).expectSilence(by)
		}),
		overQoS(testCase{
			rule: "MQTT-3.3.1-12", name: "without RETAIN nothing is stored, replaced or removed",
		}, func(t *trial, published, subscribed byte) {
			by := t.client()
			kept := publish{topic: t.topic("kept"), payload: "kept", qos: 1}
			t.retain(by, kept)
			by.give(publish{topic: kept.topic, payload: "passing", qos: published}, publish{topic: kept.topic, qos: published},
				publish{topic: t.topic("none"), payload: "passing", qos: published})
			by.ping()
			c := t.subscriberAt(subscribed, t.topic("+"))
			want := t.sent(kept, subscribed)
			want.retain = true
			c.take(want)
			c.expectSilence(by)
		}),
		overQoSOfTwo(testCase{
			rule: "MQTT-3.3.1-7", name: "the last message replaces, with its QoS,", also: []string{"MQTT-3.3.1-6"},
		}, func(t *trial, first, second byte) {
			by := t.client()
			t.retain(by, publish{topic: t.topic("a"), payload: "first", qos: first})
			m := publish{topic: t.topic("a"), payload: "second", qos: second}
			t.retain(by, m)
			c := t.subscriberAt(2, t.topic("a"))
			want := t.sent(m, 2)
			want.retain = true
			c.take(want)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.3.1-6", name: "a retained message, then what is published afterwards",
			also: []string{"MQTT-4.6.0-6"},
		}, 0, func(t *trial, qos byte) {
			by := t.client()
			m := publish{topic: t.topic("a"), payload: "kept", qos: qos, retain: true}
			t.retain(by, m)
			c := t.subscriberAt(qos, m.topic)
			live := publish{topic: m.topic, payload: "live", qos: qos}
			by.give(live)
			c.take(m, live)
			c.expectSilence(by)
		}),
		manyRetainedCases(),
		overQoSOfTwo(testCase{
			rule: "MQTT-3.8.4-4", name: "retained messages for each of two overlapping filters",
			also: []string{"MQTT-3.3.1-6"},
		}, func(t *trial, first, second byte) {
			by := t.client()
			m := publish{topic: t.topic("a"), payload: "kept", qos: 2}
			t.retain(by, m)
			c := t.client()
			c.subscribeQoS(subscription{t.topic("a"), first}, subscription{t.topic("+"), second})
			wantFirst, wantSecond := t.sent(m, first), t.sent(m, second)
			wantFirst.retain, wantSecond.retain = true, true
			c.takeSet(wantFirst, wantSecond)
			c.expectSilence(by)
		}),
	)
}

// manyRetainedCases find more retained messages than a broker sends without acknowledgement.
func manyRetainedCases() []testCase {
	const count = 100
	// retained stores them below a/ and returns them as they are sent on SUBSCRIBE.
	retained := func(t *trial, by *client, qos byte) []publish {
		kept := make([]publish, count)
		for i := range kept {
			kept[i] = publish{topic: t.topic("a/" + strconv.Itoa(i)), payload: strconv.Itoa(i), qos: qos, retain: true}
		}
		t.retain(by, kept...)
		return kept
	}
	return slices.Concat(
		eachQoS(testCase{
			rule: "MQTT-3.3.1-6", name: "a hundred retained messages", also: []string{"MQTT-2.3.1-4"},
		}, 0, func(t *trial, qos byte) {
			by := t.client()
			kept := retained(t, by, qos)
			c := t.subscriberAt(qos, t.topic("a/+"))
			c.takeSet(kept...)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.3.1-6", name: "a hundred retained messages for a Client that acknowledges late",
			also: []string{"MQTT-4.5.0-1"},
		}, 1, func(t *trial, qos byte) {
			by := t.client()
			kept := retained(t, by, qos)
			c := t.subscriberAt(qos, t.topic("#"))
			live := publish{topic: t.topic("b"), payload: "live", qos: qos}
			by.give(live)
			c.send(pingreq)
			c.expectAfterPublishes("PINGRESP", pingresp)
			c.takeSet(append(kept, live)...)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.3.1-6", name: "a hundred retained messages come after all when the connection breaks",
			also: []string{"MQTT-3.1.2-4", "MQTT-4.4.0-1", "MQTT-4.1.0-1"}, needs: needsSessions,
		}, 1, func(t *trial, qos byte) {
			by := t.client()
			kept := retained(t, by, qos)
			c := t.persistent(subscription{t.topic("a/+"), qos})
			for range unacknowledgedMin {
				c.nextPublish()
			}
			c.drop()
			c = c.resume()
			missing := map[string]bool{}
			for _, m := range kept {
				missing[m.topic] = true
			}
			for range kept {
				m := c.nextPublish()
				c.accept(m.qos, m.id)
				require.True(t, missing[m.topic] && m.retain && m.qos == qos, "got %s", show(m.packet()))
				delete(missing, m.topic)
			}
			c.expectSilence(by)
		}),
	)
}

func retainedAtQoS0Cases() []testCase {
	return []testCase{
		{
			rule: "MQTT-3.3.1-5", name: "stored for a future subscriber",
			also: []string{"MQTT-3.3.1-6", "MQTT-3.3.1-8", "MQTT-3.1.2-7"}, run: func(t *trial) {
				m := publish{topic: t.topic("a/b"), payload: "kept", retain: true}
				by := t.client()
				t.retain(by, m)
				by.leave()
				for _, filter := range []string{"a/b", "a/+", "+/b", "#", "a/b/#"} {
					t.subscriber(t.topic(filter)).expectPublish(m)
				}
			}},
		{rule: "MQTT-3.3.1-6", name: "the last of each matching topic and no other", run: func(t *trial) {
			by := t.client()
			var kept []publish
			for i := range 30 {
				m := publish{topic: t.topic("a/" + strconv.Itoa(i)), payload: strconv.Itoa(i), retain: true}
				kept = append(kept, m)
				t.retain(by, publish{topic: m.topic, payload: "old"}, m)
			}
			t.retain(by, publish{topic: t.topic("b/1"), payload: "other"}, publish{topic: t.topic("a"), payload: "above"},
				publish{topic: t.topic("a/1/c"), payload: "below"})
			c := t.subscriber(t.topic("a/+"))
			c.expectPublishSet(kept...)
			c.expectSilence(by)
		}},
		{rule: "MQTT-3.3.1-6", name: "as large as messages may be", run: func(t *trial) {
			m := publish{topic: t.topic("a"), payload: pattern(65536), retain: true}
			t.retain(t.client(), m)
			t.subscriber(m.topic).expectPublish(m)
		}},
		{rule: "MQTT-3.3.1-6", name: "before what is published afterwards", run: func(t *trial) {
			by := t.client()
			m := publish{topic: t.topic("a"), payload: "kept", retain: true}
			t.retain(by, m)
			c := t.subscriber(m.topic)
			by.publish(publish{topic: m.topic, payload: "live"})
			c.expectPublish(m, publish{topic: m.topic, payload: "live"})
		}},
		{rule: "MQTT-3.3.1-7", name: "a QoS 0 message replaces", run: func(t *trial) {
			by := t.client()
			t.retain(by, publish{topic: t.topic("a"), payload: "first"}, publish{topic: t.topic("a"), payload: "second"})
			c := t.subscriber(t.topic("a"))
			c.expectPublish(publish{topic: t.topic("a"), payload: "second", retain: true})
			c.expectSilence(by)
		}},
		{
			rule: "section-3.3.1.3", name: "published at QoS 1 and 2",
			also: []string{"MQTT-3.3.1-5", "MQTT-3.8.4-6"}, run: func(t *trial) {
				by := t.client()
				t.clearAtEnd(t.topic("1"))
				t.clearAtEnd(t.topic("2"))
				by.send(publish{topic: t.topic("1"), payload: "one", qos: 1, id: 1, retain: true}.packet())
				by.expect("PUBACK", acknowledge(firstPuback, 1))
				by.send(publish{topic: t.topic("2"), payload: "two", qos: 2, id: 2, retain: true}.packet())
				by.expect("PUBREC", acknowledge(firstPubrec, 2))
				by.send(acknowledge(firstPubrel, 2))
				by.expect("PUBCOMP", acknowledge(firstPubcomp, 2))
				t.subscriber(t.topic("+")).expectPublishSet(publish{topic: t.topic("1"), payload: "one", retain: true},
					publish{topic: t.topic("2"), payload: "two", retain: true})
			}},
		{rule: "MQTT-3.3.1-9", name: "RETAIN 0 for an established subscription", run: func(t *trial) {
			c := t.subscriber(t.topic("a"))
			by := t.client()
			t.retain(by, publish{topic: t.topic("a"), payload: "first"}, publish{topic: t.topic("a"), payload: "second"})
			c.expectPublish(publish{topic: t.topic("a"), payload: "first"}, publish{topic: t.topic("a"), payload: "second"})
			c.expectSilence(by)
		}},
		{rule: "MQTT-3.3.1-10", name: "an empty message clears", also: []string{"MQTT-3.3.1-11"}, run: func(t *trial) {
			by := t.client()
			t.retain(by, publish{topic: t.topic("a"), payload: "kept"})
			c := t.subscriber(t.topic("a"))
			c.expectPublish(publish{topic: t.topic("a"), payload: "kept", retain: true})
			t.retain(by, publish{topic: t.topic("a")})
			c.expectPublish(publish{topic: t.topic("a")})
			t.subscriber(t.topic("a")).expectSilence(by)
			t.subscriber(t.topic("#")).expectSilence(by)
		}},
		{rule: "MQTT-3.3.1-10", name: "an empty message at QoS 1 clears", run: func(t *trial) {
			by := t.client()
			t.retain(by, publish{topic: t.topic("a"), payload: "kept"})
			by.send(publish{topic: t.topic("a"), qos: 1, id: 1, retain: true}.packet())
			by.expect("PUBACK", acknowledge(firstPuback, 1))
			t.subscriber(t.topic("a")).expectSilence(by)
		}},
		{rule: "MQTT-3.3.1-10", name: "clearing leaves the neighbours", run: func(t *trial) {
			by := t.client()
			above := publish{topic: t.topic("a"), payload: "above", retain: true}
			below := publish{topic: t.topic("a/b/c"), payload: "below", retain: true}
			t.retain(by, above, publish{topic: t.topic("a/b"), payload: "kept"}, below)
			t.retain(by, publish{topic: t.topic("a/b")})
			c := t.subscriber(t.topic("#"))
			c.expectPublishSet(above, below)
			c.expectSilence(by)
		}},
		{rule: "MQTT-3.3.1-11", name: "an empty message is not stored", run: func(t *trial) {
			by := t.client()
			t.retain(by, publish{topic: t.topic("a")})
			t.subscriber(t.topic("a")).expectSilence(by)
		}},
		{rule: "MQTT-3.3.1-12", name: "without RETAIN nothing is stored", run: func(t *trial) {
			by := t.client()
			by.publish(publish{topic: t.topic("a"), payload: "passing"})
			by.ping()
			t.subscriber(t.topic("a")).expectSilence(by)
		}},
		{rule: "MQTT-3.3.1-12", name: "without RETAIN nothing is replaced or removed", run: func(t *trial) {
			by := t.client()
			m := publish{topic: t.topic("a"), payload: "kept", retain: true}
			t.retain(by, m)
			by.publish(publish{topic: m.topic, payload: "passing"}, publish{topic: m.topic})
			by.ping()
			t.subscriber(m.topic).expectPublish(m)
		}},
		{rule: "MQTT-3.1.2-7", name: "retained messages outlive a connection that broke", run: func(t *trial) {
			m := publish{topic: t.topic("a"), payload: "kept", retain: true}
			by := t.client()
			t.retain(by, m)
			by.drop()
			t.subscriber(m.topic).expectPublish(m)
		}},
		{
			rule: "section-4.7.2", name: "a leading wildcard does not find retained topics that begin with $",
			also: []string{"MQTT-4.7.2-1"}, run: func(t *trial) {
				by := t.client()
				hidden := publish{topic: "$" + t.token + "/a", payload: "hidden", retain: true}
				seen := publish{topic: t.topic("a"), payload: "seen", retain: true}
				t.retain(by, hidden, seen)
				c := t.client()
				c.only = t.token
				c.subscribe("#")
				c.expectPublish(seen)
				c.subscribe("+/a")
				c.expectPublish(seen)
				by.publish(publish{topic: t.topic("end")})
				c.expectPublish(publish{topic: t.topic("end")})
			}},
	}
}

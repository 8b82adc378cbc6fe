package conformance

import (
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"
)

func orderCases() []testCase {
	return slices.Concat(orderAtQoS0Cases(), orderQoSCases())
}

// orderQoSCases take each QoS of the messages with each QoS of the subscription. The publisher sends all of them at
// once, and so each kind of acknowledgement.
func orderQoSCases() []testCase {
	return slices.Concat(
		overQoS(testCase{
			rule: "MQTT-4.6.0-6", name: "sent at once",
			also: []string{"MQTT-4.6.0-2", "MQTT-4.6.0-3", "MQTT-4.6.0-5", "MQTT-2.3.1-6"},
		}, func(t *trial, published, subscribed byte) {
			readers := []*client{t.subscriberAt(subscribed, t.topic("a")), t.subscriberAt(subscribed, t.topic("#"))}
			by := t.client()
			messages := numbered(t.topic("a"), published, 15)
			by.giveAtOnce(messages...)
			for _, c := range readers {
				for _, m := range messages {
					c.take(t.sent(m, subscribed))
				}
				c.expectSilence(by)
			}
		}),
		overQoS(testCase{
			rule: "MQTT-4.6.0-6", name: "of four publishers at once",
		}, func(t *trial, published, subscribed byte) {
			const publishers, each = 4, 15
			c := t.subscriberAt(subscribed, t.topic("#"))
			var left [publishers][]publish
			for i := range left {
				left[i] = numbered(t.topic(strconv.Itoa(i)), published, each)
				t.client().giveAtOnce(left[i]...)
			}
			for range publishers * each {
				m := c.nextPublish()
				c.accept(m.qos, m.id)
				i := int(m.topic[len(m.topic)-1] - '0')
				require.NotEmpty(t, left[i], "too many messages")
				want := t.sent(left[i][0], subscribed)
				want.id = m.id
				require.Equal(t, show(want.packet()), show(m.packet()))
				left[i] = left[i][1:]
			}
		}),
		[]testCase{{
			rule: "MQTT-4.6.0-2", name: "acknowledgements of QoS 1 and 2 side by side",
			also: []string{"MQTT-4.6.0-3"}, run: func(t *trial) {
				by := t.client()
				var packets [][]byte
				var want, got [2][]string
				for i := range uint16(20) {
					id := 1000 - i*3
					m := publish{topic: t.topic("a"), qos: 1 + byte(i%2), id: id}
					packets = append(packets, m.packet())
					want[i%2] = append(want[i%2], show(acknowledge([]byte{firstPuback, firstPubrec}[i%2], id)))
				}
				by.send(packets...)
				for range packets {
					frame := by.next("PUBACK or PUBREC")
					kind := int(frame[0]>>4 - firstPuback>>4)
					require.Less(t, kind, 2, "expected PUBACK or PUBREC, got %s", show(frame))
					got[kind] = append(got[kind], show(frame))
				}
				require.Equal(t, want, got)
			}}},
	)
}

// giveAtOnce publishes the messages in one piece, of one QoS, and expects their acknowledgements in order.
func (c *client) giveAtOnce(messages ...publish) {
	var packets [][]byte
	var ids []uint16
	for i, m := range messages {
		m.id = 60000 - uint16(i)
		packets, ids = append(packets, m.packet()), append(ids, m.id)
	}
	c.send(packets...)
	switch messages[0].qos {
	case 1:
		for _, id := range ids {
			c.expect("PUBACK", acknowledge(firstPuback, id))
		}
	case 2:
		for _, id := range ids {
			c.expect("PUBREC", acknowledge(firstPubrec, id))
		}
		c.send(acknowledgements(firstPubrel, ids)...)
		for _, id := range ids {
			c.expect("PUBCOMP", acknowledge(firstPubcomp, id))
		}
	}
}

func orderAtQoS0Cases() []testCase {
	return []testCase{
		{rule: "MQTT-4.6.0-6", name: "QoS 0", also: []string{"MQTT-4.6.0-5"}, run: func(t *trial) {
			watchers := []*client{t.subscriber(t.topic("a")), t.subscriber(t.topic("#")), t.subscriber(t.topic("+"))}
			c := t.client()
			var sent []publish
			for i := range 500 {
				sent = append(sent, publish{topic: t.topic("a"), payload: strconv.Itoa(i)})
			}
			for i := 0; i < len(sent); i += 50 {
				c.publish(sent[i : i+50]...)
			}
			for _, watcher := range watchers {
				watcher.expectPublish(sent...)
			}
		}},
		{rule: "MQTT-4.6.0-6", name: "QoS 1", also: []string{"MQTT-4.6.0-2"}, run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			c := t.client()
			var packets [][]byte
			var sent []publish
			for i := range uint16(100) {
				m := publish{topic: t.topic("a"), payload: strconv.Itoa(int(i)), qos: 1, id: 1000 - i}
				packets = append(packets, m.packet())
				sent = append(sent, publish{topic: m.topic, payload: m.payload})
			}
			c.send(packets...)
			for i := range uint16(100) {
				c.expect("PUBACK", acknowledge(firstPuback, 1000-i))
			}
			watcher.expectPublish(sent...)
		}},
		{
			rule: "MQTT-4.6.0-3", name: "PUBREC in the order of PUBLISH",
			also: []string{"MQTT-4.6.0-6"}, run: func(t *trial) {
				watcher := t.subscriber(t.topic("a"))
				c := t.client()
				var packets [][]byte
				var sent []publish
				for i := range uint16(10) {
					m := publish{topic: t.topic("a"), payload: strconv.Itoa(int(i)), qos: 2, id: 1000 - i}
					packets = append(packets, m.packet())
					sent = append(sent, publish{topic: m.topic, payload: m.payload})
				}
				c.send(packets...)
				for i := range uint16(10) {
					c.expect("PUBREC", acknowledge(firstPubrec, 1000-i))
				}
				for i := range uint16(10) {
					c.release(1000 - i)
				}
				watcher.expectPublish(sent...)
			}},
		{rule: "MQTT-4.6.0-6", name: "each of four publishers", run: func(t *trial) {
			const publishers, each = 4, 100
			watcher := t.subscriber(t.topic("a"))
			for p := range publishers {
				c := t.client()
				var sent []publish
				for i := range each {
					sent = append(sent, publish{topic: t.topic("a"), payload: strconv.Itoa(p) + " " + strconv.Itoa(i)})
				}
				c.publish(sent...)
			}
			next := map[string]int{}
			for range publishers * each {
				got := watcher.nextPublish()
				if want := got.payload[:2] + strconv.Itoa(next[got.payload[:2]]); got.payload != want {
					t.Errorf("got %q, expected %q next of this publisher", got.payload, want)
					t.FailNow()
				}
				next[got.payload[:2]]++
			}
		}},
	}
}

package conformance

import (
	"fmt"
	"slices"
)

// payloadSizes are those of messages as they occur: a device's description, a list of them, a picture, firmware.
var payloadSizes = []int{25_000, 100_000, 300_000, 900_000}

// payloadCases hold the broker to every byte of a long message, whatever happens to it before it is delivered.
func payloadCases() []testCase {
	const largest = 900_000
	cases := slices.Concat(
		eachQoS(testCase{
			rule: "MQTT-3.1.2-5", name: "900000 bytes wait for an absent Client",
			needs: needsSessions | needsMegabyte,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			c.leave()
			m := publish{topic: t.topic("a"), payload: pattern(largest), qos: qos}
			by.give(m)
			c.resume().take(m)
		}),
		eachQoS(testCase{
			rule: "MQTT-4.4.0-1", name: "900000 bytes are re-sent", needs: needsSessions | needsMegabyte,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			m := publish{topic: t.topic("a"), payload: pattern(largest), qos: qos}
			by.give(m)
			m.id = c.expectMessage(m)
			c.drop()
			m.dup = true
			c.resume().take(m)
		}),
		eachQoS(testCase{
			rule: "MQTT-3.3.1-6", name: "900000 bytes retained", needs: needsMegabyte,
		}, 0, func(t *trial, qos byte) {
			m := publish{topic: t.topic("a"), payload: pattern(largest), qos: qos, retain: true}
			t.retain(t.client(), m)
			t.subscriberAt(qos, m.topic).take(m)
		}),
		eachQoS(testCase{
			rule: "MQTT-4.3.3-2", name: "900000 bytes repeated", needs: needsMegabyte,
		}, 0, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			m := publish{topic: t.topic("a"), payload: pattern(largest), qos: 2, id: 1}
			by.publishQoS2(m)
			m.dup = true
			by.publishQoS2(m)
			by.release(1)
			c.take(t.sent(m, qos))
			c.expectSilence(by)
		}),
	)
	for _, size := range payloadSizes {
		cases = append(cases, eachQoS(testCase{
			rule: "MQTT-3.8.4-6", name: fmt.Sprintf("payload of %d bytes", size), needs: needsMegabyte,
		}, 0, func(t *trial, qos byte) {
			readers := []*client{t.subscriberAt(qos, t.topic("a")), t.subscriberAt(qos, t.topic("+"))}
			by := t.client()
			m := publish{topic: t.topic("a"), payload: pattern(size), qos: qos}
			for range 2 {
				by.give(m)
				for _, c := range readers {
					c.take(m)
					c.ping() // the broker may bound the bytes that wait: it has read the acknowledgement
				}
			}
			for _, c := range readers {
				c.expectSilence(by)
			}
		})...)
	}
	return cases
}

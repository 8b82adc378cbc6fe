package conformance

import (
	"fmt"
	"strings"
)

func frameCases() []testCase {
	cases := []testCase{
		{rule: "section-2.2.3", name: "Remaining Length with a fifth byte", run: func(t *trial) {
			for _, length := range []string{"\x80\x80\x80\x80\x01", "\xFF\xFF\xFF\xFF\x7F"} {
				c := t.client()
				c.trySend([]byte{firstPublish}, []byte(length))
				c.expectClosed("a Remaining Length of five bytes")
			}
		}},
		{rule: "section-2.2.3", name: "fifth byte in CONNECT", run: func(t *trial) {
			c := t.dial()
			c.trySend([]byte{firstConnect, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F})
			c.expectClosed("a Remaining Length of five bytes")
		}},
		{rule: "section-2.2.3", name: "a packet above the Server's limit", needs: needsPacketLimit, run: func(t *trial) {
			c := t.client()
			// The fixed header alone: the broker need not wait for the body to see that it is too long.
			c.trySend([]byte{firstPublish}, remainingLength(t.target.MaxPacketBytes+1))
			c.expectClosed("a packet announced as too large")
		}},
		{rule: "section-2.2.3", name: "a packet at the Server's limit", needs: needsPacketLimit, run: func(t *trial) {
			p := publish{topic: t.topic("a")}
			header := 1 + len(remainingLength(t.target.MaxPacketBytes-1))
			p.payload = strings.Repeat("x", t.target.MaxPacketBytes-header-len(text(p.topic)))
			c := t.client()
			c.send(p.packet())
			c.ping()
		}},
		{rule: "MQTT-7.1.1-1", name: "one byte at a time", run: func(t *trial) {
			topic := t.topic("a")
			c := t.dial()
			for _, b := range join(connect{id: t.newID(), cleanSession: true}.packet(),
				subscribe(1, subscription{filter: topic}),
				publish{topic: topic, payload: strings.Repeat("x", 200)}.packet(), pingreq) {
				c.send([]byte{b})
			}
			c.expectConnack(0, accepted)
			c.expectAfterPublishes("SUBACK", suback(1, 0))
			c.expectBoth(publish{topic: topic, payload: strings.Repeat("x", 200)}.packet(), pingresp)
		}},
		{rule: "MQTT-7.1.1-1", name: "packets cut at every byte", run: func(t *trial) {
			topic := t.topic("a")
			c := t.subscriber(topic)
			pair := join(publish{topic: topic, payload: "first"}.packet(), publish{topic: topic, payload: "second"}.packet())
			for cut := range pair {
				c.send(pair[:cut])
				c.send(pair[cut:])
				c.expectPublish(publish{topic: topic, payload: "first"}, publish{topic: topic, payload: "second"})
			}
		}},
	}
	for _, size := range []int{0, 1, 127, 128, 16383, 16384, 65535, 65536} {
		cases = append(cases, testCase{
			rule: "section-2.2.3", name: fmt.Sprintf("payload of %d bytes", size),
			run: func(t *trial) {
				m := publish{topic: t.topic("a"), payload: pattern(size)}
				c := t.subscriber(m.topic)
				c.publish(m)
				c.expectPublish(m)
			}})
	}
	for _, size := range []int{127, 128, 16383, 16384} {
		cases = append(cases, testCase{
			rule: "section-2.2.3", name: fmt.Sprintf("Remaining Length of %d", size),
			run: func(t *trial) {
				m := publish{topic: t.topic("a")}
				m.payload = pattern(size - len(text(m.topic)))
				c := t.subscriber(m.topic)
				c.publish(m)
				c.expectPublish(m)
			}})
	}
	return cases
}

// pattern returns size bytes that show a shift or a gap: the byte at i is a function of i that has no short period.
func pattern(size int) string {
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(i*31 + i/251)
	}
	return string(payload)
}

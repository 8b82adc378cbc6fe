package conformance

import "github.com/stretchr/testify/require"

// nextPublish returns the next packet, which must be a PUBLISH.
func (c *client) nextPublish() publish {
	frame := c.next("PUBLISH")
	require.EqualValues(c.t, firstPublish, frame[0]&0xF0, "expected PUBLISH, got %s", show(frame))
	p, ok := parsePublish(frame)
	require.True(c.t, ok, "a whole PUBLISH")
	return p
}

// expectQoS checks the next message, and that it has a Packet Identifier, which it returns.
func (c *client) expectQoS(want publish) uint16 {
	got := c.nextPublish()
	require.NotZero(c.t, got.id, "Packet Identifier")
	want.id = got.id
	require.Equal(c.t, show(want.packet()), show(got.packet()))
	return got.id
}

// outboundQoSCases hold a broker that grants QoS 1 or 2 to what it then sends.
func outboundQoSCases() []testCase {
	return []testCase{
		{
			rule: "MQTT-4.3.2-1", name: "sent with an unused identifier and DUP 0",
			also: []string{"MQTT-2.3.1-4"}, needs: needsQoS1, run: func(t *trial) {
				c := t.client()
				c.subscribeQoS(subscription{t.topic("a"), 1})
				by := t.client()
				seen := map[uint16]bool{}
				for i := range uint16(5) {
					by.publishQoS1(publish{topic: t.topic("a"), payload: pattern(int(i)), id: i + 1})
					id := c.expectQoS(publish{topic: t.topic("a"), payload: pattern(int(i)), qos: 1})
					require.False(t, seen[id], "an identifier in use is given again")
					seen[id] = true
				}
				for id := range seen {
					c.send(acknowledge(firstPuback, id))
				}
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-4.3.3-1", name: "PUBREL follows PUBREC",
			also: []string{"MQTT-4.6.0-4"}, needs: needsQoS2, run: func(t *trial) {
				c := t.client()
				c.subscribeQoS(subscription{t.topic("a"), 2})
				by := t.client()
				var ids []uint16
				for i := range uint16(5) {
					by.publishQoS2(publish{topic: t.topic("a"), payload: pattern(int(i)), id: i + 1})
					by.release(i + 1)
					ids = append(ids, c.expectQoS(publish{topic: t.topic("a"), payload: pattern(int(i)), qos: 2}))
				}
				for _, id := range ids {
					c.send(acknowledge(firstPubrec, id))
				}
				for _, id := range ids {
					c.expect("PUBREL", acknowledge(firstPubrel, id))
					c.send(acknowledge(firstPubcomp, id))
				}
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-3.10.4-3", name: "a delivery begun is completed after UNSUBSCRIBE",
			needs: needsQoS2, run: func(t *trial) {
				c := t.client()
				c.subscribeQoS(subscription{t.topic("a"), 2})
				by := t.client()
				by.publishQoS2(publish{topic: t.topic("a"), payload: "x", id: 1})
				by.release(1)
				id := c.expectQoS(publish{topic: t.topic("a"), payload: "x", qos: 2})
				c.unsubscribe(t.topic("a"))
				c.send(acknowledge(firstPubrec, id))
				c.expect("PUBREL", acknowledge(firstPubrel, id))
				c.send(acknowledge(firstPubcomp, id))
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-3.3.1-1", name: "DUP on re-delivery",
			also: []string{"MQTT-2.3.1-4", "MQTT-4.4.0-1", "MQTT-4.6.0-1"}, needs: needsSessionsQoS1, run: func(t *trial) {
				id := t.newID()
				t.endSession(id)
				c := t.connect(connect{id: id})
				c.subscribeQoS(subscription{t.topic("a"), 1})
				by := t.client()
				var ids []uint16
				for i := range uint16(3) {
					by.publishQoS1(publish{topic: t.topic("a"), payload: pattern(int(i)), id: i + 1})
					ids = append(ids, c.expectQoS(publish{topic: t.topic("a"), payload: pattern(int(i)), qos: 1}))
				}
				c.drop()
				c = t.resume(id)
				for i, packetID := range ids {
					c.expectPublish(publish{topic: t.topic("a"), payload: pattern(i), qos: 1, dup: true, id: packetID})
					c.send(acknowledge(firstPuback, packetID))
				}
			}},
		{
			rule: "MQTT-4.4.0-1", name: "an unacknowledged PUBREL is re-sent",
			also: []string{"MQTT-4.3.3-1"}, needs: needsSessionsQoS2, run: func(t *trial) {
				id := t.newID()
				t.endSession(id)
				c := t.connect(connect{id: id})
				c.subscribeQoS(subscription{t.topic("a"), 2})
				by := t.client()
				by.publishQoS2(publish{topic: t.topic("a"), payload: "x", id: 1})
				by.release(1)
				packetID := c.expectQoS(publish{topic: t.topic("a"), payload: "x", qos: 2})
				c.send(acknowledge(firstPubrec, packetID))
				c.expect("PUBREL", acknowledge(firstPubrel, packetID))
				c.drop()
				c = t.resume(id)
				c.expect("PUBREL", acknowledge(firstPubrel, packetID))
				c.send(acknowledge(firstPubcomp, packetID))
				c.ping()
			}},
	}
}

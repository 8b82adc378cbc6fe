package conformance

import (
	"strconv"

	"github.com/stretchr/testify/require"
)

// sent is the message as a subscriber with an established subscription gets it that asked for QoS subscribed.
func (t *trial) sent(m publish, subscribed byte) publish {
	return publish{topic: m.topic, payload: m.payload, qos: min(m.qos, t.granted(subscribed))}
}

// publish sends messages at QoS 0.
func (c *client) publish(messages ...publish) {
	packets := make([][]byte, len(messages))
	for i, m := range messages {
		packets[i] = m.packet()
	}
	c.send(packets...)
}

// publishQoS1 completes the exchange.
func (c *client) publishQoS1(m publish) {
	m.qos = 1
	c.send(m.packet())
	c.expectAfterPublishes("PUBACK", acknowledge(firstPuback, m.id))
}

// publishQoS2 completes the exchange up to PUBREC.
func (c *client) publishQoS2(m publish) {
	m.qos = 2
	c.send(m.packet())
	c.expectAfterPublishes("PUBREC", acknowledge(firstPubrec, m.id))
}

// release completes a QoS 2 exchange.
func (c *client) release(id uint16) {
	c.send(acknowledge(firstPubrel, id))
	c.expectAfterPublishes("PUBCOMP", acknowledge(firstPubcomp, id))
}

// give publishes each message at its own QoS and completes the exchange before the next. A message above QoS 0
// without Packet Identifier gets one.
func (c *client) give(messages ...publish) {
	for _, m := range messages {
		if m.qos > 0 && m.id == 0 {
			m.id = c.newID()
		}
		switch m.qos {
		case 0:
			c.publish(m)
		case 1:
			c.publishQoS1(m)
		case 2:
			c.publishQoS2(m)
			c.release(m.id)
		}
	}
}

// nextPublish returns the next packet, which must be a PUBLISH.
func (c *client) nextPublish() publish {
	frame := c.next("PUBLISH")
	require.EqualValues(c.t, firstPublish, frame[0]&0xF0, "expected PUBLISH, got %s", show(frame))
	p, ok := parsePublish(frame)
	require.True(c.t, ok, "a whole PUBLISH")
	return p
}

// expectMessage checks the next message and acknowledges nothing. Above QoS 0 it must have a Packet Identifier, which
// is returned; where want names one, it must be that.
func (c *client) expectMessage(want publish) uint16 {
	got := c.nextPublish()
	if want.id == 0 && want.qos > 0 {
		require.NotZero(c.t, got.id, "Packet Identifier of %s", show(got.packet()))
		want.id = got.id
	}
	if string(got.packet()) != string(want.packet()) {
		c.t.Errorf("expected %s\n     got: %s", show(want.packet()), show(got.packet()))
		c.t.FailNow()
	}
	return got.id
}

// expectMessages is expectMessage for each.
func (c *client) expectMessages(messages ...publish) (ids []uint16) {
	for _, m := range messages {
		ids = append(ids, c.expectMessage(m))
	}
	return ids
}

// take checks that the messages are the next to come, in this order, and completes the exchange of each.
func (c *client) take(messages ...publish) {
	for _, m := range messages {
		id := c.expectMessage(m)
		c.accept(m.qos, id)
	}
}

// takeAgain is take for messages that may have been sent before: DUP is as the broker likes.
func (c *client) takeAgain(messages ...publish) {
	for _, m := range messages {
		got := c.nextPublish()
		m.dup, m.id = got.dup, got.id
		require.Equal(c.t, show(m.packet()), show(got.packet()))
		c.accept(got.qos, got.id)
	}
}

// takeSet checks that the messages are the next to come, in any order, and completes the exchange of each.
func (c *client) takeSet(messages ...publish) {
	want, got := map[string]int{}, map[string]int{}
	for _, m := range messages {
		want[show(m.packet())]++
	}
	for range messages {
		m := c.nextPublish()
		if m.qos > 0 {
			require.NotZero(c.t, m.id, "Packet Identifier of %s", show(m.packet()))
		}
		c.accept(m.qos, m.id)
		m.id = 0
		got[show(m.packet())]++
	}
	require.Equal(c.t, want, got)
}

// accept completes the exchange of a message that has come.
func (c *client) accept(qos byte, id uint16) {
	switch qos {
	case 1:
		c.send(acknowledge(firstPuback, id))
	case 2:
		c.send(acknowledge(firstPubrec, id))
		c.expectAfterPublishes("PUBREL", acknowledge(firstPubrel, id))
		c.send(acknowledge(firstPubcomp, id))
	}
}

// numbered returns count messages for one topic, numbered from 0.
func numbered(topic string, qos byte, count int) []publish {
	messages := make([]publish, count)
	for i := range messages {
		messages[i] = publish{topic: topic, payload: "number " + strconv.Itoa(i), qos: qos}
	}
	return messages
}

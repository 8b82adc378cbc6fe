package conformance

import (
	"slices"

	"github.com/stretchr/testify/require"
)

// unacknowledgedMin is how many messages above QoS 0 each broker is expected to send to a Client that acknowledges
// none; chosen, few enough for those brokers that were looked at.
const unacknowledgedMin = 6

// inflightCases hold the broker to the messages that are on their way: their Packet Identifiers, their number, their
// acknowledgement.
func inflightCases() []testCase {
	return slices.Concat(packetIdentifierCases(), windowCases(), acknowledgementCases(), wrongAcknowledgementCases())
}

func packetIdentifierCases() []testCase {
	return slices.Concat(
		eachQoS(testCase{
			rule: "MQTT-4.3.2-1", name: "sent with an unused identifier and DUP 0",
			also: []string{"MQTT-2.3.1-4", "MQTT-4.3.3-1"},
		}, 1, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			messages := numbered(t.topic("a"), qos, unacknowledgedMin)
			by.give(messages...)
			ids := c.expectMessages(messages...)
			requireDistinct(t, ids)
			for _, id := range ids {
				c.accept(qos, id)
			}
			c.expectSilence(by)
		}),
		[]testCase{
			{
				rule: "MQTT-2.3.1-4", name: "identifiers of QoS 1 and 2 are of one kind",
				also: []string{"MQTT-4.3.2-1", "MQTT-4.3.3-1"}, needs: needsQoS2, run: func(t *trial) {
					c, by := t.subscriberAt(2, t.topic("a")), t.client()
					var ids []uint16
					for i := range unacknowledgedMin {
						m := publish{topic: t.topic("a"), payload: pattern(i), qos: 1 + byte(i%2)}
						by.give(m)
						ids = append(ids, c.expectMessage(m))
					}
					requireDistinct(t, ids)
					for i, id := range ids {
						c.accept(1+byte(i%2), id)
					}
					c.expectSilence(by)
				}},
			{
				rule: "MQTT-2.3.1-4", name: "retained and live messages share the identifiers",
				also: []string{"MQTT-4.3.2-1"}, needs: needsQoS1, run: func(t *trial) {
					c, by := t.client(), t.client()
					var ids []uint16
					for _, name := range []string{"a", "b", "c"} {
						m := publish{topic: t.topic(name), payload: "kept", qos: 1, retain: true}
						t.retain(by, m)
						c.subscribeQoS(subscription{m.topic, 1})
						live := publish{topic: m.topic, payload: "live", qos: 1}
						by.give(live)
						ids = append(ids, c.expectMessages(m, live)...)
					}
					requireDistinct(t, ids)
					for _, id := range ids {
						c.accept(1, id)
					}
					c.expectSilence(by)
				}},
			{rule: "MQTT-2.3.1-4", name: "every identifier once around", needs: needsQoS1, run: func(t *trial) {
				everyIdentifier(t, nil)
			}},
			{
				rule: "MQTT-2.3.1-4", name: "every identifier once around while two stay in use",
				also: []string{"MQTT-4.3.2-1", "MQTT-4.3.3-1"}, needs: needsQoS2, run: func(t *trial) {
					everyIdentifier(t, []publish{
						{topic: t.topic("a"), payload: "no PUBACK", qos: 1},
						{topic: t.topic("a"), payload: "no PUBCOMP", qos: 2},
					})
				}},
		},
	)
}

// everyIdentifier takes more messages than there are Packet Identifiers. They must go on while the two that are held stay
// in use, of a message without PUBACK and of one whose PUBREL has no PUBCOMP.
func everyIdentifier(t *trial, held []publish) {
	const atOnce, rounds = 400, 65535/400 + 2
	c, by := t.subscriberAt(2, t.topic("a")), t.client()
	by.give(held...)
	inUse := c.expectMessages(held...)
	for i, m := range held {
		if m.qos == 2 {
			c.send(acknowledge(firstPubrec, inUse[i]))
			c.expect("PUBREL", acknowledge(firstPubrel, inUse[i]))
		}
	}
	for round := range rounds {
		var packets, acks [][]byte
		for i := range uint16(atOnce) {
			packets = append(packets, publish{topic: t.topic("a"), payload: "x", qos: 1, id: 1 + i}.packet())
		}
		by.send(packets...)
		for i := range atOnce {
			m := c.nextPublish()
			require.NotZero(t, m.id, "message %d of round %d", i, round)
			require.NotContains(t, inUse, m.id, "an identifier in use is given again")
			acks = append(acks, acknowledge(firstPuback, m.id))
			if len(acks) == unacknowledgedMin-len(held) || i == atOnce-1 {
				c.send(acks...)
				acks = nil
			}
		}
		for i := range uint16(atOnce) {
			by.expect("PUBACK", acknowledge(firstPuback, 1+i))
		}
	}
	for i, m := range held {
		c.send(acknowledge([]byte{1: firstPuback, 2: firstPubcomp}[m.qos], inUse[i]))
	}
	c.expectSilence(by)
}

// windowCases have a Client that acknowledges nothing, for a while.
func windowCases() []testCase {
	return slices.Concat(
		eachQoS(testCase{
			rule: "MQTT-4.6.0-6", name: "all messages come after a time without acknowledgement",
			also: []string{"MQTT-4.5.0-1"},
		}, 1, func(t *trial, qos byte) {
			c, other, by := t.subscriberAt(qos, t.topic("a")), t.subscriberAt(qos, t.topic("a")), t.client()
			messages := numbered(t.topic("a"), qos, 200)
			for _, m := range messages {
				by.give(m)
				other.take(m) // its neighbour does not make it wait
			}
			c.send(pingreq)
			c.expectAfterPublishes("PINGRESP", pingresp)
			c.take(messages...)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "section-4.4", name: "the Server's number of messages without acknowledgement",
			also: []string{"MQTT-2.3.1-4"}, needs: needsWindow,
		}, 1, func(t *trial, qos byte) {
			const more = 10
			window := t.target.MaxInflight
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			messages := numbered(t.topic("a"), qos, window+more)
			by.give(messages...)
			ids := c.expectMessages(messages[:window]...)
			c.ping()
			for i, m := range messages[window:] {
				c.accept(qos, ids[i])
				ids = append(ids, c.expectMessage(m))
				requireDistinct(t, ids[i+1:])
				c.ping()
			}
			for _, id := range ids[more:] {
				c.accept(qos, id)
			}
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "section-4.4", name: "QoS 0 needs no acknowledgement to go on", needs: needsWindow,
		}, 1, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			messages := numbered(t.topic("a"), qos, t.target.MaxInflight)
			by.give(messages...)
			ids := c.expectMessages(messages...)
			m := publish{topic: t.topic("a"), payload: "at QoS 0"}
			by.give(m)
			c.take(m)
			for _, id := range ids {
				c.accept(qos, id)
			}
			c.expectSilence(by)
		}),
	)
}

func acknowledgementCases() []testCase {
	const count = unacknowledgedMin
	return []testCase{
		{
			rule: "MQTT-4.3.2-1", name: "PUBACKs in reverse", needs: needsQoS1, run: func(t *trial) {
				c, by := t.subscriberAt(1, t.topic("a")), t.client()
				for range 3 {
					messages := numbered(t.topic("a"), 1, count)
					by.give(messages...)
					ids := c.expectMessages(messages...)
					slices.Reverse(ids)
					c.send(acknowledgements(firstPuback, ids)...)
				}
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-4.6.0-4", name: "PUBREL in the order of PUBREC",
			also: []string{"MQTT-4.3.3-1", "MQTT-4.6.0-6"}, needs: needsQoS2, run: func(t *trial) {
				c, by := t.subscriberAt(2, t.topic("a")), t.client()
				for _, order := range [][]int{{0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {3, 0, 5, 1, 4, 2}} {
					messages := numbered(t.topic("a"), 2, count)
					by.give(messages...)
					ids := c.expectMessages(messages...)
					for i, from := range order {
						order[i] = int(ids[from])
					}
					for _, id := range order {
						c.send(acknowledge(firstPubrec, uint16(id)))
					}
					for _, id := range order {
						c.expect("PUBREL", acknowledge(firstPubrel, uint16(id)))
					}
					c.send(acknowledgements(firstPubcomp, ids)...)
				}
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-4.3.3-1", name: "PUBREL to each PUBREC until PUBCOMP", needs: needsQoS2, run: func(t *trial) {
				c, by := t.subscriberAt(2, t.topic("a")), t.client()
				m := publish{topic: t.topic("a"), payload: "x", qos: 2}
				by.give(m)
				id := c.expectMessage(m)
				for range 3 {
					c.send(acknowledge(firstPubrec, id))
					c.expect("PUBREL", acknowledge(firstPubrel, id))
				}
				c.send(acknowledge(firstPubcomp, id))
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-4.3.3-1", name: "exchanges of QoS 1 and 2 side by side",
			also: []string{"MQTT-4.3.2-1"}, needs: needsQoS2, run: func(t *trial) {
				c, by := t.subscriberAt(2, t.topic("a")), t.client()
				one := publish{topic: t.topic("a"), payload: "one", qos: 1}
				two := publish{topic: t.topic("a"), payload: "two", qos: 2}
				by.give(two, one, two, one)
				ids := c.expectMessages(two, one, two, one)
				c.send(acknowledge(firstPubrec, ids[2]), acknowledge(firstPuback, ids[3]), acknowledge(firstPubrec, ids[0]))
				c.expect("PUBREL", acknowledge(firstPubrel, ids[2]))
				c.expect("PUBREL", acknowledge(firstPubrel, ids[0]))
				c.send(acknowledge(firstPuback, ids[1]), acknowledge(firstPubcomp, ids[0]), acknowledge(firstPubcomp, ids[2]))
				c.expectSilence(by)
			}},
		{
			rule: "MQTT-7.1.1-1", name: "acknowledgements one byte at a time", needs: needsQoS2, run: func(t *trial) {
				c, by := t.subscriberAt(2, t.topic("a")), t.client()
				one := publish{topic: t.topic("a"), payload: "one", qos: 1}
				two := publish{topic: t.topic("a"), payload: "two", qos: 2}
				by.give(one, two)
				ids := c.expectMessages(one, two)
				for _, b := range join(acknowledge(firstPuback, ids[0]), acknowledge(firstPubrec, ids[1])) {
					c.send([]byte{b})
				}
				c.expect("PUBREL", acknowledge(firstPubrel, ids[1]))
				for _, b := range acknowledge(firstPubcomp, ids[1]) {
					c.send([]byte{b})
				}
				c.expectSilence(by)
			}},
	}
}

// wrongAcknowledgementCases are about acknowledgements that do not fit. A broker may close the connection for some of
// them, and must not take them for those that it waits for.
func wrongAcknowledgementCases() []testCase {
	var cases []testCase
	for _, unknown := range []struct {
		name  string
		first byte
	}{{"PUBACK", firstPuback}, {"PUBREC", firstPubrec}, {"PUBCOMP", firstPubcomp}} {
		cases = append(cases, eachQoS(testCase{
			rule: "section-4.3", name: unknown.name + " for an unknown identifier beside messages",
		}, 0, func(t *trial, qos byte) {
			c, by := t.subscriberAt(qos, t.topic("a")), t.client()
			m := publish{topic: t.topic("a"), payload: "x", qos: qos}
			by.give(m)
			id := c.expectMessage(m)
			for _, other := range []uint16{id + 1, id ^ 0x0100, 65535 - id} {
				c.send(acknowledge(unknown.first, other), pingreq)
				frame := c.next("PINGRESP")
				if unknown.first == firstPubrec && string(frame) == string(acknowledge(firstPubrel, other)) {
					frame = c.next("PINGRESP") // PUBREL is allowed, too: it lets the Client forget the identifier
				}
				require.Equal(t, show(pingresp), show(frame))
			}
			c.accept(qos, id)
			c.expectSilence(by)
		})...)
	}
	for _, repeated := range []struct {
		name  string
		qos   byte
		first byte
	}{{"PUBACK", 1, firstPuback}, {"PUBCOMP", 2, firstPubcomp}} {
		cases = append(cases, testCase{
			rule: "section-4.3", name: "repeated " + repeated.name, needs: needsQoS(repeated.qos), run: func(t *trial) {
				c, by := t.subscriberAt(2, t.topic("a")), t.client()
				m := publish{topic: t.topic("a"), payload: "x", qos: repeated.qos}
				for range 3 {
					by.give(m, m)
					ids := c.expectMessages(m, m)
					for _, id := range ids {
						c.accept(repeated.qos, id)
						c.send(acknowledge(repeated.first, id), acknowledge(repeated.first, id))
					}
				}
				c.expectSilence(by)
			}})
	}
	for _, wrong := range []struct {
		name   string
		qos    byte
		before byte // sent before and answered with PUBREL, when it is not 0
		first  byte
	}{
		{"PUBREC for QoS 1", 1, 0, firstPubrec},
		{"PUBCOMP for QoS 1", 1, 0, firstPubcomp},
		{"PUBREL for QoS 1", 1, 0, firstPubrel},
		{"PUBACK for QoS 2", 2, 0, firstPuback},
		{"PUBCOMP before PUBREC", 2, 0, firstPubcomp},
		{"PUBREL before PUBREC", 2, 0, firstPubrel},
		{"PUBACK after PUBREC", 2, firstPubrec, firstPuback},
		{"PUBREL after PUBREC", 2, firstPubrec, firstPubrel},
	} {
		rule := []string{1: "MQTT-4.3.2-1", 2: "MQTT-4.3.3-1"}[wrong.qos]
		cases = append(cases, testCase{
			rule: rule, name: wrong.name + " acknowledges nothing",
			also: []string{"MQTT-4.4.0-1"}, needs: needsQoS(wrong.qos) | needsSessions, run: func(t *trial) {
				c, by := t.persistent(subscription{t.topic("a"), 2}), t.client()
				m := publish{topic: t.topic("a"), payload: "x", qos: wrong.qos, dup: false}
				by.give(m)
				m.id = c.expectMessage(m)
				if wrong.before != 0 {
					c.send(acknowledge(wrong.before, m.id))
					c.expect("PUBREL", acknowledge(firstPubrel, m.id))
				}
				c.trySend(acknowledge(wrong.first, m.id))
				c.fault()
				c = c.resume()
				if wrong.before != 0 {
					c.expect("PUBREL", acknowledge(firstPubrel, m.id))
					c.send(acknowledge(firstPubcomp, m.id))
				} else {
					m.dup = true
					c.take(m)
				}
				c.expectSilence(by)
			}})
	}
	return cases
}

// acknowledgements builds a packet of one type for each identifier.
func acknowledgements(first byte, ids []uint16) [][]byte {
	packets := make([][]byte, len(ids))
	for i, id := range ids {
		packets[i] = acknowledge(first, id)
	}
	return packets
}

// requireDistinct fails when an identifier that is in use was given again.
func requireDistinct(t *trial, ids []uint16) {
	sorted := slices.Sorted(slices.Values(ids))
	require.Len(t, slices.Compact(sorted), len(ids), "Packet Identifiers in use: %v", ids)
}

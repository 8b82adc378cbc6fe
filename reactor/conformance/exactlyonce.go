package conformance

import (
	"slices"
	"strconv"

	"github.com/stretchr/testify/require"
)

// exactlyOnceCases break connections in the middle of QoS 2 exchanges, on either side of the broker.
func exactlyOnceCases() []testCase {
	cases := slices.Concat(
		eachQoS(testCase{
			rule: "MQTT-4.4.0-1", name: "a reader that breaks off twelve times",
			also:  []string{"MQTT-4.3.2-1", "MQTT-4.3.3-1", "MQTT-4.6.0-1", "MQTT-4.6.0-6", "MQTT-4.1.0-1"},
			needs: needsSessions,
		}, 1, func(t *trial, qos byte) { t.breakingReader(qos, (*client).drop) }),
		eachQoS(testCase{
			rule: "MQTT-4.4.0-1", name: "a reader that is taken over twelve times",
			also:  []string{"MQTT-3.1.4-2", "MQTT-4.3.2-1", "MQTT-4.3.3-1", "MQTT-4.6.0-1", "MQTT-4.6.0-6"},
			needs: needsSessions,
		}, 1, func(t *trial, qos byte) { t.breakingReader(qos, func(*client) {}) }),
		manyExchangesCases(15), manyExchangesCases(50),
	)
	for _, ending := range endings[1:] {
		cases = append(cases, eachQoS(testCase{
			rule: "MQTT-4.3.2-2", name: "PUBACK unread, broken off by " + ending.name, also: []string{"MQTT-4.5.0-1"},
			needs: needsSessions,
		}, 0, func(t *trial, qos byte) { t.atLeastOnce(qos, ending.end) })...)
	}
	for _, ending := range endings[1:] { // after a DISCONNECT the broker would not see what the other stages are about
		for _, stage := range publisherStages {
			cases = append(cases, eachQoS(testCase{
				rule: "MQTT-4.3.3-2", name: stage.name + " by " + ending.name,
				also:  []string{"MQTT-4.1.0-1", "MQTT-3.1.2-4"},
				needs: needsSessions,
			}, 0, func(t *trial, qos byte) {
				c, by := t.subscriberAt(qos, t.topic("a")), t.persistent()
				m := publish{topic: t.topic("a"), payload: "once", qos: 2, id: 9}
				stage.before(by, m)
				ending.end(by)
				by = by.resume()
				m.dup = true
				stage.after(by, m)
				c.take(t.sent(m, qos))
				by.give(publish{topic: m.topic, payload: "another", qos: 2, id: m.id})
				c.take(t.sent(publish{topic: m.topic, payload: "another", qos: 2}, qos))
				c.expectSilence(by)
			})...)
		}
	}
	return cases
}

// atLeastOnce has the publisher of a QoS 1 message not see its PUBACK and send it again.
func (t *trial) atLeastOnce(qos byte, end func(*client)) {
	c, by := t.subscriberAt(qos, t.topic("a")), t.persistent()
	m := publish{topic: t.topic("a"), payload: "at least once", qos: 1, id: 9}
	by.send(m.packet())
	end(by)
	by = by.resume()
	m.dup = true
	by.give(m)
	last := publish{topic: m.topic, payload: "last", qos: 1}
	by.give(last)
	c.take(t.sent(m, qos))
	got := c.nextPublish()
	c.accept(got.qos, got.id)
	if got.payload == m.payload { // a second time
		c.take(t.sent(last, qos))
	}
	c.expectSilence(by)
}

// manyExchangesCases have a publisher begin many exchanges, break off, and complete them.
func manyExchangesCases(count int) []testCase {
	return eachQoS(testCase{
		rule: "MQTT-4.1.0-1", name: "identifiers of " + strconv.Itoa(count) + " exchanges are kept",
		also:  []string{"MQTT-4.3.3-2"},
		needs: needsSessions,
	}, 0, func(t *trial, qos byte) {
		c, by := t.subscriberAt(qos, t.topic("a")), t.persistent()
		messages := numbered(t.topic("a"), 2, count)
		for i := range messages {
			messages[i].id = 65535 - uint16(i)
			by.publishQoS2(messages[i])
		}
		by.drop()
		by = by.resume()
		for _, m := range messages {
			m.dup = true
			by.publishQoS2(m)
		}
		for _, m := range messages {
			by.release(m.id)
			c.take(t.sent(m, qos))
		}
		c.expectSilence(by)
	})
}

// publisherStages are the points at which an exchange of QoS 2 can be broken off, and how the publisher goes on.
var publisherStages = []struct {
	name          string
	before, after func(by *client, m publish)
}{
	{
		"PUBREC unread, broken off",
		func(by *client, m publish) { by.send(m.packet()) },
		func(by *client, m publish) { by.give(m) },
	},
	{
		"PUBREC read but lost, broken off",
		func(by *client, m publish) { by.publishQoS2(m) },
		func(by *client, m publish) { by.give(m) },
	},
	{
		"PUBREL next, broken off",
		func(by *client, m publish) { by.publishQoS2(m) },
		func(by *client, m publish) { by.release(m.id) },
	},
	{
		"PUBCOMP unread, broken off",
		func(by *client, m publish) {
			by.publishQoS2(m)
			by.send(acknowledge(firstPubrel, m.id))
		},
		func(by *client, m publish) { by.release(m.id) },
	},
}

// breakingReader reads a few packets on each of twelve connections while messages go on, and then all. At QoS 2 each
// comes once, at QoS 1 at least once.
func (t *trial) breakingReader(qos byte, end func(*client)) {
	const rounds, perRound, readPerRound = 12, 5, 3
	c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
	state := readerState{open: map[uint16]bool{}}
	messages := numbered(t.topic("a"), qos, rounds*perRound)
	for round := range rounds {
		by.give(messages[round*perRound : (round+1)*perRound]...)
		for range readPerRound {
			state.read(c)
		}
		end(c)
		c = c.resume()
	}
	last := messages[len(messages)-1].payload
	for !slices.Contains(state.seen, last) || len(state.open) > 0 {
		state.read(c)
	}
	c.expectSilence(by)
	var want []string
	for _, m := range messages {
		want = append(want, m.payload)
	}
	if qos == 2 {
		require.Equal(t, want, state.seen)
	}
	require.Equal(t, want, firstOccurrences(state.seen))
}

// readerState is what a Client keeps of its Session across connections.
type readerState struct {
	seen []string        // payloads, in the order in which they came
	open map[uint16]bool // QoS 2 identifiers that have had PUBREC and no PUBREL
}

// read takes one packet and answers it.
func (s *readerState) read(c *client) {
	frame := c.next("PUBLISH or PUBREL")
	if frame[0] == firstPubrel {
		id := uint16(frame[2])<<8 | uint16(frame[3])
		delete(s.open, id)
		c.send(acknowledge(firstPubcomp, id))
		return
	}
	m, ok := parsePublish(frame)
	require.True(c.t, ok && m.qos > 0, "expected PUBLISH, got %s", show(frame))
	if m.qos == 1 {
		s.seen = append(s.seen, m.payload)
		c.send(acknowledge(firstPuback, m.id))
		return
	}
	require.True(c.t, m.dup || !s.open[m.id], "an identifier in use is given again: %s", show(frame))
	if !s.open[m.id] {
		s.seen = append(s.seen, m.payload)
	}
	s.open[m.id] = true
	c.send(acknowledge(firstPubrec, m.id))
}

// firstOccurrences leaves repetitions out.
func firstOccurrences(payloads []string) []string {
	var first []string
	seen := map[string]bool{}
	for _, p := range payloads {
		if !seen[p] {
			first = append(first, p)
		}
		seen[p] = true
	}
	return first
}

package reactor

import (
	"maps"
	"slices"

	"mqttd/codec"
)

// What waits for a client is little on a broker that histories are played on, so that they reach the bounds.
const (
	modelInflightMax = 3
	modelQueueMax    = 5
)

// modelSession is what the broker remembers of a client.
type modelSession struct {
	clean      bool
	attached   bool                 // a connection has it, or its Will is on its way
	filters    map[string]codec.QoS // granted
	unreleased map[uint16]bool      // QoS 2 Packet Identifiers

	// Messages above QoS 0 that are not acknowledged to the end. Those retained were sent because of a
	// SUBSCRIBE, all of them; which of them came first the model cannot know. The live ones are in order, the
	// first of them sent. When both are sent again, how they mix is left open.
	retained, live []*modelMessage
	finished       uint16 // the Packet Identifier of the one that left last; 0: none
}

// modelMessage is a message above QoS 0 for one client.
type modelMessage struct {
	delivery
	sent     certainty
	reached  bool // on the present connection, before this step: so its client may acknowledge it
	released bool // PUBREC came

	// What the runner has learnt; the model takes any identifier.
	id       uint16 // Packet Identifier; 0: it has not come yet
	position int    // among all that came in the history
}

// certainty says whether something has happened.
type certainty uint8

const (
	no certainty = iota
	perhaps
	yes
)

func newModelSession() *modelSession {
	return &modelSession{filters: map[string]codec.QoS{}, unreleased: map[uint16]bool{}}
}

// size is how many messages there are.
func (s *modelSession) size() int { return len(s.retained) + len(s.live) }

// sentLive counts the live messages that were sent, or perhaps sent.
func (s *modelSession) sentLive(least certainty) int {
	return countOf(s.live, func(x *modelMessage) bool { return x.sent >= least })
}

// reachable returns the messages that the client may acknowledge.
func (s *modelSession) reachable() []*modelMessage {
	return slices.DeleteFunc(slices.Concat(s.retained, s.live), func(x *modelMessage) bool { return !x.reached })
}

// add queues a message for a session and returns it, nil: it is dropped, as too much waits for its client. c is the
// connection that has the session, nil when it is away.
func (m *historyModel) add(s *modelSession, c *modelConn, d delivery) (added *modelMessage) {
	const windowAndQueue = modelInflightMax + modelQueueMax
	var full bool
	if s.attached {
		full = s.size() >= windowAndQueue
		if c != nil && s.size()+c.due.replaysAbove() >= windowAndQueue && !full {
			m.open = true // it depends on how many retained messages are on their way
		}
		if c != nil && full && c.eager && c != m.actor {
			m.open = true // it may have acknowledged some of them
		}
	} else {
		full = len(s.live)-s.sentLive(perhaps) >= modelQueueMax
		if !full && len(s.live)-s.sentLive(yes) >= modelQueueMax {
			m.open = true
		}
	}
	if full {
		m.totals.QueueFull[d.qos-1]++
		return nil
	}
	added = &modelMessage{delivery: d}
	s.live = append(s.live, added)
	return added
}

// fillWindow makes messages due to c as long as its window has room. how says whether they are sent for sure.
func (c *modelConn) fillWindow(how certainty) {
	s := c.session
	for _, x := range s.live {
		if x.sent == no && len(s.retained)+s.sentLive(perhaps) < modelInflightMax {
			c.send(x)
			x.sent = how
		}
	}
}

func (c *modelConn) send(x *modelMessage) {
	c.due.above = append(c.due.above, dueMessage{x, x.sent})
}

// sendAgain makes due what earlier connections of c's session were sent and have not acknowledged.
func (c *modelConn) sendAgain() {
	s := c.session
	for _, x := range s.retained {
		x.reached = false
		if x.released {
			c.due.retainedReleased = append(c.due.retainedReleased, x)
		} else {
			c.due.retainedAgain = append(c.due.retainedAgain, x)
		}
	}
	for _, x := range s.live {
		x.reached = false
		if x.released {
			c.due.released = append(c.due.released, x)
		} else if x.sent != no {
			c.send(x)
		}
	}
}

// conclude ends a step for a connection that stays. Its client has acknowledged all that it was sent, if it does
// so at once, or if what it asked for does not fit its window: live messages would wait behind retained ones, and
// with them what ends the step. Otherwise it has acknowledged nothing but by packets of the step.
func (m *historyModel) conclude(c *modelConn) {
	s, d := c.session, &c.due
	fits := d.replaysDecided() && s.size()+d.replaysAbove() <= modelInflightMax
	d.answers = c.eager || d.replaysAbove() > 0 && !fits
	if d.answers {
		m.acknowledgeAll(c)
		return
	}
	for _, x := range d.replayedAbove() {
		r := &modelMessage{delivery: x, sent: yes}
		s.retained = append(s.retained, r)
		d.retainedNew = append(d.retainedNew, r)
	}
	c.fillWindow(yes)
	for _, x := range slices.Concat(s.retained, s.live) {
		if x.sent != no {
			x.sent, x.reached = yes, true
		}
	}
}

// acknowledgeAll has the client of c get all that waits for it, and acknowledge it to the end. What came on
// this connection before is acknowledged unasked.
func (m *historyModel) acknowledgeAll(c *modelConn) {
	s, d := c.session, &c.due
	for _, x := range slices.Concat(s.retained, s.live) {
		if x.sent == no {
			c.send(x)
		}
		if !x.released {
			m.totals.Delivered[x.qos-1]++
		}
		if x.reached {
			kind := codec.PUBACK
			if x.released {
				kind = codec.PUBCOMP
			} else if x.qos == codec.QoS2 {
				kind = codec.PUBREC
			}
			d.acknowledgements = append(d.acknowledgements, historyPacket{kind: kind, id: x.id})
		}
	}
	s.retained, s.live = nil, nil
}

// target finds which message an acknowledgement is for, and gives it that one's Packet Identifier. nil: for none, the
// identifier is that of a message which is through, or never was.
func (s *modelSession) target(p *historyPacket) *modelMessage {
	messages := s.reachable()
	switch {
	case p.of > 0 && len(messages) > 0:
		x := messages[(p.of-1)%len(messages)]
		p.id = x.id
		return x
	case p.of == ofFinished && s.finished != 0:
		p.id = s.finished
	}
	return nil
}

// acknowledge handles PUBACK, PUBREC and PUBCOMP of a client, for x if not nil.
func (m *historyModel) acknowledge(c *modelConn, p *historyPacket, x *modelMessage) {
	if p.kind == codec.PUBREC {
		c.due.releases = append(c.due.releases, p.id)
	}
	switch {
	case x == nil:
	case p.kind == codec.PUBACK && x.qos == codec.QoS1:
		m.totals.Delivered[x.qos-1]++
		c.session.finish(x)
	case p.kind == codec.PUBREC && x.qos == codec.QoS2 && !x.released:
		m.totals.Delivered[x.qos-1]++
		x.released = true
	case p.kind == codec.PUBCOMP && x.released:
		c.session.finish(x)
	}
}

func (s *modelSession) finish(x *modelMessage) {
	other := func(y *modelMessage) bool { return x == y }
	s.retained, s.live = slices.DeleteFunc(s.retained, other), slices.DeleteFunc(s.live, other)
	s.finished = x.id
}

// clone copies what the session may lose or change.
func (s *modelSession) clone() *modelSession {
	t := *s
	t.filters, t.unreleased = maps.Clone(s.filters), maps.Clone(s.unreleased)
	t.retained, t.live = cloneMessages(s.retained), cloneMessages(s.live)
	return &t
}

func cloneMessages(messages []*modelMessage) (clones []*modelMessage) {
	for _, x := range messages {
		clone := *x
		clones = append(clones, &clone)
	}
	return clones
}

func countOf[T any](all []T, is func(T) bool) (n int) {
	for _, x := range all {
		if is(x) {
			n++
		}
	}
	return n
}

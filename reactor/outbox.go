package reactor

import (
	"mqttd/codec"
	"mqttd/router"
	"mqttd/session"
	"mqttd/session/store"
)

// Messages above QoS 0 leave the path of the round log where they are published. The publisher's loop puts them into
// the outbox of each session that is to acknowledge them, stored once for all, on whichever loop the client is, or
// none: so when the publisher is acknowledged they are where they have to be. The client's loop sends what its window
// allows, when it is told so by letter, when an acknowledgement has made room, and when the socket takes more again.

// enqueue puts a message into the outboxes of those subscribers who get it above QoS 0, and returns the route of the
// others. wakeAll must follow, when tx has ended. A long fan-out at QoS 1 ends tx now and then and begins it anew.
func (l *loop) enqueue(tx *store.Tx, topic, payload []byte, qos codec.QoS, route *router.Route) (rest *router.Route) {
	above, rest := route.Part()
	if len(above) == 0 {
		return rest
	}
	packet := codec.AppendPublish(nil, &codec.Publish{Topic: topic, Payload: payload})
	m := l.server.queues.NewMessage(packet)
	limits := l.config.queueLimits(l.server)
	for i, t := range above {
		if qos == codec.QoS1 && i%holdMax == holdMax-1 { // a publisher that is not acknowledged sends it again
			l.unsaved = max(l.unsaved, tx.End())
			tx = l.server.store.Begin()
		}
		c := l.server.table.Resolve(session.Handle(t.ID))
		at := min(qos, t.QoS)
		if c == nil {
			l.entered(c, at, session.Ended)
			continue
		}
		verdict, wake := c.session.Outbox.Add(tx, m, at, limits)
		l.entered(c, at, verdict)
		if wake {
			l.toWake = append(l.toWake, session.Handle(t.ID))
		}
	}
	m.Release(tx)
	l.turn.spent(len(above)/8, turnMax)
	return rest
}

// holdMax is for how many outboxes a loop holds the store's lock, but at QoS 2, where all must be in one change.
// (chosen: 0.1 ms)
const holdMax = 64

// entered counts a message that met a subscription above QoS 0.
func (l *loop) entered(c *conn, qos codec.QoS, verdict session.Verdict) {
	book := &l.above[qos-1]
	book.matched.add(1)
	switch verdict {
	case session.QueueFull:
		book.dropped[ReasonQueueFull].add(1)
		l.server.lines.queueFull(l.server, c)
	case session.MemoryFull:
		book.dropped[ReasonMemory].add(1)
		l.server.lines.queuesFull(l.server)
	case session.Ended:
		book.dropped[ReasonCutOff].add(1)
	}
}

// wakeAll has the clients' loops send from the outboxes to which messages were added.
func (l *loop) wakeAll() {
	for _, h := range l.toWake {
		l.wake(h)
	}
	l.toWake = l.toWake[:0]
}

// wake has a client's loop send from its outbox, whose connection is in the slot, for it said that it has one: the
// one that was there before the message was added may not be the one that sends.
func (l *loop) wake(h session.Handle) {
	switch c := l.server.table.Resolve(h); {
	case c == nil: // gone meanwhile
	case c.loop == l:
		l.sendSoon(c)
	default:
		c.loop.post(letter{kind: letterSend, conn: c})
	}
}

// sendSoon lists c: its outbox may have something to be sent.
func (l *loop) sendSoon(c *conn) {
	if c.live() && c.state == session.Connected && c.session.Outbox != nil {
		l.list(&l.sending, c, inSending)
	}
}

// goOn has c be sent what waited for room in the window, or for the store: retained messages and others.
func (l *loop) goOn(c *conn) {
	if c.live() && c.pace == held {
		l.replaySoon(c)
	}
	l.sendSoon(c)
}

// sendTurn sends to the clients that are listed, as many as the turn allows.
func (l *loop) sendTurn() {
	more := func(done int) bool { return done == 0 || !l.turn.over }
	l.inTurn(&l.sending, inSending, more, l.sendAbove)
	if len(l.sending) > 0 {
		l.again()
	}
}

// sendAbove sends c messages above QoS 0, until nothing is left that its window allows, its socket takes no more, or
// the turn is over. CONNACK has gone out [MQTT-3.2.0-1]: it never waits for the disk among
// the replies.
func (l *loop) sendAbove(c *conn) {
	if c.live() && c.pace == blocked {
		l.waitAbove(c)
		return
	}
	for c.live() && (c.pace == flowing || c.pace == held) {
		packets := l.nextAbove(c, headBytesMax)
		if len(packets) == 0 {
			return
		}
		if n := l.push(c, packets); n < len(packets) && c.live() {
			l.block(c, packets, n, 0, nil)
			if c.live() {
				c.congestion.above = c.backlog.last
			}
		}
		if l.turn.spent(writeWork(len(packets)), turnMax) {
			l.sendSoon(c)
			return
		}
		if len(packets) < headBytesMax {
			return
		}
	}
}

// waitAbove puts messages above QoS 0 behind what waits for c, which is blocked: a stream at QoS 0 of which it takes
// less than comes would keep them from it for ever. Like replies they always find room. There are headBytesMax of them
// at most, or half the buffer, or one message that is larger; the next ones follow when the socket has taken these.
// During a replay no QoS 0 message joins the backlog, and live ones wait for the end of it.
func (l *loop) waitAbove(c *conn) {
	if c.replay != nil || c.congestion.above != 0 {
		return
	}
	packets := l.nextAbove(c, min(headBytesMax, l.config.ClientBufferBytes/2))
	if len(packets) > 0 {
		copied := copyOf(packets)
		c.congestion.above = l.add(&c.backlog, item{packets: copied.bytes, share: copied})
		l.turn.spent(writeWork(len(packets)), turnMax)
	}
}

// nextAbove returns the packets that the outbox of c has to be sent now, of room bytes or so. They lie in scratch
// space.
func (l *loop) nextAbove(c *conn, room int) []byte {
	s := c.session.Outbox.Next(l.gather[:0], room, l.config.MaxInflight, l.server.store.Committed(), c.pace == held)
	l.gather = s.Packets
	for qos, n := range s.Messages {
		if n > 0 {
			l.publishSent[qos].add(n)
		}
	}
	if s.Unsaved {
		l.list(&l.unsent, c, inUnsent)
	}
	return s.Packets
}

// endOutbox counts what is lost when the session of an outbox ends.
func (s *Server) endOutbox(tx *store.Tx, o *session.Outbox, reason Reason) {
	if o == nil {
		return
	}
	for qos, n := range o.Close(tx) {
		if n > 0 {
			s.ended[qos-1][reason].Add(n)
		}
	}
}

// queueLimits returns the bounds of what waits in outboxes.
func (c *Config) queueLimits(s *Server) session.Limits {
	return session.Limits{
		Inflight:   c.MaxInflight,
		Messages:   c.QueuedMessagesMax,
		Bytes:      c.QueuedBytesMax,
		TotalBytes: int(s.queuedMax.Load()),
	}
}

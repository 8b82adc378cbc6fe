package reactor

import (
	"container/list"

	"mqttd/codec"
	"mqttd/router"
)

// A client that subscribes gets the retained messages that match [MQTT-3.3.1-6], with RETAIN set
// [MQTT-3.3.1-8]. There may be far more than may wait for one client, so they are sent in pages, the next one
// when the socket has taken the one before. A page is written past the round log, after a flush, and never
// dropped for want of room. Those above QoS 0 go into the outbox, as many as it has room for; the rest waits for
// acknowledgements.
//
// Live messages wait meanwhile, so that each comes after the retained one of its topic; the slow policy holds
// for them. Those above QoS 0 that were in line at the SUBSCRIBE are older, and go before the retained ones above
// QoS 0. A message that was stored, replaced or cleared after the SUBSCRIBE is left out of the pages: the client gets
// the newer one live.

// replay is what a client has still to get: a place in the tree of topics, not the messages. It must be
// closed.
type replay struct {
	waiting       filterQueue    // not begun yet
	pendingFilter                // whose messages are being sent
	cursor        *router.Cursor // of filter; nil: none
	found         []*router.RetainedMessage
	sent          int // the first so many of found

	live  backlog // live messages that came meanwhile: they follow
	after uint64  // batch of the store that the SUBACK waits for: no page comes before it
}

// replayNodes is how many nodes of the tree a cursor looks at before the clock is looked at: some 60 µs
// at most. It also bounds what was found and waits for the client to have room. (measured: 15 to 230 ns
// per node, BenchmarkRetainedWalk)
const replayNodes = 256

// startReplay has the retained messages that match the filters sent to c.
func (l *loop) startReplay(c *conn, granted []grant) {
	granted = l.server.worthReplay(granted)
	if len(granted) == 0 {
		return
	}
	if c.replay == nil {
		c.replay = new(replay)
		if c.pace == flowing {
			l.hold(c)
		}
	}
	c.replay.after = max(l.unsaved, c.owedBatch)
	line := c.session.Outbox.Line()
	for _, g := range granted {
		c.replay.add(g, l.server.retainedFor(g.filter).Sequence(), line)
	}
}

// hold has c get retained messages: nothing else waits for it, but live ones do from now on.
func (l *loop) hold(c *conn) {
	c.pace = held
	l.replaySoon(c)
}

// replaySoon has c, which is held, get its next page.
func (l *loop) replaySoon(c *conn) {
	l.list(&l.replaying, c, inReplaying)
	l.replayDue = true
}

// add queues a filter; one that waits already will be sent once, after this. sequence is that of the last
// message stored before; newer ones come live. line is the end of the outbox's line.
func (r *replay) add(g grant, sequence, line uint64) {
	r.waiting.push(pendingFilter{grant: g, sequence: sequence, line: line})
}

// remove forgets a filter that was unsubscribed. A nil replay has none.
func (r *replay) remove(filter string) {
	if r == nil {
		return
	}
	if r.filter == filter {
		r.finish()
	}
	r.waiting.remove(filter)
}

// begin turns to the next filter. There must be one.
func (r *replay) begin(s *Server) {
	next := r.waiting.pop()
	r.pendingFilter = next
	r.cursor = s.retainedFor(next.filter).CursorAt(next.filter, next.sequence)
}

// look finds more messages, when all that were found are sent.
func (r *replay) look() {
	var done bool
	r.sent = 0
	if r.found, done = r.cursor.Next(r.found[:0], replayNodes); done {
		r.cursor = nil
	}
}

// finish gives up the filter whose messages are being sent.
func (r *replay) finish() {
	if r.cursor != nil {
		r.cursor.Close()
		r.cursor = nil
	}
	r.found, r.sent = nil, 0
}

func (r *replay) done() bool {
	return r.sent == len(r.found) && r.cursor == nil && r.waiting.len() == 0
}

// pendingFilter is a filter and the sequence number up to which its messages are retained ones for the client.
type pendingFilter struct {
	grant
	sequence uint64
	line     uint64 // live messages of the outbox before it go ahead of those above QoS 0
	resumed  bool   // asked for on an earlier connection: what is of QoS 0 is left out
}

// filterQueue holds filters in the order in which they came, none twice. What is done to one filter
// costs the same however many there are.
type filterQueue struct {
	order list.List // of pendingFilter
	at    map[string]*list.Element
}

func (q *filterQueue) len() int { return q.order.Len() }

func (q *filterQueue) push(f pendingFilter) {
	if e := q.at[f.filter]; e != nil {
		e.Value = f
		return
	}
	if q.at == nil {
		q.at = make(map[string]*list.Element)
	}
	q.at[f.filter] = q.order.PushBack(f)
}

// pop takes the first filter out. There must be one.
func (q *filterQueue) pop() pendingFilter {
	f := q.order.Front().Value.(pendingFilter)
	q.remove(f.filter)
	return f
}

func (q *filterQueue) remove(filter string) {
	if e := q.at[filter]; e != nil {
		q.order.Remove(e)
		delete(q.at, filter)
	}
}

// replayTurn sends pages to the clients that wait for one and whose sockets take more, those first that did
// not have their turn the last time. The log is empty; what other loops have handed over goes out first.
func (l *loop) replayTurn() {
	l.replayDue = false
	l.deliverAll(l.takeMail(), nil)
	more := func(done int) bool { return done == 0 || !l.turn.over }
	l.inTurn(&l.replaying, inReplaying, more, func(c *conn) {
		switch {
		case !c.live() || c.pace != held:
		case c.replay.after > l.server.store.Committed():
			l.list(&l.unsent, c, inUnsent)
		case l.sendPages(c) && c.live() && c.pace == held:
			l.list(&l.replaying, c, inReplaying)
		}
	})
	if len(l.replaying) > 0 {
		l.again()
	}
}

// sendPages writes retained messages to c while its socket and its outbox take them and the turn lasts. It returns
// false when the outbox is full: c goes on when an acknowledgement comes.
func (l *loop) sendPages(c *conn) (more bool) {
	for c.live() && c.pace == held {
		p := page{bytes: l.gather[:0], room: min(pageBytesMax, l.config.ClientBufferBytes/2)}
		r := c.replay
		r.fill(&p, l, c)
		l.gather = p.bytes
		if p.count > 0 {
			l.tally.matched += p.count
			l.pushMessages(c, p.bytes, p.count, nil)
		}
		o := c.session.Outbox
		unsent := o.RetainedUnsent()
		if (unsent || p.liveFirst) && c.live() {
			l.sendAbove(c)
			unsent = o.RetainedUnsent()
		}
		if c.live() && r.done() && !unsent {
			l.finishReplay(c)
			return true
		}
		windowFull := p.windowFull || (unsent || p.liveFirst) && o.Inflight() >= l.config.MaxInflight
		if windowFull || c.lists&inUnsent != 0 {
			return false
		}
		if l.turn.spent(writeWork(len(p.bytes)), turnMax) {
			return true
		}
	}
	return true
}

// finishReplay has the live messages follow that came meanwhile.
func (l *loop) finishReplay(c *conn) {
	live := c.replay.live
	c.replay.finish()
	c.replay = nil
	if !live.empty() {
		l.join(&c.backlog, &live)
	}
	if c.pace == held {
		c.pace = flowing
		l.refill(c)
		l.sendSoon(c)
	}
}

// endReplay gives up what c, which has closed, had still to get. If its session goes on, the replay goes on with the
// next connection, but for what is of QoS 0: as for live messages, the client had to be there.
func (l *loop) endReplay(c *conn) {
	if c.replay == nil {
		return
	}
	l.abandon(c, &c.replay.live)
	if c.persists() {
		c.replay.suspend()
	} else {
		c.replay.finish()
		c.replay = nil
	}
}

// suspend has the replay go on with another connection.
func (r *replay) suspend() {
	r.resumed = true
	for e := r.waiting.order.Front(); e != nil; e = e.Next() {
		f := e.Value.(pendingFilter)
		f.resumed = true
		e.Value = f
	}
}

// endReplays gives all replays up: the server is stopping.
func (l *loop) endReplays() {
	l.wheel.each(func(c *conn) {
		if c.replay != nil {
			l.finishReplay(c)
		}
	})
	for _, c := range l.replaying {
		c.lists &^= inReplaying
	}
	clear(l.replaying)
	l.replaying = l.replaying[:0]
}

// pageBytesMax is how many bytes of retained messages go out to one client in one write. (chosen)
const pageBytesMax = 128 << 10

// page is what goes out to one client in one write: at least one message.
type page struct {
	bytes []byte
	room  int
	count uint64

	windowFull bool // the outbox has no room for a message above QoS 0
	liveFirst  bool // it has older messages to be sent before
}

func (p *page) full() bool         { return len(p.bytes) >= p.room && p.count > 0 }
func (p *page) fits(size int) bool { return len(p.bytes)+size <= p.room || p.count == 0 }

// fill moves messages into the page until it is full, all are in it, or the turn is over, after one look at
// least.
func (r *replay) fill(p *page, l *loop, c *conn) {
	for looks := 0; !p.full(); looks++ {
		for ; r.sent < len(r.found); r.sent++ {
			message := r.found[r.sent]
			packet := message.Packet()
			if packet == nil {
				continue // replaced or cleared
			}
			if qos := min(r.qos, retainedQoS(packet)); qos > codec.QoS0 {
				if p.liveFirst = c.session.Outbox.LiveFirst(r.line); p.liveFirst {
					return
				}
				if !l.sendRetainedAbove(c, message, packet, qos) {
					p.windowFull = true
					return
				}
				continue
			}
			if r.resumed {
				continue
			}
			if !p.fits(len(packet)) {
				return
			}
			p.bytes = appendRetained(p.bytes, packet)
			p.count++
		}
		if r.done() || l.turn.spent(lookWork, turnMax) && looks > 0 {
			return
		}
		if r.cursor == nil {
			r.begin(l.server)
		}
		r.look()
	}
}

// sendRetainedAbove has the packet of a retained message go out to c above QoS 0, if there is room for it.
func (l *loop) sendRetainedAbove(c *conn, m *router.RetainedMessage, packet []byte, qos codec.QoS) bool {
	tx := l.server.store.Begin()
	defer tx.End()
	if !c.session.Outbox.AddRetained(tx, packet, qos, l.config.queueLimits(l.server)) {
		return false
	}
	if m.Packet() == nil { // replaced or cleared meanwhile
		l.server.queues.Dropped(packet)
	}
	l.above[qos-1].matched.add(1)
	return true
}

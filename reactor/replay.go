package reactor

import (
	"slices"
	"time"

	"mqttd/router"
	"mqttd/session"
)

// A client that subscribes gets the retained messages that match [MQTT-3.3.1-6], with RETAIN set
// [MQTT-3.3.1-8]. There may be far more than may wait for one client, so they are sent in pages:
// the first when the input that holds the SUBSCRIBE is handled, each further one when the client has
// read enough of those before.
//
// A page is written past the round log, after a flush, and never dropped for want of room. A message
// that was replaced or cleared since its filter was matched is left out, as the subscriber gets the
// newer one live.

// replay is what a client has still to get.
type replay struct {
	filters  []string                  // not looked up yet, none twice
	filter   string                    // whose messages are being sent
	messages []*router.RetainedMessage // of filter, not sent yet
}

// What a turn of a loop may do for its replays, so that others wait no longer. The lookup of one
// filter is not interrupted. (chosen)
const (
	replayTurnBytes = 1 << 20
	replayTurnMax   = 2 * time.Millisecond
)

// The pause between two turns: the shorter while clients read, the longer when none has room. (chosen)
const (
	replayPauseMin = 5 * time.Millisecond
	replayPauseMax = 80 * time.Millisecond
)

// startReplay has the retained messages that match the filters sent to c.
func (l *loop) startReplay(c *conn, filters []string) {
	if len(filters) == 0 || l.server.retained.Len() == 0 {
		return
	}
	if c.replay == nil {
		c.replay = new(replay)
		l.replaying = append(l.replaying, c)
	}
	c.replay.add(filters)
	l.replayDue = true
}

// add queues the filters that are not waiting already: those will be sent once, after this.
func (r *replay) add(filters []string) {
	waiting := make(map[string]bool, len(r.filters))
	for _, f := range r.filters {
		waiting[f] = true
	}
	for _, f := range filters {
		if !waiting[f] {
			waiting[f] = true
			r.filters = append(r.filters, f)
		}
	}
}

// remove forgets a filter that was unsubscribed. A nil replay has none.
func (r *replay) remove(filter string) {
	if r == nil {
		return
	}
	if r.filter == filter {
		r.messages = nil
	}
	r.filters = slices.DeleteFunc(r.filters, func(f string) bool { return f == filter })
}

// replayTurn sends pages to the clients that wait for one and have room, those first that did not
// have their turn the last time. The log is empty; what other loops have handed over goes out first.
func (l *loop) replayTurn() {
	l.replayDue = false
	if l.quiesced {
		return
	}
	defer l.continueReplay()
	l.deliverAll(l.takeMail(), nil)
	l.replaySent = 0
	turn, deadline := 0, time.Now().Add(replayTurnMax)
	for ; turn < len(l.replaying); turn++ {
		l.sendPages(l.replaying[turn], deadline)
		if l.replaySent >= replayTurnBytes || time.Now().After(deadline) {
			turn++
			break
		}
	}
	l.replaying = slices.Concat(l.replaying[turn:], l.replaying[:turn])
}

// continueReplay forgets the clients that have got all and has the others get a page soon.
func (l *loop) continueReplay() {
	l.replaying = slices.DeleteFunc(l.replaying, func(c *conn) bool { return !c.live() || c.replay == nil })
	if len(l.replaying) == 0 || l.replayArmed {
		return
	}
	l.replayPause = min(2*l.replayPause, replayPauseMax)
	if l.replaySent > 0 || l.replayPause == 0 {
		l.replayPause = replayPauseMin
	}
	l.replayArmed = true
	time.AfterFunc(l.replayPause, func() { l.post(letter{kind: letterReplay}) })
}

// sendPages writes as many retained messages to c as fit into half of what may wait for it, live
// messages have the other half, and goes on while the socket takes all.
func (l *loop) sendPages(c *conn, deadline time.Time) {
	for c.replay != nil && c.live() && l.replaySent < replayTurnBytes && time.Now().Before(deadline) {
		buffered := c.gc.OutboundBuffered()
		p := page{bytes: l.gather[:0], room: l.server.config.ClientBufferBytes/2 - buffered, alone: buffered == 0}
		c.replay.fill(&p, l.server.retained, c.session, deadline)
		l.gather = p.bytes
		if c.replay.done() {
			c.replay = nil
		}
		if p.count == 0 {
			return
		}
		l.replaySent += len(p.bytes)
		l.delivered.add(p.count)
		l.write(c, p.bytes)
	}
}

// page is what goes out to one client in one write.
type page struct {
	bytes []byte
	room  int
	alone bool // nothing else waits for the client: one message may be larger than the room
	count uint64
}

func (p *page) full() bool         { return p.room <= len(p.bytes) && !(p.alone && p.count == 0) }
func (p *page) fits(size int) bool { return len(p.bytes)+size <= p.room || p.alone && p.count == 0 }

// fill moves messages into the page until it is full, all are in it, or the turn is over.
func (r *replay) fill(p *page, retained *router.Retained, s *session.Session, deadline time.Time) {
	for !p.full() {
		for i, m := range r.messages {
			if !m.Current() {
				continue
			}
			if !p.fits(len(m.Packet())) {
				r.messages = r.messages[i:]
				return
			}
			p.bytes = append(p.bytes, m.Packet()...)
			p.count++
		}
		r.messages = nil
		if len(r.filters) == 0 || time.Now().After(deadline) {
			return
		}
		r.filter, r.filters = r.filters[0], r.filters[1:]
		if s.Subscribed(r.filter) {
			r.messages = retained.Match(r.filter, nil)
		}
	}
}

func (r *replay) done() bool { return len(r.messages) == 0 && len(r.filters) == 0 }

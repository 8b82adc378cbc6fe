package reactor

import (
	"time"

	"mqttd/router"
	"mqttd/session"
)

// A client that subscribes gets the retained messages that match [MQTT-3.3.1-6], with RETAIN set
// [MQTT-3.3.1-8]. There may be far more than may wait for one client, so they are sent in pages:
// the first with the SUBACK, each further one when the client has read enough of those before.
//
// A page is written past the round log, after a flush: it is behind all that was published before
// and never dropped for want of room. A message that was replaced or cleared since its filter was
// matched is left out, as the subscriber got the newer one live.

// replay is what a client has still to get.
type replay struct {
	filters  []string                  // not looked up yet, none twice
	filter   string                    // whose packets are being sent
	messages []*router.RetainedMessage // of filter, not sent yet
}

const (
	replayPause     = 5 * time.Millisecond // between two pages (chosen)
	replayTurnBytes = 1 << 20              // of all pages of a turn: others wait no longer (chosen)
	replayLookups   = 16                   // filters looked up for one page (chosen)
)

// startReplay sends c the first page of the retained messages that match the filters.
func (l *loop) startReplay(c *conn, filters []string) {
	if len(filters) == 0 || l.server.retained.Len() == 0 {
		return
	}
	if c.replay == nil {
		c.replay = new(replay)
		l.replaying = append(l.replaying, c)
	}
	c.replay.add(filters)
	l.flush()
	l.writeReplies() // the SUBACK first
	l.sendPage(c)
	l.continueReplay()
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

// replayAll sends a page to each client that waits for one and has room, those first that did not
// have their turn the last time.
func (l *loop) replayAll() {
	l.replayArmed = false
	if l.quiesced {
		return
	}
	l.flush()
	sent, turn := 0, 0
	for ; turn < len(l.replaying) && sent < replayTurnBytes; turn++ {
		sent += l.sendPage(l.replaying[turn])
	}
	l.replaying = append(l.replaying[turn:], l.replaying[:turn]...)
	l.continueReplay()
}

// continueReplay forgets the clients that have got all and has the others get a page soon.
func (l *loop) continueReplay() {
	left := l.replaying[:0]
	for _, c := range l.replaying {
		if c.live() && c.replay != nil {
			left = append(left, c)
		}
	}
	clear(l.replaying[len(left):])
	l.replaying = left
	if len(left) > 0 && !l.replayArmed {
		l.replayArmed = true
		time.AfterFunc(replayPause, func() { l.post(letter{kind: letterReplay}) })
	}
}

// sendPage writes as many retained messages to c as fit into half of what may wait for it, and
// returns their size. Live messages have the other half.
func (l *loop) sendPage(c *conn) (bytes int) {
	if c.replay == nil || !c.live() {
		return 0
	}
	buffered := c.gc.OutboundBuffered()
	page := page{bytes: l.gather[:0], room: l.server.config.ClientBufferBytes/2 - buffered, alone: buffered == 0}
	c.replay.fill(&page, l.server.retained, c.session)
	if c.replay.done() {
		c.replay = nil
	}
	l.gather = page.bytes
	if page.count > 0 {
		l.deliveries.add(page.count)
		l.write(c, page.bytes)
	}
	return len(page.bytes)
}

// page is what goes out to one client in one turn.
type page struct {
	bytes []byte
	room  int
	alone bool // nothing else waits: one message may be larger than the room
	count uint64
}

func (p *page) fits(size int) bool { return len(p.bytes)+size <= p.room || p.alone && p.count == 0 }

// fill moves messages into the page until it is full, all are in it, or enough filters were looked
// up for one turn. A filter that was unsubscribed meanwhile is passed over.
func (r *replay) fill(p *page, retained *router.Retained, s *session.Session) {
	for lookups := 0; ; lookups++ {
		if s.Subscribed(r.filter) {
			for i, m := range r.messages {
				if !p.fits(len(m.Packet())) {
					r.messages = r.messages[i:]
					return
				}
				if m.Current() {
					p.bytes = append(p.bytes, m.Packet()...)
					p.count++
				}
			}
		}
		r.messages = nil
		if len(r.filters) == 0 || lookups == replayLookups {
			return
		}
		r.filter, r.filters = r.filters[0], r.filters[1:]
		if s.Subscribed(r.filter) {
			r.messages = retained.Match(r.filter, nil)
		}
	}
}

func (r *replay) done() bool { return len(r.messages) == 0 && len(r.filters) == 0 }

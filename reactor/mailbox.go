package reactor

import (
	"sync"
	"sync/atomic"

	"mqttd/router"
)

// letter is what one loop, or the server, tells another loop.
type letter struct {
	kind   letterKind
	conn   *conn      // letterKick, letterReleased, letterSend: whom it concerns
	waiter *conn      // letterKick: who waits for it
	answer chan<- int // letterQuiesce, letterPending
	call   func()     // letterCall
}

type letterKind uint8

const (
	letterTick     letterKind = iota // a second has passed
	letterLook                       // look at the congested connections
	letterRelieve                    // close the connection for which most waits
	letterKick                       // close conn: waiter has taken its Client Identifier over
	letterReleased                   // the connection that conn waits for is gone
	letterSend                       // the outbox of conn's session has something to be sent
	letterSaved                      // the store has committed
	letterQuiesce                    // read no more input, flush, then answer
	letterPending                    // answer with the bytes that wait for this loop's readers
	letterCall                       // call
)

// mailboxBytesMax is how many bytes of logs may wait for one loop before the others wait for it, see
// await; each may pass it by one log. (chosen: about twenty full logs)
const mailboxBytesMax = 4 << 20

// mailbox is a loop's inbox. Logs are first in, first out, for order per publisher depends on
// it, and so are letters; a letter is opened after the logs that came before it. Any goroutine
// may push.
type mailbox struct {
	loop     int         // immutable; index of the loop it belongs to
	attended atomic.Bool // the loop takes what is in here before it sleeps, without being rung

	mu      sync.Mutex
	logs    []*roundLog // guarded by mu
	letters []letter    // guarded by mu
	bytes   int         // guarded by mu; of logs pushed and not yet delivered
	spare   *roundLog   // guarded by mu; empty, for merging
	lost    lostRuns    // guarded by mu; what did not get in
}

// lostRuns counts the messages of each route that a loop's readers do not get; nil: none. There are no more
// routes in it than subscriptions have.
type lostRuns map[*router.Route]uint64

// push adds a letter and reports whether the loop must be rung: the box was empty and is unattended.
func (m *mailbox) push(l letter) (ring bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters = append(m.letters, l)
	return len(m.letters) == 1 && len(m.logs) == 0 && !m.attended.Load()
}

// pushLog adds a log, and a reference to it, unless too much waits already. Logs that pile up are
// merged, so that what waits takes no more memory than its bytes and goes out in one write per
// reader.
func (m *mailbox) pushLog(g *roundLog) (ring, ok bool) {
	shared, ring, ok := m.pushOrMerge(g)
	if shared != nil {
		shared.release()
	}
	return ring, ok
}

// pushOrMerge also returns a log that was waiting and has been merged, to be released.
func (m *mailbox) pushOrMerge(g *roundLog) (shared *roundLog, ring, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes >= mailboxBytesMax { // of any size: a large log must not starve behind small ones
		return nil, false, false
	}
	if len(m.logs) == 0 {
		g.refs.Add(1)
		m.logs = append(m.logs, g)
		m.bytes += len(g.bytes)
		return nil, len(m.letters) == 0 && !m.attended.Load(), true
	}
	last := m.logs[len(m.logs)-1]
	switch {
	case len(last.bytes)+len(g.bytes) > flushBytes:
		last = m.takeSpare()
		m.logs = append(m.logs, last)
	case !last.merged: // it is shared with other loops, so a copy takes its place
		shared, last = last, m.takeSpare()
		last.merge(shared, m.loop)
		m.logs[len(m.logs)-1] = last
		m.bytes += len(last.bytes) - len(shared.bytes)
	}
	before := len(last.bytes)
	last.merge(g, m.loop)
	m.bytes += len(last.bytes) - before
	return shared, false, true
}

func (m *mailbox) takeSpare() *roundLog {
	g := m.spare
	m.spare = nil
	if g == nil {
		g = &roundLog{merged: true}
	}
	return g
}

// take empties the box. The caller gives each log back with delivered.
func (m *mailbox) take() (logs []*roundLog, letters []letter, lost lostRuns) {
	m.mu.Lock()
	defer m.mu.Unlock()
	logs, letters, lost = m.logs, m.letters, m.lost
	m.logs, m.letters, m.lost = nil, nil, nil
	return logs, letters, lost
}

// lose notes that a log is not delivered to the loop's readers.
func (m *mailbox) lose(g *roundLog) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost == nil {
		m.lost = make(lostRuns)
	}
	for _, r := range g.runs {
		m.lost[r.route] += r.messages
	}
}

// delivered takes a log back that was taken: there is room for another. A merged one is used
// again.
func (m *mailbox) delivered(g *roundLog) {
	bytes, keep := len(g.bytes), g.merged && cap(g.bytes) <= logBytesCap
	if keep {
		g.reset()
	}
	m.mu.Lock()
	m.bytes -= bytes
	if keep {
		m.spare = g
	}
	m.mu.Unlock()
	if !g.merged {
		g.release()
	}
}

// post puts a letter into the loop's mailbox. Any goroutine may call it.
func (l *loop) post(m letter) {
	if l.mailbox.push(m) {
		l.ring()
	}
}

// offer puts a log into the loop's mailbox, with a reference of its own, and reports whether there
// was room. Any loop may call it with a log of its own.
func (l *loop) offer(g *roundLog) bool {
	ring, ok := l.mailbox.pushLog(g)
	if ring {
		l.ring()
	}
	return ok
}

// countLost takes lost messages into the books of their readers.
func (l *loop) countLost(lost lostRuns) {
	for route, messages := range lost {
		for _, t := range l.match(&run{route: route, messages: messages}) {
			if c := l.reader(t.ID); c != nil {
				l.lose(c, ReasonHandover, messages)
			} else {
				l.dropped[ReasonHandover].add(messages)
			}
		}
	}
}

package reactor

import (
	"sync"

	"mqttd/session"
)

// letter is what one loop, or the server, tells another loop.
type letter struct {
	kind   letterKind
	log    *roundLog      // letterLog
	handle session.Handle // letterKick, letterReleased: whom it concerns
	reply  session.Handle // letterKick: who waits for it
	answer chan<- int     // letterQuiesce, letterPending
}

type letterKind uint8

const (
	letterLog      letterKind = iota // deliver log to this loop's readers, then release it
	letterTick                       // a second has passed
	letterKick                       // close handle: reply has taken its Client Identifier over
	letterReleased                   // the connection that handle waits for is gone
	letterQuiesce                    // read no more input, flush, then answer
	letterPending                    // answer with the bytes that wait for this loop's readers
)

// mailboxBytesMax is how many bytes of logs may wait for one loop. A loop that would pass it
// waits for the other, see handOver. (chosen: about twenty full logs)
const mailboxBytesMax = 4 << 20

// mailbox is a loop's first-in first-out inbox: order per publisher depends on it. Any
// goroutine may push.
type mailbox struct {
	mu      sync.Mutex
	letters []letter // guarded by mu
	bytes   int      // guarded by mu; of logs pushed and not yet delivered
}

// push adds a letter and reports whether the box was empty: then the loop must be rung.
func (m *mailbox) push(l letter) (ring bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters = append(m.letters, l)
	return len(m.letters) == 1
}

// pushLog adds a log unless too much waits already. One log is always taken.
func (m *mailbox) pushLog(g *roundLog) (ring, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes > 0 && m.bytes+len(g.bytes) > mailboxBytesMax {
		return false, false
	}
	m.bytes += len(g.bytes)
	m.letters = append(m.letters, letter{kind: letterLog, log: g})
	return len(m.letters) == 1, true
}

// take swaps the letters for an empty slice.
func (m *mailbox) take(empty []letter) []letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	letters := m.letters
	m.letters = empty
	return letters
}

// delivered makes room for so many bytes of logs.
func (m *mailbox) delivered(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes -= bytes
}

package reactor

import (
	"slices"
	"time"
)

// A turn is what a loop does between two looks at its sockets. It is bounded, so that no client waits long
// because another has much to be done: a publish to 50,000 readers, a mass disconnect with a Will each. What
// a turn leaves is done in the next ones, each reader's messages in order.

// turnMax is how long a turn writes and buries; postponedMax is the part of it for what earlier turns have
// left. One SUBSCRIBE, one read of 64 KiB and the rebuilding of a route are not interrupted. (chosen)
const (
	turnMax      = 4 * time.Millisecond
	postponedMax = turnMax / 2
)

// turn measures one. The zero turn has just begun.
type turn struct {
	began time.Time // zero: not looked at the clock yet
	work  int       // since the last look, in about 2 µs
	over  bool
}

// workLook is how much work is done between two looks at the clock. (chosen: about 0.1 ms)
const workLook = 64

// spent counts work and reports whether the turn has taken longer than max. The clock is first looked at
// after workLook, so that small turns do not pay for it.
func (t *turn) spent(work int, max time.Duration) bool {
	if t.work += work; t.work < workLook {
		return t.over
	}
	t.work = 0
	if t.began.IsZero() {
		t.began = time.Now()
		return t.over
	}
	t.over = time.Since(t.began) > max
	return t.over
}

// What is done in a turn, in the unit of turn.spent. (measured, roughly)
const (
	closeWork = 8  // closing a connection
	buryWork  = 2  // and what is left to do about it
	lookWork  = 32 // looking for retained messages, see replayNodes
)

// turnLeast is how many connections a turn closes, and buries, however long it has taken: a loop that is
// overloaded must get rid of them. (chosen)
const turnLeast = 16

// writeWork is the work of a write of n bytes.
func writeWork(n int) int { return 1 + n>>12 }

// writePostponed writes what earlier turns have left, first come, first served.
func (l *loop) writePostponed() {
	more := func(int) bool { return !l.turn.over }
	l.inTurn(&l.postponed, inPostponed, more, func(c *conn) {
		if c.live() && c.pace == postponed {
			l.turn.spent(writeWork(c.backlog.bytes), postponedMax)
			l.refill(c)
		}
	})
	l.turn.over = false // the other part is for what is new
	switch {
	case len(l.postponed) > 0:
		l.again()
	case !l.lateBegan.IsZero():
		l.watch.fannedOut(l.lateBegan, l.lateFirst)
		l.lateBegan = time.Time{}
	}
}

// lists are the loop's lists that a connection stands in, at most once in each.
type lists uint8

const (
	inPostponed lists = 1 << iota
	inCongested
	inReplaying
	inExpired
	inReaped
	inSending
	inUnsent
)

// list puts c at the end of a list of the loop, unless it stands there.
func (l *loop) list(list *[]*conn, c *conn, as lists) {
	if c.lists&as == 0 {
		c.lists |= as
		*list = append(*list, c)
	}
}

// inTurn takes connections out of a list, as long as more says so of the number done, and has each see to. One
// that panics costs itself only.
func (l *loop) inTurn(list *[]*conn, as lists, more func(done int) bool, see func(c *conn)) {
	done := 0
	defer func() { *list = slices.Delete(*list, 0, done) }()
	for done < len(*list) && more(done) {
		c := (*list)[done]
		done++
		c.lists &^= as
		l.protectFrom(c, see)
	}
}

// protectFrom runs f and survives its panic, which costs c its connection.
func (l *loop) protectFrom(c *conn, f func(c *conn)) {
	defer l.rescue(c)
	f(c)
}

// beginTurn starts the clock anew: before what is done at the end of a round, and before the next round's
// input, which may be so much that it is delivered at once.
func (l *loop) beginTurn() { l.turn = turn{began: l.turnBegins} }

// again has the loop take another turn after it has looked at its sockets.
func (l *loop) again() {
	if !l.rung {
		l.rung = true
		l.ring()
	}
}

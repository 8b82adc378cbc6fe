package reactor

import (
	"math"
	"sync/atomic"
	"time"
)

// LoopStats says how a loop is doing.
type LoopStats struct {
	Index       int
	Connections int // open sockets

	// Turn is what the tick of the last second had to wait for the loop to see to it, as a client's input
	// has to; while one waits, no less than it has waited so far. TurnMax is the largest of the last minute.
	Turn, TurnMax time.Duration

	// Busy is the share of the last second in which the loop had something to do, 0 to 1, and BusyTotal that
	// time from the start to the last tick. Both are estimates, include the time in which the loop had no
	// processor, and are never more than the time that has passed.
	Busy      float64
	BusyTotal time.Duration
}

// Loops returns how each loop is doing, without asking it. Any goroutine may call it.
func (s *Server) Loops() []LoopStats {
	list := make([]LoopStats, len(s.loops))
	for i, l := range s.loops {
		list[i] = l.watch.stats()
		list[i].Index = i
	}
	return list
}

// Fanout returns, for round logs with fanoutReadersMin readers or more on a loop, how long it was from the first
// message in it to the last write on that loop, and from the first of its writes to the last.
func (s *Server) Fanout() (latency, skew Histogram) {
	for _, l := range s.loops {
		l.watch.fanout.addTo(&latency)
		l.watch.skew.addTo(&skew)
	}
	return latency, skew
}

// fanoutReadersMin is the number of readers from which on a delivery is timed. (chosen: looking at the clock is
// nothing beside so many writes)
const fanoutReadersMin = 8

// watch is what others may know of a loop without asking it. The loop writes it, unless it is said otherwise;
// all but what is loop-confined may be loaded by anyone.
type watch struct {
	desk  chan struct{} // immutable; holds a token for each question that waits, see query
	epoch time.Time     // immutable; tickAt counts from it

	tickAt      atomic.Int64 // when the letterTick in the mailbox was posted; 0: there is none. Written by posted too
	waits       [turnsKept]atomic.Int64
	lastWait    atomic.Int32  // index into waits
	connections atomic.Int64  // at the last tick
	busyShare   atomic.Uint64 // of the last second; the bits of a float64
	busyTotal   counter       // nanoseconds

	fanout, skew histogram // see Server.Fanout

	busy       busyMeter // loop-confined
	tickBefore time.Time // loop-confined
}

const turnsKept = 60

func newWatch() watch {
	now := time.Now()
	return watch{desk: make(chan struct{}, questionsMax), epoch: now, tickBefore: now}
}

// posted notes that a letterTick is going to be posted, when none waits. The server's ticker calls it.
func (w *watch) posted() { w.tickAt.Store(max(1, int64(time.Since(w.epoch)))) }

// opened notes that the letterTick is opened.
func (w *watch) opened(connections int) {
	now := time.Now()
	busy := w.busy.take(now)
	if posted := w.tickAt.Swap(0); posted != 0 {
		wait := int64(now.Sub(w.epoch)) - posted
		next := (w.lastWait.Load() + 1) % turnsKept
		w.waits[next].Store(wait)
		w.lastWait.Store(next)
		busy = max(busy, time.Duration(wait)) // a round that stood still may not have been measured
	}
	w.connections.Store(int64(connections))
	passed := max(1, now.Sub(w.tickBefore))
	busy = min(busy, passed)
	w.busyShare.Store(math.Float64bits(float64(busy) / float64(passed)))
	w.busyTotal.add(uint64(busy))
	w.tickBefore = now
}

// fannedOut counts a log that has just been delivered to fanoutReadersMin readers of this loop or more: began is
// when the first message was appended to it, first when the first write began.
func (w *watch) fannedOut(began, first time.Time) {
	now := time.Now()
	w.fanout.observe(now.Sub(began))
	w.skew.observe(now.Sub(first))
}

func (w *watch) stats() LoopStats {
	st := LoopStats{
		Connections: int(w.connections.Load()),
		Turn:        time.Duration(w.waits[w.lastWait.Load()].Load()),
		Busy:        math.Float64frombits(w.busyShare.Load()),
		BusyTotal:   time.Duration(w.busyTotal.load()),
	}
	if posted := w.tickAt.Load(); posted != 0 {
		st.Turn = max(st.Turn, time.Since(w.epoch)-time.Duration(posted))
	}
	st.TurnMax = st.Turn
	for i := range w.waits {
		st.TurnMax = max(st.TurnMax, time.Duration(w.waits[i].Load()))
	}
	return st
}

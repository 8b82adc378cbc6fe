package bench

import "math"

// flow follows one publisher's messages to its subscribers. Loop-confined.
//
//	acked <= sent, next[i] <= sent
type flow struct {
	class        int32  // who reads it, see plan
	orderedEvery uint64 // messages n and n + orderedEvery have the same topic, so their order counts
	sent         uint64 // messages sent, and the next sequence number
	acked        uint64 // no subscriber still waits for a message below; the window counts from here
	behind       int    // subscribers with next <= acked; when it reaches 0, acked can grow
	next         []uint64
	gaps         map[int]*gaps // by ordinal; only subscribers that missed something
	moved        bool          // acked grew; the meter passes this on and clears it
	// activeNs is when a message was last sent, first delivered to one of the subscribers, or acknowledged.
	activeNs int64
}

func newFlow(class int32, fanout, orderedEvery int) *flow {
	return &flow{class: class, orderedEvery: uint64(orderedEvery), behind: fanout, next: make([]uint64, fanout), gaps: map[int]*gaps{}}
}

// verdict is what a sequence number says about a delivery.
type verdict uint8

const (
	inOrder    verdict = iota
	afterGap           // later than the one expected: those between are missing
	overtaken          // it was missing, and arrives after a later one, but none of its topic: that is in order
	outOfOrder         // it was missing, and arrives after a later one of its topic
	duplicate
	unexpected // never sent
)

// deliverNext is deliver for the usual case, cheap enough to be inlined: it reports whether the
// sequence number is the one expected, and does nothing when it is not.
func (f *flow) deliverNext(ordinal int, sequence uint64) bool {
	if sequence != f.next[ordinal] || sequence >= f.sent {
		return false
	}
	f.next[ordinal] = sequence + 1
	if sequence == f.acked {
		f.caughtUp()
	}
	return true
}

// deliver records that the subscriber at ordinal received a sequence number. missing is by how much
// the number of messages missing changed; it is positive only after a gap.
func (f *flow) deliver(ordinal int, sequence uint64) (v verdict, missing int64) {
	next := f.next[ordinal]
	if sequence >= f.sent {
		return unexpected, 0
	}
	if sequence < next {
		g := f.gaps[ordinal]
		switch {
		case g == nil || !g.fill(sequence):
			return duplicate, 0
		case f.laterOfItsTopic(g, sequence, next):
			return outOfOrder, -1
		}
		return overtaken, -1
	}
	f.next[ordinal] = sequence + 1
	if next <= f.acked && sequence >= f.acked {
		f.caughtUp()
	}
	if sequence == next {
		return inOrder, 0
	}
	f.miss(ordinal, next, sequence)
	return afterGap, int64(sequence - next)
}

// laterOfItsTopic reports whether a later message of the same topic, below next, has arrived: order is
// promised within a topic only [MQTT-4.6.0-6].
func (f *flow) laterOfItsTopic(g *gaps, sequence, next uint64) bool {
	for later := sequence + f.orderedEvery; later < next; later += f.orderedEvery {
		if !g.holds(later) {
			return true
		}
	}
	return false
}

// outstanding returns the number of messages that some subscriber still waits for.
func (f *flow) outstanding() int { return int(f.sent - f.acked) }

// giveUp stops waiting for every message sent so far. Late ones are still recognised.
func (f *flow) giveUp() {
	f.acked = f.sent
	f.behind = len(f.next)
}

// caughtUp is called when one subscriber passes acked. The scan costs nothing in the long run: all
// subscribers must pass before there is another.
func (f *flow) caughtUp() {
	f.behind--
	if f.behind > 0 {
		return
	}
	least := uint64(math.MaxUint64)
	for _, next := range f.next {
		if next < least {
			least, f.behind = next, 0
		}
		if next == least {
			f.behind++
		}
	}
	f.acked, f.moved = least, true
}

func (f *flow) miss(ordinal int, from, to uint64) {
	g := f.gaps[ordinal]
	if g == nil {
		g = &gaps{}
		f.gaps[ordinal] = g
	}
	g.add(from, to)
}

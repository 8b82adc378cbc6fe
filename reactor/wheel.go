package reactor

// wheel finds the connections of one loop that have been silent for too long, without a timer
// per client. It is loop-confined.
//
// A tick is a second. A connection stands in the bucket of the tick at which it will be due if
// nothing more comes from it. Input only stores the current tick in the connection; when the
// bucket's turn comes, those that were heard of meanwhile are filed again further on. Every
// connection of the loop stands in the wheel, one without patience in a bucket of its own.
type wheel struct {
	now     uint32
	buckets [wheelSize]*conn // heads of lists
	quiet   *conn            // connections that are never due
	size    int              // connections in it
}

// wheelSize is the number of ticks ahead that have a bucket. A connection due later is filed
// under the last of them and again from there. (chosen: 85 s of Keep Alive without refiling)
const wheelSize = 128

// file puts c where it belongs, counting its patience from the tick it was last heard of.
func (w *wheel) file(c *conn) {
	w.size++
	head := &w.quiet
	if c.patienceTicks > 0 {
		due := c.seenTick + c.patienceTicks
		if ahead := int32(due - w.now); ahead < 1 {
			due = w.now + 1
		} else if ahead >= wheelSize {
			due = w.now + wheelSize - 1
		}
		c.deadlineTick = due
		head = &w.buckets[due%wheelSize]
	}
	c.prevInWheel, c.nextInWheel = nil, *head
	if *head != nil {
		(*head).prevInWheel = c
	}
	*head = c
}

// remove takes c out.
func (w *wheel) remove(c *conn) {
	w.size--
	switch {
	case c.prevInWheel != nil:
		c.prevInWheel.nextInWheel = c.nextInWheel
	case c.patienceTicks == 0:
		w.quiet = c.nextInWheel
	default:
		w.buckets[c.deadlineTick%wheelSize] = c.nextInWheel
	}
	if c.nextInWheel != nil {
		c.nextInWheel.prevInWheel = c.prevInWheel
	}
	c.prevInWheel, c.nextInWheel = nil, nil
}

// refile gives c a new patience, in ticks from now; 0: it is never due.
func (w *wheel) refile(c *conn, patienceTicks uint32) {
	w.remove(c)
	c.seenTick, c.patienceTicks = w.now, patienceTicks
	w.file(c)
}

// advance moves on by a tick and calls expired for each connection that is due. expired may
// remove the connection it is called with, and no other.
func (w *wheel) advance(expired func(*conn)) {
	w.now++
	for c := w.buckets[w.now%wheelSize]; c != nil; {
		next := c.nextInWheel
		if int32(c.seenTick+c.patienceTicks-w.now) > 0 {
			w.remove(c)
			w.file(c)
		} else {
			expired(c)
		}
		c = next
	}
}

// each visits all connections. visit may remove the connection it is called with, and no other.
func (w *wheel) each(visit func(*conn)) {
	eachOf(w.quiet, visit)
	for _, head := range w.buckets {
		eachOf(head, visit)
	}
}

func eachOf(c *conn, visit func(*conn)) {
	for c != nil {
		next := c.nextInWheel
		visit(c)
		c = next
	}
}

// patienceFor returns how many ticks a silence of at least so many milliseconds takes: one more
// than it fills, as the tick in which the silence began had begun already.
func patienceFor(milliseconds uint32) uint32 { return (milliseconds+999)/1000 + 1 }

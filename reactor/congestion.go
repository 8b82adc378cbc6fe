package reactor

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"mqttd/codec"
)

// A connection whose socket takes no more is congested. gnet has no callback for a socket that takes more
// again, but it writes what it has buffered when that happens. So it gets the next few bytes of the backlog,
// the lead: when it has got rid of them, the socket takes more. While a loop has congested connections it
// looks for such every few milliseconds, which costs a comparison for each of those that are stalled.

// congestion is what a loop keeps of a congested connection.
type congestion struct {
	led        bool   // gnet has had a lead
	moved      bool   // the socket has taken something since the last tick
	sendQueue  int    // bytes in the kernel at the last tick
	quietTicks uint32 // for which nothing has moved
	above      int32  // the last item of the backlog with messages above QoS 0, see waitAbove; 0: none waits
	replies    int    // bytes of the backlog that waitReplies has put there, with itemBytes each
}

// leadBytesMax bounds the lead. (chosen: half of the smallest buffer that gnet makes)
const leadBytesMax = 512

// The pause between two looks at the congested connections: the shorter while some move, the longer when none
// does. (chosen)
const (
	lookPauseMin = 2 * time.Millisecond
	lookPauseMax = 32 * time.Millisecond
)

// push writes p to c's socket and returns how many bytes that took. Nothing may wait for c.
func (l *loop) push(c *conn, p []byte) (n int) {
	defer l.rescue(c)
	if fd := c.gc.Fd(); fd >= 0 {
		n = sendNow(fd, p)
	} else {
		n, _ = c.gc.Write(p) // no socket: it buffers by itself
	}
	l.tally.bytesSent += n
	return n
}

// block makes c, whose socket has taken only the first n bytes of packets, a congested one. packets are
// messages, or with none of them replies. What is begun must be finished; the rest has to find room. copies keeps
// the copies made of packets; nil: they lie in scratch space, or are nobody else's.
func (l *loop) block(c *conn, packets []byte, n int, messages uint64, copies *shares) {
	whole, count := wholePackets(packets, n)
	if messages > 0 {
		l.deliveredTo(c, count)
		messages -= count
	}
	n -= whole
	packets = packets[whole:]
	if copies == nil {
		copies = new(shares)
	}
	l.congest(c)
	if n > 0 {
		size := codec.PacketSize(packets)
		begun := item{share: copies.beginning(packets[:size]), sent: n, messages: min(messages, 1)}
		begun.packets = begun.share.bytes
		l.add(&c.backlog, begun)
		packets, messages = packets[size:], messages-begun.messages
	}
	switch {
	case len(packets) == 0:
	case messages > 0 && c.replay == nil:
		l.wait(c, packets, messages, copies)
	default: // replies and retained messages always find room
		l.add(&c.backlog, copies.item(packets, messages))
	}
	if c.live() {
		l.lead(c)
	}
}

// beginning returns a copy of a packet that is begun. Many readers stop within the same large message; a small one
// has a copy for each.
func (s *shares) beginning(packet []byte) *share {
	if len(packet) <= beginningBytesMin {
		return copyOf(packet)
	}
	return s.whole(packet)
}

// beginningBytesMin is the size from which on a packet that is begun is shared. (chosen)
const beginningBytesMin = 4 << 10

// congest lists c as congested.
func (l *loop) congest(c *conn) {
	c.pace = blocked
	c.congestion = &congestion{sendQueue: -1}
	l.congestedCount++
	l.list(&l.congested, c, inCongested)
	l.armLook()
}

// lead gives gnet the next bytes of c's backlog, never the last of a packet: what gnet has counts as waiting. It
// reports whether c is still congested: gnet may find that the socket takes them now. When there is but a byte left
// of a packet, gnet gets nothing, and each look tries the socket.
func (l *loop) lead(c *conn) bool {
	for c.live() && !c.backlog.empty() {
		it := l.items.at(c.backlog.first)
		rest := it.packets[it.sent:codec.PacketSize(it.packets)]
		if len(rest) == 1 {
			return true
		}
		p := rest[:min(len(rest)-1, leadBytesMax)]
		l.tally.bytesSent += len(p)
		l.consume(c, len(p))
		_, _ = c.gc.Write(p) // a failure has closed c already
		if c.live() && c.gc.OutboundBuffered() > 0 {
			c.congestion.led = true
			return true
		}
	}
	return false
}

// refill writes as much of c's backlog as the socket takes. c is postponed or congested, and gnet has
// nothing buffered for it.
func (l *loop) refill(c *conn) {
	for c.live() && !c.backlog.empty() {
		p := l.head(c)
		n := l.push(c, p)
		if !c.live() {
			return
		}
		if n > 0 && c.congestion != nil {
			c.congestion.moved = true
		}
		l.consume(c, n)
		if n == len(p) {
			continue
		}
		if c.pace != blocked {
			l.congest(c)
			l.sendSoon(c)
		}
		if l.lead(c) {
			return
		}
	}
	if c.live() {
		l.uncongest(c)
	}
}

// uncongest lets c flow again: nothing waits for it any more.
func (l *loop) uncongest(c *conn) {
	if c.pace == blocked {
		l.congestedCount--
	}
	c.congestion = nil
	c.backlog.topics = nil
	c.pace = flowing
	if c.replay != nil {
		l.hold(c)
	}
	l.sendSoon(c)
}

// headBytesMax is how much of a backlog is gathered for one write. (chosen)
const headBytesMax = 128 << 10

// head returns the beginning of c's backlog, gathered if its items are small.
func (l *loop) head(c *conn) []byte {
	it := l.items.at(c.backlog.first)
	p := it.packets[it.sent:]
	if it.next == 0 || len(p) >= headBytesMax/4 {
		return p
	}
	l.gather = append(l.gather[:0], p...)
	for i := it.next; i != 0; i = it.next {
		it = l.items.at(i)
		if len(l.gather)+len(it.packets) > headBytesMax {
			break
		}
		l.gather = append(l.gather, it.packets...)
	}
	return l.gather
}

// lookAtCongested refills the connections whose sockets take more again, as many as half a turn allows, which
// is theirs whatever else the loop has to do.
func (l *loop) lookAtCongested() {
	outer := l.turn
	defer func() {
		l.turn = outer
		l.armLook()
	}()
	l.looking = false
	l.beginTurn()
	moved, seen := false, len(l.congested)
	more := func(done int) bool { return done < seen && !l.turn.over }
	l.inTurn(&l.congested, inCongested, more, func(c *conn) {
		if c.live() && c.pace == blocked && c.gc.OutboundBuffered() == 0 {
			l.turn.spent(writeWork(c.backlog.bytes), postponedMax)
			g := c.congestion
			g.moved, g.led = g.moved || g.led, false
			l.refill(c)
			moved = moved || g.moved
		}
		if c.live() && c.pace == blocked {
			l.list(&l.congested, c, inCongested)
		}
	})
	l.lookPause = min(2*l.lookPause, lookPauseMax)
	if moved {
		l.lookPause = lookPauseMin
	}
}

// armLook has the loop look at the congested connections soon.
func (l *loop) armLook() {
	if l.looking || len(l.congested) == 0 {
		return
	}
	if l.lookPause == 0 {
		l.lookPause = lookPauseMin
	}
	l.looking = true
	time.AfterFunc(l.lookPause, func() { l.post(letter{kind: letterLook}) })
}

// cutStalled closes the congested connections that have taken nothing for the stall timeout, and updates what
// is known of the largest backlog. It is called every second.
func (l *loop) cutStalled() {
	patience := patienceFor(uint32(l.config.StallTimeout / time.Millisecond))
	l.largest()
	for _, c := range l.congested {
		if !c.live() || c.pace != blocked || c.reason != nil {
			continue
		}
		g := c.congestion
		queue, err := unix.IoctlGetInt(c.gc.Fd(), unix.SIOCOUTQ)
		if err != nil {
			queue = g.sendQueue
		}
		idle := queue == 0 && c.gc.OutboundBuffered() == 0 // it is the loop that is behind
		if g.moved || idle || queue < g.sendQueue || g.sendQueue < 0 {
			g.quietTicks = 0
		}
		g.quietTicks++
		g.moved, g.sendQueue = false, queue
		if g.quietTicks >= patience {
			l.stallCuts.add(1)
			l.expire(c, errStalled)
		}
	}
}

// endBacklog closes the books of a connection that has just closed: what waits is lost.
func (l *loop) endBacklog(c *conn) {
	if c.pace == blocked {
		l.congestedCount--
	}
	l.abandon(c, &c.backlog)
	l.endReplay(c)
	c.congestion = nil
}

var errStalled = errors.New("took nothing of what waits for it within -stall-timeout")

package reactor

import "mqttd/codec"

// A reader that takes what it gets has no backlog: its messages go from the round log to the socket. What
// its socket does not take waits here, in order, as references to packets that all readers in its situation
// share: one copy per span of a log and loop, whatever their number.

// pace says when a connection is written to.
type pace uint8

const (
	// flowing: at once; nothing waits.
	flowing pace = iota
	// postponed: in its turn; a turn of the loop was over before this reader's came, see turn.
	postponed
	// blocked: when its socket takes more, see congestion.
	blocked
	// held: replies and retained messages at once, live messages when those are through, see replay.
	held
)

// backlog is what waits for one reader: a list of items. It is loop-confined.
type backlog struct {
	first, last int32  // indices into items.all plus one; 0: none
	messages    uint64 // in it
	bytes       int    // of it, and of what keeps the books: itemBytes each

	topics map[string]int32 // the item with a topic's newest message, see conflate; nil: not asked for yet
}

func (b *backlog) empty() bool { return b.first == 0 }

// item is a span of whole packets in a backlog.
type item struct {
	packets  []byte // part of share
	share    *share
	sent     int    // bytes of the first packet that are sent already
	messages uint64 // of QoS 0 in it; 0: replies, or messages above QoS 0
	next     int32  // index plus one; 0: none
	replies  bool   // it was put there by waitReplies
}

// waiting returns what an item adds to the bytes of its backlog.
func (it *item) waiting() int { return len(it.packets) - it.sent + itemBytes }

// itemBytes is what an item costs besides its packets, so that a backlog of tiny messages does not take many
// times its limit. (measured: 64, the allocation of a share, and with conflation the topic's place in a map)
const itemBytes = 128

// items are the items of a loop's backlogs. It is loop-confined. Indices count from one.
type items struct {
	all  []item
	free int32 // a list through next; 0: none
	used int
}

// itemsKeep is how many items are kept when none is used any more. (chosen: 200 KiB)
const itemsKeep = 4096

func (s *items) at(i int32) *item { return &s.all[i-1] }

func (s *items) put(it item) int32 {
	s.used++
	if i := s.free; i != 0 {
		s.free = s.at(i).next
		*s.at(i) = it
		return i
	}
	s.all = append(s.all, it)
	return int32(len(s.all))
}

func (s *items) drop(i int32) {
	*s.at(i) = item{next: s.free}
	s.free = i
	if s.used--; s.used == 0 && cap(s.all) > itemsKeep {
		*s = items{}
	}
}

// add puts an item at the end of a backlog and returns its index. When the buffers of all clients are full now, the
// largest backlog goes at the end of the turn.
func (l *loop) add(b *backlog, it item) int32 {
	i := l.put(it)
	if b.last == 0 {
		b.first = i
	} else {
		l.items.at(b.last).next = i
	}
	b.last = i
	l.waits(b, it.waiting(), int64(it.messages))
	return i
}

// put stores an item, and with it a reference to its share.
func (l *loop) put(it item) int32 {
	l.holdShare(it.share)
	if l.server.buffered.Add(itemBytes) > l.server.bufferedMax.Load() {
		l.relieveDue = true
	}
	return l.items.put(it)
}

// drop gives an item back.
func (l *loop) drop(i int32) {
	l.releaseShare(l.items.at(i).share)
	l.server.buffered.Add(-itemBytes)
	l.items.drop(i)
}

// waits counts what is added to a backlog, or taken out.
func (l *loop) waits(b *backlog, bytes int, messages int64) {
	b.bytes += bytes
	b.messages += uint64(messages)
	l.tally.waitingBytes += int64(bytes)
	l.tally.waitingMessages += messages
}

// unlink takes an item out of a backlog, without counting it. before is the item before it, 0 when it is the
// first.
func (l *loop) unlink(b *backlog, before, i int32) {
	next := l.items.at(i).next
	if before == 0 {
		b.first = next
	} else {
		l.items.at(before).next = next
	}
	if b.last == i {
		b.last = before
	}
	l.drop(i)
}

// consume counts n bytes of c's backlog as sent, and the messages that are sent whole as delivered.
func (l *loop) consume(c *conn, n int) {
	b := &c.backlog
	for n > 0 {
		it := l.items.at(b.first)
		b.unfollow(it, b.first)
		if rest := len(it.packets) - it.sent; n >= rest {
			n -= rest
			l.deliveredTo(c, it.messages)
			l.waits(b, -it.waiting(), -int64(it.messages))
			if it.replies {
				c.congestion.replies -= it.waiting()
			}
			if g := c.congestion; g != nil && g.above == b.first {
				g.above = 0
				l.sendSoon(c)
			}
			l.unlink(b, 0, b.first)
			continue
		}
		whole, count := wholePackets(it.packets, it.sent+n)
		it.sent += n - whole
		if it.messages > 0 {
			it.messages -= count
			l.deliveredTo(c, count)
		} else {
			count = 0
		}
		l.waits(b, -n, -int64(count))
		if it.replies {
			c.congestion.replies -= n
		}
		it.packets = it.packets[whole:]
		return
	}
}

// wholePackets returns how many bytes the packets take that lie wholly within the first n bytes of packets,
// and their number.
func wholePackets(packets []byte, n int) (bytes int, count uint64) {
	for bytes < len(packets) {
		size := codec.PacketSize(packets[bytes:])
		if bytes+size > n {
			break
		}
		bytes += size
		count++
	}
	return bytes, count
}

// deliveredTo counts messages that the socket of c has taken.
func (l *loop) deliveredTo(c *conn, messages uint64) {
	c.delivered += messages
	l.tally.delivered += int64(messages)
}

// remove takes an item out of a backlog of c, and counts its messages as lost; see unlink. Unless the connection has
// ended, the item is not partly sent.
func (l *loop) remove(c *conn, b *backlog, before, i int32, reason Reason) {
	it := l.items.at(i)
	b.unfollow(it, i)
	l.lose(c, reason, it.messages)
	l.waits(b, -it.waiting(), -int64(it.messages))
	l.unlink(b, before, i)
}

// join moves all of another backlog to the end of one of the same connection.
func (l *loop) join(b, other *backlog) {
	if b.empty() {
		*b = *other
		return
	}
	l.items.at(b.last).next = other.first
	b.last = other.last
	b.bytes += other.bytes
	b.messages += other.messages
	b.topics = other.topics
}

// abandon empties a backlog of a connection that has ended: what waits is lost.
func (l *loop) abandon(c *conn, b *backlog) {
	for !b.empty() {
		l.remove(c, b, 0, b.first, ReasonCutOff)
	}
}

// share is a copy of packets that the items of several backlogs refer to. It counts in the memory of all backlogs
// once. It is loop-confined; the bytes never change, but grow while they are replies of one connection.
type share struct {
	bytes []byte
	refs  int // items
}

func (l *loop) holdShare(s *share) {
	if s.refs++; s.refs == 1 {
		l.server.buffered.Add(int64(len(s.bytes)))
	}
}

func (l *loop) releaseShare(s *share) {
	if s.refs--; s.refs == 0 {
		l.server.buffered.Add(-int64(len(s.bytes)))
	}
}

// copyOf returns a share of its own for packets.
func copyOf(packets []byte) *share { return &share{bytes: append([]byte(nil), packets...)} }

// shares holds the copies of spans of the log being delivered, made when the first reader has to wait for
// one. It is loop-confined.
type shares struct {
	key    shareKey // of latest
	latest *spanShares
	all    map[shareKey]*spanShares
}

// shareKey names a span by its place: it is valid while the log is delivered.
type shareKey struct {
	at   *byte
	size int
}

// spanShares is what readers share of a span, each part made when it is asked for.
type spanShares struct {
	whole  *share
	newest []*share // the newest message of each of its topics
}

func (s *shares) of(span []byte) *spanShares {
	key := shareKey{&span[0], len(span)}
	if s.latest != nil && s.key == key {
		return s.latest
	}
	of := s.all[key]
	if of == nil {
		of = new(spanShares)
		if s.all == nil {
			s.all = make(map[shareKey]*spanShares)
		}
		s.all[key] = of
	}
	s.key, s.latest = key, of
	return of
}

// whole returns the copy of a span.
func (s *shares) whole(span []byte) *share {
	of := s.of(span)
	if of.whole == nil {
		of.whole = copyOf(span)
	}
	return of.whole
}

// item returns an item with the copy of a span.
func (s *shares) item(span []byte, messages uint64) item {
	copied := s.whole(span)
	return item{packets: copied.bytes, share: copied, messages: messages}
}

// newest returns copies of the newest message of each topic in a span.
func (s *shares) newest(span []byte) []*share {
	of := s.of(span)
	if of.newest == nil {
		at := make(map[string]int)
		var packets [][]byte
		for rest := span; len(rest) > 0; {
			packet := rest[:codec.PacketSize(rest)]
			rest = rest[len(packet):]
			topic := codec.PublishTopic(packet)
			if i, ok := at[string(topic)]; ok {
				packets[i] = packet
			} else {
				at[string(topic)] = len(packets)
				packets = append(packets, packet)
			}
		}
		for _, packet := range packets {
			of.newest = append(of.newest, copyOf(packet))
		}
	}
	return of.newest
}

// forget ends the delivery of a log.
func (s *shares) forget() {
	if s.latest != nil {
		*s = shares{}
	}
}

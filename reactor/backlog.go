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

// item is a span of whole packets in a backlog, or one reply.
type item struct {
	packets  []byte // immutable and shared
	sent     int    // bytes of the first packet that are sent already
	messages uint64 // PUBLISH packets in it; 0: replies
	next     int32  // index plus one; 0: none
}

// waiting returns what an item adds to the bytes of its backlog.
func (it *item) waiting() int { return len(it.packets) - it.sent + itemBytes }

// itemBytes is what an item costs besides its packets, so that a backlog of tiny messages does not take many
// times its limit. (measured: 48, the allocation of packets, and with conflation the topic's place in a map)
const itemBytes = 96

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

// add puts an item at the end of a backlog and returns its index.
func (l *loop) add(b *backlog, it item) int32 {
	i := l.items.put(it)
	if b.last == 0 {
		b.first = i
	} else {
		l.items.at(b.last).next = i
	}
	b.last = i
	l.waits(b, it.waiting(), int64(it.messages))
	return i
}

// waits counts what is added to a backlog, or taken out.
func (l *loop) waits(b *backlog, bytes int, messages int64) {
	b.bytes += bytes
	b.messages += uint64(messages)
	l.tally.waitingBytes += int64(bytes)
	l.tally.waitingMessages += messages
	l.server.waiting.Add(int64(bytes))
}

// takeFirst removes the first item of a backlog, without counting it.
func (l *loop) takeFirst(b *backlog) {
	i := b.first
	if b.first = l.items.at(i).next; b.first == 0 {
		b.last = 0
	}
	l.items.drop(i)
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
			l.takeFirst(b)
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

// remove takes an item out of a backlog of c, and counts its messages as lost. before is the item before it,
// 0 when it is the first. Unless the connection has ended, the item is not partly sent.
func (l *loop) remove(c *conn, b *backlog, before, i int32, reason Reason) {
	it := *l.items.at(i)
	b.unfollow(&it, i)
	l.lose(c, reason, it.messages)
	l.waits(b, -it.waiting(), -int64(it.messages))
	if before == 0 {
		b.first = it.next
	} else {
		l.items.at(before).next = it.next
	}
	if b.last == i {
		b.last = before
	}
	l.items.drop(i)
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

// shares holds the copies of spans of the log being delivered, made when the first reader has to wait for
// one. It is loop-confined.
type shares struct {
	key    shareKey // of latest
	latest *share
	all    map[shareKey]*share
}

// shareKey names a span by its place: it is valid while the log is delivered.
type shareKey struct {
	at   *byte
	size int
}

// share is what readers share of a span, each part made when it is asked for.
type share struct {
	packets []byte   // a copy of the span, immutable
	newest  [][]byte // copies of the newest message of each of its topics, immutable
}

func (s *shares) of(span []byte) *share {
	key := shareKey{&span[0], len(span)}
	if s.latest != nil && s.key == key {
		return s.latest
	}
	shared := s.all[key]
	if shared == nil {
		shared = new(share)
		if s.all == nil {
			s.all = make(map[shareKey]*share)
		}
		s.all[key] = shared
	}
	s.key, s.latest = key, shared
	return shared
}

// packets returns the copy of a span.
func (s *shares) packets(span []byte) []byte {
	shared := s.of(span)
	if shared.packets == nil {
		shared.packets = append([]byte(nil), span...)
	}
	return shared.packets
}

// newest returns the newest message of each topic in a span.
func (s *shares) newest(span []byte) [][]byte {
	shared := s.of(span)
	if shared.newest == nil {
		at := make(map[string]int)
		for rest := span; len(rest) > 0; {
			packet := rest[:codec.PacketSize(rest)]
			rest = rest[len(packet):]
			topic := codec.PublishTopic(packet)
			if i, ok := at[string(topic)]; ok {
				shared.newest[i] = packet
			} else {
				at[string(topic)] = len(shared.newest)
				shared.newest = append(shared.newest, packet)
			}
		}
		for i, packet := range shared.newest {
			shared.newest[i] = append([]byte(nil), packet...)
		}
	}
	return shared.newest
}

// forget ends the delivery of a log.
func (s *shares) forget() {
	if s.latest != nil {
		*s = shares{}
	}
}

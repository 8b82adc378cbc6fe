package reactor

import (
	"errors"
	"fmt"

	"mqttd/codec"
)

// SlowPolicy says what becomes of a reader's messages when it is behind and its buffer is full.
type SlowPolicy uint8

// The policies.
const (
	// DropNewest drops the messages that come.
	DropNewest SlowPolicy = iota
	// DropOldest drops the messages that have waited longest.
	DropOldest
	// Conflate keeps the newest message of each topic only, from the moment the reader is behind. When even
	// these do not fit, those that have waited longest are dropped.
	Conflate
	// Disconnect closes the connection.
	Disconnect

	slowPolicies
)

var slowPolicyNames = [slowPolicies]string{"drop-newest", "drop-oldest", "conflate", "disconnect"}

// String returns the policy's name as ParseSlowPolicy takes it.
func (p SlowPolicy) String() string {
	if p < slowPolicies {
		return slowPolicyNames[p]
	}
	return fmt.Sprintf("SlowPolicy(%d)", uint8(p))
}

// ParseSlowPolicy returns the policy with the name.
func ParseSlowPolicy(name string) (SlowPolicy, error) {
	for p, known := range slowPolicyNames {
		if name == known {
			return SlowPolicy(p), nil
		}
	}
	return 0, fmt.Errorf("slow-policy %q: want drop-newest, drop-oldest, conflate or disconnect", name)
}

// wait has messages wait for c, which is not flowing, as far as there is room for them. copies keeps the
// copies that are made of packets.
func (l *loop) wait(c *conn, packets []byte, messages uint64, copies *shares) {
	l.turn.spent(1, turnMax)
	switch {
	case !c.live():
		l.lose(c, ReasonCutOff, messages)
	case l.config.SlowPolicy == Conflate && c.pace != postponed:
		l.conflate(c, packets, messages, copies)
	case l.fits(c, len(packets)):
		l.add(c.waitingRoom(), copies.item(packets, messages))
	case c.pace == postponed: // the loop is behind, not the reader: its turn comes now
		l.refill(c)
		l.sendNext(c, packets, messages, copies)
	default:
		l.overflow(c, packets, messages, copies)
	}
}

// sendNext writes messages to c after its backlog was refilled, or has them wait.
func (l *loop) sendNext(c *conn, packets []byte, messages uint64, copies *shares) {
	if c.live() && c.pace == flowing {
		l.pushMessages(c, packets, messages, copies)
	} else {
		l.wait(c, packets, messages, copies)
	}
}

// waitingRoom is where live messages for c wait.
func (c *conn) waitingRoom() *backlog {
	if c.replay != nil {
		return &c.replay.live
	}
	return &c.backlog
}

// bytesWaiting returns what waits for c, with what keeps the books.
func (c *conn) bytesWaiting() int {
	if c.replay != nil {
		return c.backlog.bytes + c.replay.live.bytes
	}
	return c.backlog.bytes
}

// messagesWaiting returns how many messages wait for c.
func (c *conn) messagesWaiting() uint64 {
	if c.replay != nil {
		return c.backlog.messages + c.replay.live.messages
	}
	return c.backlog.messages
}

// fits reports whether a span of so many bytes may wait for c as well.
func (l *loop) fits(c *conn, bytes int) bool {
	return c.bytesWaiting()+bytes+itemBytes <= l.config.ClientBufferBytes && !l.server.memoryFull()
}

// memoryFull reports whether the backlogs of all clients together take as much memory as they may. Each copy that
// is shared counts once.
func (s *Server) memoryFull() bool { return s.buffered.Load() >= s.bufferedMax.Load() }

// overflow does with messages for c what the policy says when there is no room for all of them.
func (l *loop) overflow(c *conn, packets []byte, messages uint64, copies *shares) {
	if l.server.memoryFull() {
		l.relieveDue = true
		l.lose(c, ReasonMemory, messages)
		return
	}
	switch l.config.SlowPolicy {
	case Disconnect:
		l.slowCuts.add(1)
		l.lose(c, ReasonCutOff, messages)
		l.close(c, errSlow)
	case DropOldest:
		l.dropOldest(c, packets, messages, copies)
	default:
		l.dropNewest(c, packets, messages, copies)
	}
}

// dropNewest keeps as many of the messages as there is room for. A buffer that is nearly full counts as full,
// so that a reader that does not read costs no look at each message.
func (l *loop) dropNewest(c *conn, packets []byte, messages uint64, copies *shares) {
	limit, waiting := l.config.ClientBufferBytes, c.bytesWaiting()
	room := limit - waiting - itemBytes
	kept, count := 0, uint64(0)
	switch {
	case waiting == 0:
		if kept, count = wholePackets(packets, room); count == 0 { // alone, it may be larger than the buffer
			kept, count = codec.PacketSize(packets), 1
		}
	case messages == 1 && len(packets)+itemBytes > limit:
		l.lose(c, ReasonTooLarge, 1)
		return
	case room >= limit/8:
		kept, count = wholePackets(packets, room)
	}
	if count > 0 {
		l.add(c.waitingRoom(), copies.item(packets[:kept], count))
	}
	l.lose(c, ReasonSlow, messages-count)
}

// dropOldest makes room for the newest of the messages. Replies stay, and so does a message that is begun.
func (l *loop) dropOldest(c *conn, packets []byte, messages uint64, copies *shares) {
	limit := l.config.ClientBufferBytes
	l.makeRoom(c, c.bytesWaiting()+len(packets)+itemBytes-limit)
	waiting := c.bytesWaiting()
	for messages > 1 && len(packets) > limit-waiting-itemBytes {
		packets = packets[codec.PacketSize(packets):]
		messages--
		l.lose(c, ReasonSlow, 1)
	}
	switch {
	case waiting > 0 && len(packets)+itemBytes > limit:
		l.lose(c, ReasonTooLarge, messages)
	case waiting > 0 && len(packets) > limit-waiting-itemBytes:
		l.lose(c, ReasonSlow, messages)
	default:
		l.add(c.waitingRoom(), copies.item(packets, messages))
	}
}

// makeRoom drops the oldest messages of c until so many bytes are free, or nothing is left to drop: replies
// stay, and so does a message that is begun.
func (l *loop) makeRoom(c *conn, bytes int) {
	b := c.waitingRoom()
	before := int32(0)
	for i := b.first; i != 0 && bytes > 0; {
		switch it := l.items.at(i); {
		case it.messages == 0 || it.sent > 0:
			if it.messages > 1 {
				l.split(b, i, 0)
				bytes += itemBytes
			}
			before, i = i, l.items.at(i).next
			continue
		case it.messages > 1 && len(it.packets) > bytes:
			l.split(b, i, bytes)
			bytes += itemBytes
		}
		bytes -= len(l.items.at(i).packets) + itemBytes
		next := l.items.at(i).next
		l.remove(c, b, before, i, ReasonSlow)
		i = next
	}
}

// split cuts an item in two, so that the first has as many bytes as are asked for, and one message at least.
func (l *loop) split(b *backlog, i int32, bytes int) {
	whole := *l.items.at(i)
	at, count := codec.PacketSize(whole.packets), uint64(1)
	for at < bytes && count < whole.messages-1 {
		at += codec.PacketSize(whole.packets[at:])
		count++
	}
	rest := l.put(item{packets: whole.packets[at:], share: whole.share, messages: whole.messages - count, next: whole.next})
	first := l.items.at(i)
	first.packets, first.messages, first.next = whole.packets[:at:at], count, rest
	if b.last == i {
		b.last = rest
	}
	l.waits(b, itemBytes, 0)
}

// conflate keeps the newest message of each topic for c, in the place of the one before.
func (l *loop) conflate(c *conn, packets []byte, messages uint64, copies *shares) {
	newest := copies.newest(packets)
	l.lose(c, ReasonConflated, messages-uint64(len(newest)))
	b := c.waitingRoom()
	if b.topics == nil {
		b.topics = make(map[string]int32)
	}
	for _, packet := range newest {
		topic := codec.PublishTopic(packet.bytes)
		if i, ok := b.topics[string(topic)]; ok {
			l.replace(b, i, packet)
			l.lose(c, ReasonConflated, 1)
			l.makeRoom(c, c.bytesWaiting()-l.config.ClientBufferBytes) // it may be larger than the one before
			continue
		}
		l.waitNewest(c, b, packet, string(topic))
	}
}

// waitNewest has the message of a topic wait of which none waits yet.
func (l *loop) waitNewest(c *conn, b *backlog, packet *share, topic string) {
	limit, size := l.config.ClientBufferBytes, len(packet.bytes)+itemBytes
	l.makeRoom(c, c.bytesWaiting()+size-limit)
	switch waiting := c.bytesWaiting(); {
	case waiting > 0 && size > limit:
		l.lose(c, ReasonTooLarge, 1)
	case waiting > 0 && waiting+size > limit:
		l.lose(c, ReasonSlow, 1)
	case l.server.memoryFull():
		l.relieveDue = true
		l.lose(c, ReasonMemory, 1)
	default:
		b.topics[topic] = l.add(b, item{packets: packet.bytes, share: packet, messages: 1})
	}
}

// replace puts another packet into an item of one message that is not begun.
func (l *loop) replace(b *backlog, i int32, packet *share) {
	it := l.items.at(i)
	l.waits(b, len(packet.bytes)-len(it.packets), 0)
	l.holdShare(packet)
	l.releaseShare(it.share)
	it.packets, it.share = packet.bytes, packet
	if l.server.memoryFull() {
		l.relieveDue = true
	}
}

// unfollow forgets an item of the backlog: it is being sent, or dropped, and cannot be replaced any more.
func (b *backlog) unfollow(it *item, i int32) {
	if len(b.topics) == 0 || it.messages == 0 {
		return
	}
	if topic := codec.PublishTopic(it.packets); b.topics[string(topic)] == i {
		delete(b.topics, string(topic))
	}
}

// relieve cuts off the connection for which most waits, on whichever loop that is: the buffers of all clients
// are full. It is called at the end of a turn.
func (l *loop) relieve() {
	l.relieveDue = false
	if !l.server.memoryFull() || l.server.relieving.Swap(true) {
		return
	}
	l.largest()
	worst := l
	for _, other := range l.server.loops {
		if other.largestBacklog.Load() > worst.largestBacklog.Load() {
			worst = other
		}
	}
	worst.post(letter{kind: letterRelieve})
}

// cutLargest closes the congested connection for which most waits.
func (l *loop) cutLargest() {
	defer l.server.relieving.Store(false)
	if c := l.largest(); c != nil {
		l.memoryCuts.add(1)
		l.close(c, errMemory)
		l.largest()
	}
}

// largest returns the congested connection for which most waits, nil if there is none.
func (l *loop) largest() (worst *conn) {
	bytes := 0
	for _, c := range l.congested {
		if c.live() && c.pace == blocked && c.bytesWaiting() > bytes {
			worst, bytes = c, c.bytesWaiting()
		}
	}
	l.largestBacklog.Store(int64(bytes))
	return worst
}

var (
	errSlow   = errors.New("too slow for what it subscribed to; see -slow-policy")
	errMemory = errors.New("most was waiting for it when the buffers of all clients were full; see -total-buffer")
)

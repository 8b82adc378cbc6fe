package session

import (
	"sync"

	"mqttd/codec"
	"mqttd/session/store"
)

// Outbox holds the messages above QoS 0 for one client: those that were sent and are not acknowledged, and behind
// them those that wait until they may be sent. It outlives connections as its session does.
//
// Any goroutine may call its methods: a publisher's loop adds, the loop of the client's connection sends. What they
// note for the store goes into the tx they are given, which is begun before the outbox is locked.
type Outbox struct {
	queues *Queues // immutable
	number uint64  // immutable; of the session in the store, 0: it is not kept

	mu       sync.Mutex
	flows    [flowCount]flow
	inflight int    // sent at some time and not acknowledged
	sends    uint64 // messages sent, each the first time
	ahead    uint64 // live messages before this one go ahead of retained ones that are to come, see LiveFirst
	waiting  int    // messages for which no PUBACK or PUBREC came
	attached bool   // a connection sends
	woken    bool   // and it knows that there is something to be sent
	closed   bool
	book     Book
}

// The flows of an outbox, the first to be sent first.
const (
	replayed = iota // retained messages, because of a SUBSCRIBE; what is older was sent before they are added
	live
	flowCount
)

// flowIdentifiers has the flows take different Packet Identifiers, so that each can take its own in turn.
var flowIdentifiers = [flowCount]identifiers{
	replayed: {1 << 15, 1 << 15},
	live:     {1, 1<<15 - 1},
}

// QueueMax is the largest bound of messages that wait for one client: with the window they are less than the Packet
// Identifiers of a flow.
const QueueMax = 30_000

// Limits bound what waits for one client, and for all.
type Limits struct {
	Inflight   int // messages sent and not acknowledged
	Messages   int // messages that wait behind these, at most QueueMax
	Bytes      int // of all of them, with what keeps the books, and of retained ones as many; one at least has room
	TotalBytes int // of all that wait for any client; what many wait for counts once; see behindBytes
}

// behindBytes returns how much of TotalBytes may be taken when a message comes that must wait behind the window, or
// for the client to come. The rest is for those that can be sent at once: or clients that are away, or slow, would
// have those get nothing that are not. (chosen: 7/8)
func (l Limits) behindBytes() int { return l.TotalBytes - l.TotalBytes/8 }

// Book counts messages above QoS 0 for one client: Matched = Delivered + Dropped + Waiting.
type Book struct {
	Matched    uint64 // added to the outbox, or refused for want of room
	Delivered  uint64 // acknowledged by PUBACK or PUBREC
	Refused    uint64 // for want of room
	MemoryFull uint64 // of Refused: there was none for any client
	Ended      uint64 // waited when the session ended: with Refused these are Dropped
}

// NewOutbox returns an empty outbox. number is that of the session in the store, 0 if it is not kept.
func (q *Queues) NewOutbox(number uint64) *Outbox {
	o := &Outbox{queues: q, number: number}
	for i := range o.flows {
		o.flows[i].ids = flowIdentifiers[i]
	}
	return o
}

// Verdict says what became of a message that was added.
type Verdict uint8

const (
	// Queued: it will be sent.
	Queued Verdict = iota
	// QueueFull: as many messages, or bytes, wait for the client as may.
	QueueFull
	// MemoryFull: as many bytes wait for all clients as may.
	MemoryFull
	// Ended: the session has ended.
	Ended
)

// Add queues m, published now, to be sent at a QoS above 0. Only who distributes m may call it, before it releases
// it. wake tells the caller to have the client's connection send.
func (o *Outbox) Add(tx *store.Tx, m *Message, qos codec.QoS, limits Limits) (v Verdict, wake bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := &o.flows[live]
	room, total := limits.Messages, limits.behindBytes()
	if o.attached {
		window := max(0, limits.Inflight-o.inflight)
		room += window
		if f.queued()+o.flows[replayed].queued() < window {
			total = limits.TotalBytes
		}
	}
	size := len(m.packet) + entryBytes
	switch {
	case o.closed:
		return Ended, false
	case f.queued() >= room || f.bytes > 0 && f.bytes+size > limits.Bytes:
		v = QueueFull
	case o.queues.Bytes()+entryBytes > total:
		v = MemoryFull
	default:
		o.put(tx, live, m, entry{qos: qos})
		wake = o.attached && !o.woken && o.inflight < limits.Inflight
		o.woken = o.woken || wake
	}
	o.book.Matched++
	if v != Queued {
		o.book.Refused++
	}
	if v == MemoryFull {
		o.book.MemoryFull++
	}
	return v, wake
}

// AddRetained queues the packet of a retained message because of a SUBSCRIBE, ahead of what is published now. It
// returns false, and queues nothing, when there is no room: the window has none, or others that are on their way, one
// at least, are as many bytes as may be, whatever else waits. Then there is when one of those is acknowledged. Who
// finds, after this call, that the message is no longer retained must call Queues.Dropped.
func (o *Outbox) AddRetained(tx *store.Tx, packet []byte, qos codec.QoS, limits Limits) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	f, size := &o.flows[replayed], len(packet)+entryBytes
	switch {
	case o.closed || o.inflight+f.queued() >= limits.Inflight:
		return false
	case f.bytes > 0 && (f.bytes+size > limits.Bytes || o.queues.Bytes()+entryBytes > limits.behindBytes()):
		return false
	}
	m := o.queues.lend(packet)
	o.put(tx, replayed, m, entry{qos: qos, retain: true})
	m.Release(tx)
	o.book.Matched++
	return true
}

// RetainedUnsent reports whether retained messages wait to be sent. A nil outbox has none.
func (o *Outbox) RetainedUnsent() bool {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.flows[replayed].queued() > 0
}

// Line returns the end of the line of live messages. A nil outbox has none.
func (o *Outbox) Line() uint64 {
	if o == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.flows[live].next
}

// LiveFirst has live messages that were in line when Line returned end go ahead of retained ones that are to come: they
// are older. It reports whether some of them wait to be sent. A nil outbox has none.
func (o *Outbox) LiveFirst(end uint64) bool {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ahead = end
	f := &o.flows[live]
	return f.queued() > 0 && f.entries[f.sent].sequence < end
}

// put adds an entry with a reference to m.
func (o *Outbox) put(tx *store.Tx, which int, m *Message, e entry) {
	f := &o.flows[which]
	e.message = m
	o.hold(f, m)
	added := f.add(e)
	if o.number != 0 && tx != nil {
		m.keep(tx)
		if e.qos == codec.QoS2 {
			tx.AtOnce()
			added.batch = tx.Batch()
		}
		tx.PutQueued(o.number, added.record(which))
	}
}

// hold takes a reference to an entry's message.
func (o *Outbox) hold(f *flow, m *Message) {
	m.refs.Add(1)
	o.waiting++
	f.bytes += len(m.packet) + entryBytes
	o.queues.bytes.Add(entryBytes)
	o.queues.entries.Add(1)
}

// drop gives it back.
func (o *Outbox) drop(tx *store.Tx, f *flow, e *entry) {
	if e.message == nil {
		return
	}
	o.waiting--
	f.bytes -= len(e.message.packet) + entryBytes
	o.queues.bytes.Add(-entryBytes)
	o.queues.entries.Add(-1)
	e.message.Release(tx)
	e.message = nil
}

// Sending is what Next found to be sent.
type Sending struct {
	Packets  []byte
	Messages [3]uint64 // PUBLISH packets among them, by QoS
	Unsaved  bool      // more may be sent when the store has committed
}

// Next appends to dst what is to be sent now, until it has room bytes or so: first what a connection before this one
// was sent and did not acknowledge, again with DUP [MQTT-3.3.1-1] and in the same order [MQTT-4.4.0-1]
// [MQTT-4.6.0-1], then as many new messages as the window has room for. When retainedOnly is set live messages are
// not among the new ones, but for those of LiveFirst. What is of QoS 2 is sent when it is in a batch that the store has
// committed: or after a crash another message might get the Packet Identifier, or PUBLISH might follow PUBREL.
func (o *Outbox) Next(dst []byte, room, inflight int, committed uint64, retainedOnly bool) (s Sending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.woken = false
	s.Packets = dst
	for f := o.again(); f != nil; f = o.again() {
		e := &f.entries[f.resent]
		if s.Unsaved = e.batch > committed; s.Unsaved || len(s.Packets) >= room {
			return s
		}
		s.add(f, e, true)
		f.resent++
	}
	for i := range o.flows {
		f := &o.flows[i]
		for ; f.sent < len(f.entries) && o.inflight < inflight; f.sent++ {
			e := &f.entries[f.sent]
			if i == live && retainedOnly && e.sequence >= o.ahead {
				break
			}
			if s.Unsaved = e.batch > committed; s.Unsaved || len(s.Packets) >= room {
				return s
			}
			s.add(f, e, e.doubtful)
			o.sends++
			e.order = o.sends
			f.resent++
			o.inflight++
		}
	}
	return s
}

// again returns the flow whose message is the next to be sent again, nil when all have been.
func (o *Outbox) again() (first *flow) {
	for i := range o.flows {
		f := &o.flows[i]
		if f.resent < f.sent && (first == nil || f.entries[f.resent].order < first.entries[first.resent].order) {
			first = f
		}
	}
	return first
}

func (s *Sending) add(f *flow, e *entry, again bool) {
	id := f.ids.of(e.sequence)
	if e.released {
		s.Packets = codec.AppendAck(s.Packets, codec.PUBREL, id)
		return
	}
	s.Messages[e.qos]++
	s.Packets = codec.AppendPublish(s.Packets, &codec.Publish{
		Topic:    codec.PublishTopic(e.message.packet),
		Payload:  codec.PublishPayload(e.message.packet),
		PacketID: id,
		QoS:      e.qos,
		Retain:   e.retain,
		Dup:      again,
	})
}

// Progress says what an acknowledgement has changed.
type Progress uint8

const (
	// Nothing: it names no message that is due for it.
	Nothing Progress = iota
	// Received: PUBREC for a message that is now the client's.
	Received
	// Repeated: PUBREC for such a message came before.
	Repeated
	// Done: the message has left the outbox; the window has room.
	Done
)

// Acknowledge handles PUBACK, PUBREC or PUBCOMP of the client.
func (o *Outbox) Acknowledge(tx *store.Tx, t codec.PacketType, packetID uint16) (p Progress, qos codec.QoS) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for which := range o.flows {
		f := &o.flows[which]
		i := f.find(packetID)
		if i < 0 {
			continue
		}
		e := &f.entries[i]
		switch {
		case t == codec.PUBACK && e.qos == codec.QoS1:
			o.book.Delivered++
			o.drop(tx, f, e)
			o.finish(tx, which, i)
			return Done, codec.QoS1
		case t == codec.PUBREC && e.released:
			o.noteReleased(tx, which, e) // again: PUBREL must wait for the first time
			return Repeated, codec.QoS2
		case t == codec.PUBREC && e.qos == codec.QoS2:
			o.book.Delivered++
			o.drop(tx, f, e)
			e.released = true
			o.noteReleased(tx, which, e)
			return Received, codec.QoS2
		case t == codec.PUBCOMP && e.released:
			o.finish(tx, which, i)
			return Done, codec.QoS2
		}
	}
	return Nothing, codec.QoS0
}

func (o *Outbox) noteReleased(tx *store.Tx, which int, e *entry) {
	if o.number != 0 {
		tx.AtOnce()
		e.batch = tx.Batch()
		tx.PutQueued(o.number, e.record(which))
	}
}

func (o *Outbox) finish(tx *store.Tx, which, i int) {
	f := &o.flows[which]
	if o.number != 0 {
		tx.DeleteQueued(o.number, uint8(which), f.entries[i].sequence)
	}
	f.remove(i)
	o.inflight--
}

// Attach begins the service of a new connection: what was sent and not acknowledged is to be sent again.
func (o *Outbox) Attach() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attached = true
	for i := range o.flows {
		o.flows[i].resent = 0
	}
}

// Detach ends it: nobody is woken any more.
func (o *Outbox) Detach() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.attached, o.woken = false, false
}

// Close ends the outbox with its session and returns how many messages are lost thereby, by QoS. Nothing can be added
// any more. What is in the store is not touched, but for the messages themselves.
func (o *Outbox) Close(tx *store.Tx) (lost [3]uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.attached, o.inflight = true, false, 0
	for i := range o.flows {
		f := &o.flows[i]
		for j := range f.entries {
			if e := &f.entries[j]; e.message != nil {
				lost[e.qos]++
				o.drop(tx, f, e)
			}
		}
		f.entries, f.sent, f.resent = nil, 0, 0
	}
	o.book.Ended += lost[codec.QoS1] + lost[codec.QoS2]
	return lost
}

func (o *Outbox) exactlyOnce() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.flows {
		for j := range o.flows[i].entries {
			if o.flows[i].entries[j].qos == codec.QoS2 {
				return true
			}
		}
	}
	return false
}

// Waiting returns how many messages are in the outbox for which no PUBACK or PUBREC came, and their bytes.
func (o *Outbox) Waiting() (messages, bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting, o.flows[replayed].bytes + o.flows[live].bytes
}

// Inflight returns how many messages were sent and are not acknowledged to the end.
func (o *Outbox) Inflight() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.inflight
}

// Book returns the counts since the outbox was made.
func (o *Outbox) Book() Book {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.book
}

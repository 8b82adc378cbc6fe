package store

import "time"

// A batch that grows to batchFull changes, or batchFullBytes of messages, is saved without waiting for the interval:
// its transaction keeps a processor from the loops for 2 to 3 µs per change. More than that gathers only while the
// disk is behind. Less would save what is acknowledged a moment later. (measured with messages queued for 2,000
// sessions) Retained messages are no such changes: they are saved in small transactions, and the more of them there
// are the more share a page of the file, which is most of what saving one costs.
const (
	batchFull      = 4096
	batchFullBytes = 8 << 20
)

// batch holds changes by key; the latest of a key wins. Its size is bounded by the state: there is at most one change
// per record that is on disk or ought to be. It is guarded by mu of the Store until the writer takes it, which then
// has it alone.
type batch struct {
	number    uint64
	since     time.Time // of the first change
	announced bool      // the writer knows that there is a change
	brimming  bool      // the writer knows that the batch is full, or must not wait

	messages map[uint64][]byte // nil: delete
	sessions map[uint64]*sessionChanges
	retained map[uint64]retainedChange // at most one of a number, here or in lazy
	changes  int                       // keys in these maps
	bytes    int64                     // of packets, filters and Client Identifiers in them

	lazy      map[uint64]retainedChange // see Tx.Lazy; no ends
	lazyBytes int64                     // of the packets in it

	// Of the writer, which goes on from here after a failure.
	stateSaved bool     // messages and sessions are on disk
	unsaved    []uint64 // keys of retained that are not on disk yet, in order
}

// sessionChanges are the changes of one session and of what it has.
type sessionChanges struct {
	session       Session
	put, gone     bool // never both
	fresh         bool // as of queuedChange, with all that the session has
	subscriptions map[string]subscriptionChange
	received      map[uint16]bool
	queued        map[queuedKey]queuedChange
}

// subscriptionChange is a subscription, or its end.
type subscriptionChange struct {
	qos   byte
	fresh bool // as of queuedChange
	gone  bool
}

type queuedKey struct {
	seq  uint64
	flow uint8
}

// queuedChange is the value of a queued message, or its end.
type queuedChange struct {
	messageID              uint64
	qos                    byte
	retain, released, sent bool
	doubtful               bool
	fresh                  bool // neither on disk nor in an earlier batch: to delete it is to forget it
	gone                   bool
}

// retainedChange is a retained message; without a packet, its end.
type retainedChange struct {
	packet []byte
	fresh  bool // as of queuedChange
}

func newBatch() *batch {
	return &batch{
		messages: make(map[uint64][]byte),
		sessions: make(map[uint64]*sessionChanges),
		retained: make(map[uint64]retainedChange),
		lazy:     make(map[uint64]retainedChange),
	}
}

func (b *batch) putMessage(id uint64, packet []byte) {
	b.messages[id] = packet
	b.count(1, len(packet))
}

// deleteMessage forgets the message if it was put in this batch, for then it is nowhere else.
func (b *batch) deleteMessage(id uint64) {
	packet, known := b.messages[id]
	if packet != nil {
		delete(b.messages, id)
		b.count(-1, -len(packet))
		return
	}
	if !known {
		b.count(1, 0)
	}
	b.messages[id] = nil
}

func (b *batch) session(id uint64) *sessionChanges {
	c := b.sessions[id]
	if c == nil {
		c = new(sessionChanges)
		b.sessions[id] = c
	}
	return c
}

func (b *batch) putSession(id uint64, session Session, first bool) {
	c := b.session(id)
	if !c.put {
		b.count(1, len(session.ClientID))
	}
	c.session, c.put, c.fresh = session, true, c.fresh || first
}

// deleteSession forgets a session that began in this batch, for then it is nowhere else.
func (b *batch) deleteSession(id uint64) {
	if c := b.sessions[id]; c != nil {
		b.forget(c)
		if c.fresh {
			delete(b.sessions, id)
			return
		}
	}
	b.sessions[id] = &sessionChanges{gone: true}
	b.count(1, 0)
}

// forget takes what c holds out of the counts.
func (b *batch) forget(c *sessionChanges) {
	if c.put {
		b.count(-1, -len(c.session.ClientID))
	}
	if c.gone {
		b.count(-1, 0)
	}
	for filter := range c.subscriptions {
		b.count(-1, -len(filter))
	}
	b.count(-len(c.received)-len(c.queued), 0)
}

func (b *batch) putSubscription(id uint64, filter string, qos byte, first bool) {
	c := b.session(id)
	if c.subscriptions == nil {
		c.subscriptions = make(map[string]subscriptionChange)
	}
	before, known := c.subscriptions[filter]
	if !known {
		b.count(1, len(filter))
	}
	c.subscriptions[filter] = subscriptionChange{qos: qos, fresh: before.fresh || !known && first}
}

// deleteSubscription forgets a subscription that began in this batch, for then it is nowhere else.
func (b *batch) deleteSubscription(id uint64, filter string) {
	c := b.session(id)
	before, known := c.subscriptions[filter]
	if before.fresh {
		delete(c.subscriptions, filter)
		b.count(-1, -len(filter))
		return
	}
	if c.subscriptions == nil {
		c.subscriptions = make(map[string]subscriptionChange)
	}
	if !known {
		b.count(1, len(filter))
	}
	c.subscriptions[filter] = subscriptionChange{gone: true}
}

// received never forgets: a Packet Identifier is used again and again, and may be on disk.
func (b *batch) received(id uint64, packetID uint16, put bool) {
	c := b.session(id)
	if c.received == nil {
		c.received = make(map[uint16]bool)
	}
	if _, known := c.received[packetID]; !known {
		b.count(1, 0)
	}
	c.received[packetID] = put
}

func (b *batch) putQueued(id uint64, q Queued) {
	c := b.session(id)
	if c.queued == nil {
		c.queued = make(map[queuedKey]queuedChange)
	}
	key := queuedKey{q.Seq, q.Flow}
	before, known := c.queued[key]
	if !known {
		b.count(1, 0)
	}
	c.queued[key] = queuedChange{
		messageID: q.MessageID, qos: q.QoS, retain: q.Retain, released: q.Released, sent: q.Sent, doubtful: q.Doubtful,
		fresh: before.fresh || !known && !q.Released && !q.Sent && !q.Doubtful, // which are said of what is there
	}
}

// deleteQueued forgets what was queued in this batch, for then it is nowhere else.
func (b *batch) deleteQueued(id uint64, flow uint8, seq uint64) {
	c := b.session(id)
	key := queuedKey{seq, flow}
	before, known := c.queued[key]
	if before.fresh {
		delete(c.queued, key)
		b.count(-1, 0)
		return
	}
	if c.queued == nil {
		c.queued = make(map[queuedKey]queuedChange)
	}
	if !known {
		b.count(1, 0)
	}
	c.queued[key] = queuedChange{gone: true}
}

// putRetained has somebody wait for a message if somebody waits for the one before.
func (b *batch) putRetained(number uint64, packet []byte, first, lazy bool) {
	before, awaited := b.removeRetained(number)
	change := retainedChange{packet, first || before.fresh}
	if lazy && !awaited {
		b.lazy[number] = change
		b.lazyBytes += int64(len(packet))
		return
	}
	b.retained[number] = change
	b.count(1, len(packet))
}

// deleteRetained forgets a message whose topic had none before this batch, for then it is nowhere else.
func (b *batch) deleteRetained(number uint64) {
	if before, _ := b.removeRetained(number); !before.fresh {
		b.retained[number] = retainedChange{}
		b.count(1, 0)
	}
}

// removeRetained returns the change of a number, if there is one, and whether it was among those that are waited for.
func (b *batch) removeRetained(number uint64) (before retainedChange, awaited bool) {
	if before, awaited = b.retained[number]; awaited {
		delete(b.retained, number)
		b.count(-1, -len(before.packet))
		return before, true
	}
	before = b.lazy[number]
	delete(b.lazy, number)
	b.lazyBytes -= int64(len(before.packet))
	return before, false
}

// isFull reports whether b is to be saved without waiting for the interval.
func (b *batch) isFull() bool {
	return b.changes-len(b.retained) >= batchFull || b.bytes >= batchFullBytes
}

func (b *batch) count(changes, bytes int) {
	b.changes += changes
	b.bytes += int64(bytes)
}

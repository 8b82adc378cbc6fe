package session

import (
	"sync"
	"sync/atomic"

	"mqttd/session/store"
)

// Queues is what the outboxes of all clients share: the memory that their messages take, and the numbers of those
// that are in the store. The zero value is ready. Any goroutine may call its methods.
type Queues struct {
	messages atomic.Int64  // that somebody waits for; each counts once
	bytes    atomic.Int64  // of these, and entryBytes for each who waits
	entries  atomic.Int64  // how many times somebody waits for a message
	number   atomic.Uint64 // of the latest message in the store

	mu   sync.Mutex
	lent map[*byte]*Message // guarded by mu; retained ones somebody waits for, by the first byte of their packets

	loans atomic.Int64 // how many are lent
}

// Messages returns how many messages somebody waits for. Each counts once, however many wait for it.
func (q *Queues) Messages() int { return int(q.messages.Load()) }

// Bytes returns the memory that these take, with what it costs to know who waits for them. The packet of a retained
// message is counted where it is retained, and here from then on when it is not any more.
func (q *Queues) Bytes() int { return int(q.bytes.Load()) }

// Entries returns how many messages all clients together wait for.
func (q *Queues) Entries() int { return int(q.entries.Load()) }

// NumberFrom has messages numbered from after number in the store.
func (q *Queues) NumberFrom(number uint64) { q.number.Store(number) }

// entryBytes is what a message costs for each who waits for it, besides its packet: its place in the outbox.
// (measured: 40, and a third of it spare)
const entryBytes = 56

// Message is a message above QoS 0, stored once for all who wait for it.
type Message struct {
	packet []byte // immutable; as it goes out at QoS 0, with or without RETAIN
	queues *Queues
	refs   atomic.Int32 // of outboxes, and of who distributes it
	number uint64       // in the store, 0: not there; written with a tx, before the outbox has it
	lent   bool         // immutable; it is in queues.lent, and what follows is guarded by queues.mu

	counted bool // the bytes of packet, in queues
}

// NewMessage returns a message with one reference, the caller's, for a PUBLISH packet as it goes out at QoS 0. The
// packet must not change any more.
func (q *Queues) NewMessage(packet []byte) *Message {
	m := &Message{packet: packet, queues: q}
	m.refs.Store(1)
	q.messages.Add(1)
	m.count()
	return m
}

// lend returns the message with the packet of a retained one, the same for all who wait for it, with a reference for
// the caller.
func (q *Queues) lend(packet []byte) *Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.lent[&packet[0]]
	if m == nil {
		m = &Message{packet: packet, queues: q, lent: true}
		q.messages.Add(1)
		if q.lent == nil {
			q.lent = make(map[*byte]*Message)
		}
		q.lent[&packet[0]] = m
		q.loans.Add(1)
	}
	m.refs.Add(1)
	return m
}

// Dropped is told that a packet is no longer retained. If somebody waits for it its bytes count here from now on.
func (q *Queues) Dropped(packet []byte) {
	if q.loans.Load() == 0 { // as ever where nobody subscribes above QoS 0
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if m := q.lent[&packet[0]]; m != nil && !m.counted {
		m.count()
	}
}

func (m *Message) count() {
	m.counted = true
	m.queues.bytes.Add(int64(len(m.packet)))
}

// Release gives the caller's reference up.
func (m *Message) Release(tx *store.Tx) {
	if m.lent {
		m.queues.mu.Lock()
		defer m.queues.mu.Unlock()
	}
	if m.refs.Add(-1) > 0 {
		return
	}
	if m.lent {
		delete(m.queues.lent, &m.packet[0])
		m.queues.loans.Add(-1)
	}
	m.queues.messages.Add(-1)
	if m.counted {
		m.queues.bytes.Add(-int64(len(m.packet)))
	}
	if m.number != 0 {
		tx.DeleteMessage(m.number)
	}
}

// keep has the message in the store. Only who adds it to an outbox may call it.
func (m *Message) keep(tx *store.Tx) {
	if m.number == 0 && tx != nil {
		m.number = m.queues.number.Add(1)
		tx.PutMessage(m.number, m.packet)
	}
}

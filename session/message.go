package session

import (
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
}

// Messages returns how many messages somebody waits for. Each counts once, however many wait for it.
func (q *Queues) Messages() int { return int(q.messages.Load()) }

// Bytes returns the memory that these take, with what it costs to know who waits for them.
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
	size   int    // of packet, 0 when its bytes are those of a retained message, which count there
	queues *Queues
	refs   atomic.Int32 // of outboxes, and of who distributes it
	number uint64       // in the store, 0: not there; written by who distributes it, before the outbox has it
}

// NewMessage returns a message with one reference, the caller's, for a PUBLISH packet as it goes out at QoS 0. The
// packet must not change any more.
func (q *Queues) NewMessage(packet []byte) *Message { return q.newMessage(packet, len(packet)) }

func (q *Queues) newMessage(packet []byte, size int) *Message {
	m := &Message{packet: packet, size: size, queues: q}
	m.refs.Store(1)
	q.messages.Add(1)
	q.bytes.Add(int64(size))
	return m
}

// Release gives the caller's reference up.
func (m *Message) Release(tx *store.Tx) {
	if m.refs.Add(-1) > 0 {
		return
	}
	m.queues.messages.Add(-1)
	m.queues.bytes.Add(-int64(m.size))
	if m.number != 0 {
		tx.DeleteMessage(m.number)
	}
}

// keep has the message in the store. Only who distributes it may call it.
func (m *Message) keep(tx *store.Tx) {
	if m.number == 0 && tx != nil {
		m.number = m.queues.number.Add(1)
		tx.PutMessage(m.number, m.packet)
	}
}

package session

import (
	"mqttd/codec"
	"mqttd/session/store"
)

// Restored puts a message back that the store has, when the broker starts: in the order of its flow and sequence
// number. m is the message it names, nil when PUBREC came. It returns false when the record makes no sense.
func (o *Outbox) Restored(q store.Queued, m *Message) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if int(q.Flow) >= len(o.flows) || (m == nil) != q.Released || q.Released && q.QoS != 2 || q.QoS < 1 || q.QoS > 2 {
		return false
	}
	f := &o.flows[q.Flow]
	if len(f.entries) > 0 && q.Seq < f.next {
		return false
	}
	f.next = q.Seq // no message before has the same Packet Identifier
	f.add(entry{message: m, qos: codec.QoS(q.QoS), retain: q.Retain, released: q.Released, doubtful: q.Doubtful})
	if q.Released || q.Sent {
		f.sent = len(f.entries)
	}
	if m != nil {
		o.hold(f, m)
		o.book.Matched++
	}
	return true
}

// RestoredMessage returns a message that the store has under number, with one reference, the caller's.
func (q *Queues) RestoredMessage(number uint64, packet []byte) *Message {
	m := q.NewMessage(packet)
	m.number = number
	return m
}

// NoteSent has the store know which messages were sent, and of which that is in doubt still, when the broker stops.
func (o *Outbox) NoteSent(tx *store.Tx) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for which := range o.flows {
		f := &o.flows[which]
		for i := range f.entries {
			if e, sent := &f.entries[i], i < f.sent; !e.released && (sent || e.doubtful) {
				q := e.record(which)
				q.Sent, q.Doubtful = sent, e.doubtful
				tx.PutQueued(o.number, q)
			}
		}
	}
}

// Resumed ends the restoration. When the broker had not stopped properly nobody knows what was sent: all of it has
// DUP then.
func (o *Outbox) Resumed(doubtful bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.flows {
		f := &o.flows[i]
		for j := range f.entries {
			f.entries[j].doubtful = f.entries[j].doubtful || doubtful
		}
		o.inflight += f.sent
	}
}

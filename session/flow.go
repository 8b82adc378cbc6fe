package session

import (
	"mqttd/codec"
	"mqttd/session/store"
)

// flow is a line of messages above QoS 0 to one client, in the order in which they are sent, from the moment they are
// queued until the client has acknowledged them. It is guarded by its outbox's mutex.
//
// A message's sequence number stays with it for life, and its Packet Identifier follows from it. So a message that
// is sent again, by a broker that has started anew, too, has the identifier that it had [MQTT-2.3.1-4].
type flow struct {
	ids     identifiers
	entries []entry // by sequence number
	sent    int     // the first so many were sent at some time
	resent  int     // the first so many were sent on this connection
	next    uint64  // sequence number of the next message
	bytes   int     // of messages for which no PUBACK or PUBREC came, with entryBytes each
}

// entry is a message in a flow.
type entry struct {
	message  *Message // nil: PUBREC came
	sequence uint64
	order    uint64 // of sending, among the messages of both flows; 0: before the broker started
	batch    uint64 // of the store, to be committed before it is sent; 0: none
	qos      codec.QoS
	retain   bool
	released bool // PUBREC came, PUBREL is sent: a PUBCOMP is due
	doubtful bool // it may have been sent before the broker started
}

// record returns what the store keeps of an entry of a flow.
func (e *entry) record(which int) store.Queued {
	q := store.Queued{Flow: uint8(which), Seq: e.sequence, QoS: byte(e.qos), Retain: e.retain, Released: e.released}
	if !e.released {
		q.MessageID = e.message.number
	}
	return q
}

// identifiers is a range of Packet Identifiers that a flow takes in turn.
type identifiers struct{ first, count uint64 }

func (r identifiers) of(sequence uint64) uint16 { return uint16(r.first + sequence%r.count) }

// add puts a message at the end of the line, and returns it where it stands until the next call of add or remove.
// Sequence numbers whose Packet Identifier is in use are left out: the client has not acknowledged a message since all
// others have had their turn.
func (f *flow) add(e entry) (added *entry) {
	e.sequence = f.free()
	f.next = e.sequence + 1
	f.entries = append(f.entries, e)
	return &f.entries[len(f.entries)-1]
}

// free returns the sequence number of the next message. There is one: QueueMax and the largest window are less than
// all Packet Identifiers.
func (f *flow) free() uint64 {
	next := f.next
	for i := 0; i < len(f.entries) && f.entries[i].sequence+f.ids.count <= next; i++ {
		if (next-f.entries[i].sequence)%f.ids.count == 0 {
			next++
			i = -1
		}
	}
	return next
}

// find returns the index of the sent message with a Packet Identifier, -1 when there is none. It is one of the first,
// most often the very first.
func (f *flow) find(packetID uint16) int {
	for i := range f.entries[:f.sent] {
		if f.ids.of(f.entries[i].sequence) == packetID {
			return i
		}
	}
	return -1
}

// remove takes a sent message out. It is one of the first, for the window is small.
func (f *flow) remove(i int) {
	copy(f.entries[1:i+1], f.entries[:i])
	f.entries[0] = entry{}
	f.entries = f.entries[1:]
	f.sent--
	if i < f.resent {
		f.resent--
	}
	if len(f.entries) == 0 {
		f.entries = nil // a client that has had its messages costs nothing
	}
}

// queued returns how many messages were not sent yet.
func (f *flow) queued() int { return len(f.entries) - f.sent }

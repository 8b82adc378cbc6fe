package session

import (
	"iter"
	"strings"
	"sync/atomic"

	"mqttd/codec"
	"mqttd/session/store"
)

// FilterLevels is how many levels the filters of one client may have on average when it has as many as it may:
// levels are what they cost in memory. (chosen)
const FilterLevels = 10

// Session is what the broker remembers of one client. While the client is connected it is loop-confined: only the
// event loop that serves the connection touches it; while it is away whoever took the session out of Absent does.
// What others may read says so.
type Session struct {
	ClientID string // immutable; anyone may read it
	Handle   Handle // immutable once it has subscriptions; anyone who has it from there may read it
	Number   uint64 // immutable; in the store, 0: it is not kept

	Version          codec.Version // of the present connection
	CleanSession     bool          // the session ends with its connection [MQTT-3.1.2-6]
	KeepAliveSeconds uint16        // 0: no Keep Alive

	// Will is published when the connection ends without DISCONNECT. nil: none.
	Will *Will

	// Outbox has the messages above QoS 0 for the client. nil: it never had a subscription above QoS 0. It is set
	// before the first of these; who learns of such a subscription may use it.
	Outbox *Outbox

	Group int // of its subscriptions in the router

	// Missed counts the QoS 0 messages that came while the client was away. Any goroutine may add and load.
	Missed atomic.Uint64

	filters    filters             // Topic Filters and granted QoS
	levels     int                 // of filters
	unreleased map[uint16]struct{} // QoS 2 Packet Identifiers received, PUBREL not yet seen
	left       int64               // when the client left, in Unix milliseconds; Absent's
}

// Will is the client's Will Message, owned by the session.
type Will struct {
	Topic   string
	Payload []byte
	QoS     codec.QoS
	Retain  bool
}

// New returns the session of the client that sent p, keeping nothing that p borrows.
// clientID is p's identifier or the one assigned instead.
func New(h Handle, clientID string, p *codec.Connect) *Session {
	s := &Session{
		ClientID:         clientID,
		Handle:           h,
		Version:          p.Version,
		CleanSession:     p.CleanSession,
		KeepAliveSeconds: p.KeepAliveSeconds,
	}
	if p.HasWill {
		s.Will = &Will{
			Topic:   string(p.Will.Topic),
			Payload: append([]byte(nil), p.Will.Payload...),
			QoS:     p.Will.QoS,
			Retain:  p.Will.Retain,
		}
	}
	return s
}

// Restored returns the session of a client that is away, as the store has it.
func Restored(clientID string, number uint64) *Session {
	return &Session{ClientID: clientID, Number: number, Version: codec.Version311}
}

// Resume has the session go on with a new connection, for which fresh was made: all that belongs to the connection is
// taken from there.
func (s *Session) Resume(fresh *Session) {
	s.Version, s.KeepAliveSeconds, s.Will = fresh.Version, fresh.KeepAliveSeconds, fresh.Will
}

// Subscribe notes a subscription and its granted QoS. An equal filter replaces the one
// before [MQTT-3.8.4-3]. It returns false, and notes nothing, when that would be more than filtersMax, or
// FilterLevels times as many levels.
func (s *Session) Subscribe(tx *store.Tx, filter string, granted codec.QoS, filtersMax int) bool {
	first := !s.Subscribed(filter)
	if first {
		levels := s.levels + levelsOf(filter)
		if s.filters.len() >= filtersMax || levels > FilterLevels*filtersMax {
			return false
		}
		s.levels = levels
	}
	s.filters.put(filter, granted)
	if s.Number != 0 {
		tx.PutSubscription(s.Number, filter, byte(granted), first)
	}
	return true
}

// Unsubscribe forgets the subscription with exactly this filter [MQTT-3.10.4-1] and
// reports whether there was one.
func (s *Session) Unsubscribe(tx *store.Tx, filter []byte) bool {
	if !s.Subscribed(string(filter)) {
		tx.Await() // UNSUBACK: it may have been there a moment ago
		return false
	}
	s.filters.remove(string(filter))
	s.levels -= levelsOf(string(filter))
	if s.Number != 0 {
		tx.DeleteSubscription(s.Number, string(filter))
	}
	return true
}

// Subscribed reports whether the client has a subscription with exactly this filter.
func (s *Session) Subscribed(filter string) bool { return s.filters.has(filter) }

func levelsOf(filter string) int { return 1 + strings.Count(filter, "/") }

// Filters yields the client's subscriptions: Topic Filter and granted QoS. None is added or ended meanwhile.
func (s *Session) Filters() iter.Seq2[string, codec.QoS] { return s.filters.all() }

// FilterCount returns how many subscriptions the client has.
func (s *Session) FilterCount() int { return s.filters.len() }

// Exactly once is what QoS 2 is for: what it needs is saved at once, and waited for, however -sync is set.

// ExactlyOnce reports whether a QoS 2 exchange is under way, or is to begin: then the end of the session, too, is saved
// at once and waited for. Would the session be there again after a crash, it would take a new exchange for an old one.
func (s *Session) ExactlyOnce() bool {
	return len(s.unreleased) > 0 || s.Outbox != nil && s.Outbox.exactlyOnce()
}

// Receive notes the Packet Identifier of a QoS 2 PUBLISH and reports whether it is new.
// One that came before and is not released yet is a duplicate: it is acknowledged again
// but not published again [MQTT-4.3.3-2]. At most 65,535 are noted, as many as there are.
func (s *Session) Receive(tx *store.Tx, packetID uint16) bool {
	if s.Number != 0 {
		tx.AtOnce()
		tx.PutReceived(s.Number, packetID) // of a duplicate, too: PUBREC must wait for the first
	}
	if _, duplicate := s.unreleased[packetID]; duplicate {
		return false
	}
	if s.unreleased == nil {
		s.unreleased = make(map[uint16]struct{}, 1)
	}
	s.unreleased[packetID] = struct{}{}
	return true
}

// Release forgets the Packet Identifier on PUBREL. An unknown one is fine: PUBCOMP is
// due in any case.
func (s *Session) Release(tx *store.Tx, packetID uint16) {
	delete(s.unreleased, packetID)
	if s.Number != 0 {
		tx.AtOnce()
		tx.DeleteReceived(s.Number, packetID) // again, if it is not known: PUBCOMP must wait for the first time
	}
}

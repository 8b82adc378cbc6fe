package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// state is what a store should hold, or holds, as plain maps: the model that the store is compared with.
type state struct {
	Messages      map[uint64]string
	Sessions      map[uint64]Session
	Subscriptions map[string]byte // by session and filter
	Received      map[string]bool
	Queued        map[string]Queued
	Retained      map[uint64]string
}

func newState() state {
	return state{map[uint64]string{}, map[uint64]Session{}, map[string]byte{}, map[string]bool{}, map[string]Queued{},
		map[uint64]string{}}
}

func (m state) clone() state {
	return state{maps.Clone(m.Messages), maps.Clone(m.Sessions), maps.Clone(m.Subscriptions), maps.Clone(m.Received),
		maps.Clone(m.Queued), maps.Clone(m.Retained)}
}

func ofSession(id uint64, what any) string { return fmt.Sprintf("%d %v", id, what) }

func queuedName(id uint64, q Queued) string { return ofSession(id, fmt.Sprint(q.Flow, q.Seq)) }

// load returns what s holds, and requires the order that Load promises.
func load(t require.TestingT, s *Store) (state, error) {
	m := newState()
	kind, last := 0, uint64(0)
	in := func(k int, id uint64) {
		require.GreaterOrEqual(t, k, kind, "kinds come one after the other")
		if k == kind {
			require.GreaterOrEqual(t, id, last, "records come in the order of identifiers")
		}
		kind, last = k, id
	}
	err := s.Load(Visitor{
		Message:      func(id uint64, packet []byte) { in(1, id); m.Messages[id] = string(packet) },
		Session:      func(id uint64, s Session) { in(2, id); m.Sessions[id] = s },
		Subscription: func(id uint64, filter string, qos byte) { in(3, id); m.Subscriptions[ofSession(id, filter)] = qos },
		Received:     func(id uint64, packetID uint16) { in(3, id); m.Received[ofSession(id, packetID)] = true },
		Queued:       func(id uint64, q Queued) { in(3, id); m.Queued[queuedName(id, q)] = q },
		Retained:     func(number uint64, packet []byte) { in(4, number); m.Retained[number] = string(packet) },
	})
	return m, err
}

// history makes random changes that a broker could make, to a store and to the model of it.
type history struct {
	random        *rand.Rand
	model         state
	sessions      []uint64
	queued        map[uint64][]Queued // by session
	nextMessage   uint64
	nextSession   uint64
	nextSeq       uint64
	retained      map[int]uint64 // topic to its number
	nextRetained  uint64
	topics        int // how many different ones there are
	lazy          bool
	packetMaximum int
}

func newHistory(seed uint64) *history {
	return &history{random: rand.New(rand.NewPCG(seed, 0)), model: newState(), queued: map[uint64][]Queued{}, nextMessage: 1,
		nextSession: 1, nextSeq: 1, retained: map[int]uint64{}, nextRetained: 1, topics: 50, packetMaximum: 300}
}

// step notes one to five changes in tx, which may be nil: then the model alone moves.
func (h *history) step(tx *Tx) {
	if h.lazy && h.random.IntN(2) == 0 {
		tx.Lazy()
	}
	for range 1 + h.random.IntN(5) {
		h.change(tx)
	}
}

func (h *history) change(tx *Tx) {
	pick := h.random.IntN(100)
	if len(h.sessions) == 0 || pick < 6 {
		h.newSession(tx)
		return
	}
	at := h.random.IntN(len(h.sessions))
	id := h.sessions[at]
	switch {
	case pick < 9:
		h.endSession(tx, at)
	case pick < 15:
		s := Session{h.model.Sessions[id].ClientID, h.random.Int64N(3)}
		tx.PutSession(id, s, false)
		h.model.Sessions[id] = s
	case pick < 25:
		filter := h.text("filter")
		if h.random.IntN(2) == 0 {
			tx.DeleteSubscription(id, filter)
			delete(h.model.Subscriptions, ofSession(id, filter))
			return
		}
		qos := byte(h.random.IntN(3))
		_, known := h.model.Subscriptions[ofSession(id, filter)]
		tx.PutSubscription(id, filter, qos, !known)
		h.model.Subscriptions[ofSession(id, filter)] = qos
	case pick < 40:
		packetID := uint16(h.random.IntN(5))
		if h.random.IntN(2) == 0 {
			tx.DeleteReceived(id, packetID)
			delete(h.model.Received, ofSession(id, packetID))
			return
		}
		tx.PutReceived(id, packetID)
		h.model.Received[ofSession(id, packetID)] = true
	case pick < 60:
		h.queue(tx, id)
	case pick < 80:
		h.dequeue(tx, id)
	default:
		h.retain(tx)
	}
}

func (h *history) newSession(tx *Tx) {
	id := h.nextSession
	h.nextSession++
	h.sessions = append(h.sessions, id)
	s := Session{fmt.Sprint("client", id), 0}
	tx.PutSession(id, s, true)
	h.model.Sessions[id] = s
}

func (h *history) endSession(tx *Tx, at int) {
	id := h.sessions[at]
	h.sessions = append(h.sessions[:at:at], h.sessions[at+1:]...)
	for _, q := range h.queued[id] {
		h.dropMessage(tx, q)
	}
	delete(h.queued, id)
	tx.DeleteSession(id)
	delete(h.model.Sessions, id)
	prefix := ofSession(id, "")
	of := func(name string) bool { return len(name) > len(prefix) && name[:len(prefix)] == prefix }
	maps.DeleteFunc(h.model.Subscriptions, func(name string, _ byte) bool { return of(name) })
	maps.DeleteFunc(h.model.Received, func(name string, _ bool) bool { return of(name) })
	maps.DeleteFunc(h.model.Queued, func(name string, _ Queued) bool { return of(name) })
}

func (h *history) queue(tx *Tx, id uint64) {
	messageID := h.nextMessage
	h.nextMessage++
	packet := h.packet()
	tx.PutMessage(messageID, packet)
	h.model.Messages[messageID] = string(packet)
	q := Queued{Flow: uint8(h.random.IntN(2)), Seq: h.nextSeq, MessageID: messageID, QoS: byte(1 + h.random.IntN(2)),
		Retain: h.random.IntN(2) == 0}
	h.nextSeq++
	tx.PutQueued(id, q)
	h.model.Queued[queuedName(id, q)] = q
	h.queued[id] = append(h.queued[id], q)
}

// dequeue ends a queued message of the session, or releases it.
func (h *history) dequeue(tx *Tx, id uint64) {
	queue := h.queued[id]
	if len(queue) == 0 {
		return
	}
	at := h.random.IntN(len(queue))
	q := queue[at]
	h.dropMessage(tx, q)
	if q.QoS == 2 && !q.Released {
		q.Released, q.MessageID = true, 0
		queue[at] = q
		tx.PutQueued(id, q)
		h.model.Queued[queuedName(id, q)] = q
		return
	}
	h.queued[id] = append(queue[:at:at], queue[at+1:]...)
	tx.DeleteQueued(id, q.Flow, q.Seq)
	delete(h.model.Queued, queuedName(id, q))
}

func (h *history) dropMessage(tx *Tx, q Queued) {
	if q.MessageID != 0 {
		tx.DeleteMessage(q.MessageID)
		delete(h.model.Messages, q.MessageID)
	}
}

func (h *history) retain(tx *Tx) {
	topic := h.random.IntN(h.topics)
	number, known := h.retained[topic]
	if known && h.random.IntN(3) == 0 {
		tx.DeleteRetained(number)
		delete(h.model.Retained, number)
		delete(h.retained, topic)
		return
	}
	if !known {
		number = h.nextRetained
		h.nextRetained++
		h.retained[topic] = number
	}
	packet := h.packet()
	tx.PutRetained(number, packet, !known)
	h.model.Retained[number] = string(packet)
}

// text returns one of a few filters, one in twenty of them longer than a key.
func (h *history) text(name string) string {
	n := h.random.IntN(h.topics)
	name = fmt.Sprintf("%s/%d", name, n)
	if n%20 == 7 {
		return fmt.Sprintf("%0*d/%s", textMax+n, 7, name)
	}
	return name
}

func (h *history) packet() []byte {
	packet := make([]byte, 1+h.random.IntN(h.packetMaximum))
	for i := range packet {
		packet[i] = byte('a' + h.random.IntN(26))
	}
	return packet
}

// TestStoreHoldsWhatTheModelHolds makes random histories, with the store closed and opened in between.
func TestStoreHoldsWhatTheModelHolds(t *testing.T) {
	for _, o := range []Options{{Sync: Always}, {Interval: IntervalMin}, {Interval: time.Hour}} {
		for seed := range uint64(5) {
			t.Run(fmt.Sprint(o.Sync, o.Interval, " seed ", seed), func(t *testing.T) {
				dir, h := t.TempDir(), newHistory(seed)
				h.lazy = seed%2 == 1
				for range 5 {
					s := opened(t, dir, o)
					got, err := load(t, s)
					require.NoError(t, err)
					require.Equal(t, h.model, got)
					require.True(t, s.Clean())
					session, message := s.Highest()
					require.Less(t, session, h.nextSession)
					require.Less(t, message, h.nextMessage)
					for range 400 {
						tx := s.Begin()
						h.step(tx)
						tx.End()
					}
					require.NoError(t, s.Close())
				}
				s := opened(t, dir, o)
				require.Equal(t, uint64(len(h.model.Messages)+len(h.model.Sessions)+len(h.model.Subscriptions)+
					len(h.model.Received)+len(h.model.Queued)+len(h.model.Retained)), s.Stats().Records)
				require.NoError(t, s.Close())
			})
		}
	}
}

func opened(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	require.NoError(t, err)
	return s
}

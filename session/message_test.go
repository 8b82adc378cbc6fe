package session

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/session/store"
)

// A message that many wait for takes the memory of one, and what it costs to know who waits.
func TestMessageIsHeldOnce(t *testing.T) {
	var q Queues
	packet := packetOf("some payload")
	m := q.NewMessage(packet)
	require.Equal(t, []int{1, len(packet), 0}, []int{q.Messages(), q.Bytes(), q.Entries()})
	var outboxes []*Outbox
	for range 50 {
		o := q.NewOutbox(0)
		o.Attach()
		o.Add(nil, m, codec.QoS1, roomy)
		outboxes = append(outboxes, o)
	}
	m.Release(nil)
	require.Equal(t, []int{1, len(packet) + 50*entryBytes, 50}, []int{q.Messages(), q.Bytes(), q.Entries()})
	for i, o := range outboxes {
		require.Equal(t, 1, q.Messages(), "until the last has it")
		if i%2 == 0 {
			o.Close(nil)
			continue
		}
		o.Next(nil, roomyBytes, 20, 0, false)
		o.Acknowledge(nil, codec.PUBACK, 1)
	}
	require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
}

// The store, too, has it once, as long as a session in the store waits for it, and not when none does.
func TestMessageIsStoredOnce(t *testing.T) {
	dir := t.TempDir()
	var s *store.Store
	var stored []uint64
	reopen := func() {
		require.NoError(t, s.Close())
		var err error
		s, err = store.Open(dir, store.Options{Interval: time.Hour})
		require.NoError(t, err)
		stored = nil
		require.NoError(t, s.Load(store.Visitor{Message: func(id uint64, packet []byte) {
			stored = append(stored, id)
			require.Equal(t, packetOf("x"), packet)
		}}))
	}
	reopen()
	change := func(f func(tx *store.Tx)) {
		tx := s.Begin()
		f(tx)
		tx.End()
	}
	var q Queues
	q.NumberFrom(99)
	passing, one, two := q.NewOutbox(0), q.NewOutbox(1), q.NewOutbox(2)
	add := func(outboxes ...*Outbox) {
		change(func(tx *store.Tx) {
			m := q.NewMessage(packetOf("x"))
			for _, o := range outboxes {
				o.Add(tx, m, codec.QoS1, roomy)
			}
			m.Release(tx)
		})
	}
	change(func(tx *store.Tx) {
		tx.PutSession(1, store.Session{ClientID: "one"}, true)
		tx.PutSession(2, store.Session{ClientID: "two"}, true)
	})
	add(passing)
	add(passing, one, two)
	add()
	reopen()
	require.Equal(t, []uint64{100}, stored)

	for _, o := range []*Outbox{one, passing} {
		o.Attach()
		o.Next(nil, roomyBytes, 20, 0, false)
		change(func(tx *store.Tx) { o.Acknowledge(tx, codec.PUBACK, 1) })
		change(func(tx *store.Tx) { o.Acknowledge(tx, codec.PUBACK, 2) })
	}
	reopen()
	require.Equal(t, []uint64{100}, stored, "one waits still")
	change(func(tx *store.Tx) { two.Close(tx) })
	reopen()
	require.Empty(t, stored)
	require.NoError(t, s.Close())
	require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
}

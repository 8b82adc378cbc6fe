package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatIsNotedIsThereAfterClose(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{Interval: time.Hour})
	require.NoError(t, err)
	require.NoError(t, s.Load(Visitor{}))
	tx := s.Begin()
	tx.PutSession(1, Session{ClientID: "a", Left: 5})
	tx.PutSubscription(1, "a/#", 2)
	tx.PutReceived(1, 7)
	tx.PutMessage(9, []byte("packet"))
	q := Queued{Flow: 1, Seq: 3, MessageID: 9, QoS: 2, Retain: true}
	tx.PutQueued(1, q)
	tx.PutRetained("t", []byte("retained"), 1)
	require.Zero(t, tx.End())
	require.NoError(t, s.Close())

	s, err = Open(dir, Options{Sync: Always})
	require.NoError(t, err)
	require.True(t, s.Clean())
	told := 0
	require.NoError(t, s.Load(Visitor{
		Message: func(id uint64, packet []byte) {
			told++
			require.Equal(t, uint64(9), id)
			require.Equal(t, "packet", string(packet))
		},
		Session:      func(id uint64, s Session) { told++; require.Equal(t, Session{"a", 5}, s) },
		Subscription: func(id uint64, filter string, qos byte) { told++; require.Equal(t, "a/#", filter) },
		Received:     func(id uint64, packetID uint16) { told++; require.Equal(t, uint16(7), packetID) },
		Queued:       func(id uint64, got Queued) { told++; require.Equal(t, q, got) },
		Retained:     func(topic string, packet []byte, qos byte) { told++; require.Equal(t, "t", topic) },
	}))
	require.Equal(t, 6, told)
	tx = s.Begin()
	tx.DeleteSession(1)
	batch := tx.End()
	require.Equal(t, uint64(1), batch)
	require.Eventually(t, func() bool { return s.Committed() >= batch }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
}

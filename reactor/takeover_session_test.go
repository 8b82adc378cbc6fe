package reactor

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/session/store"
)

// fullOfSessions is a server where as many clients are away as may be, and the Client Identifier of another is
// "device".
func fullOfSessions(t *testing.T) (s *Server, device *peer) {
	s = stillServer(t, 2)
	s.limits.Sessions = 2
	for i := range 2 {
		meet(t, s.loops[0], fmt.Sprint("away-", i), persistent).leave()
	}
	return s, meet(t, s.loops[0], "device", persistent).subscribed(codec.QoS1, "a")
}

// A session that changes from one connection to the next takes no place among those of clients that are away: none
// of these has to go.
func TestTakeoverEvictsNobody(t *testing.T) {
	for loop := range 2 {
		t.Run(fmt.Sprint("to loop ", loop), func(t *testing.T) {
			s, device := fullOfSessions(t)
			for range 5 {
				again := meet(t, s.loops[loop], "device", persistent)
				settleAll(s)
				require.False(t, device.conn.live())
				require.Equal(t, []string{"CONNACK present"}, again.got())
				device = again
			}
			require.Equal(t, []int{1, 2, 1}, []int{s.Stats().Clients, s.Stats().Sessions, s.Stats().Subscriptions})
			require.Zero(t, s.Stats().SessionsEvicted)
			device.leave()
			require.EqualValues(t, 1, s.Stats().SessionsEvicted, "now there is one more that is away")
			require.Equal(t, []int{0, 2}, []int{s.Stats().Clients, s.Stats().Sessions})
		})
	}
}

// When the new connection goes before it has the session, that is one of a client that is away, and the limit holds.
func TestTakeoverThatFailsKeepsTheLimit(t *testing.T) {
	for _, options := range [][]func(*codec.Connect){{persistent}, {}} {
		for loop := range 2 {
			t.Run(fmt.Sprint(len(options), " from loop ", loop), func(t *testing.T) {
				s, device := fullOfSessions(t)
				for i := range 5 {
					l := s.loops[loop]
					c, out := arrive(l)
					l.engine = closing{loop: l}
					l.scheduled = false
					chunk := connectPacket("device", options...)
					l.receive(c, append(chunk, make([]byte, s.config.ConnectBytesMax+1)...)) // too much before CONNACK
					require.False(t, c.live())
					settleAll(s)
					require.False(t, device.conn.live())
					require.Empty(t, out.written.Bytes())
					require.Equal(t, []int{0, 2}, []int{s.Stats().Clients, s.Stats().Sessions})
					require.EqualValues(t, i+1, s.Stats().SessionsEvicted)
					device = meet(t, s.loops[0], "device", persistent)
					require.Equal(t, []string{"CONNACK present"}, device.got(), "it left last")
					meet(t, s.loops[0], fmt.Sprint("next-", i), persistent).leave()
				}
			})
		}
	}
}

// A crash can leave two sessions of one Client Identifier on disk, for a session ends after the next has begun: the
// newer one is the client's, and the older one and all that it had is gone.
func TestTwoSessionsOfOneClientOnDisk(t *testing.T) {
	dir := t.TempDir()
	left := time.Now().Add(-time.Hour).UnixMilli()
	prepare(t, dir, func(tx *store.Tx) {
		for id, filter := range map[uint64]string{3: "old", 7: "new", 5: "older"} {
			tx.PutSession(id, store.Session{ClientID: "device", Left: map[uint64]int64{3: left, 5: left + 1}[id]}, true)
			tx.PutSubscription(id, filter, 1, true)
			tx.PutReceived(id, uint16(id))
			tx.PutMessage(id, publish(filter, "x"))
			tx.PutQueued(id, store.Queued{Flow: 1, Seq: 1, MessageID: id, QoS: 1})
		}
	})
	s := keptServer(t, dir, func(c *Config) { c.SessionExpiry, c.SessionsMax = 2*time.Hour, 1 })
	require.Equal(t, []int{1, 1, 1, 1}, []int{s.Stats().Sessions, s.Stats().Subscriptions, s.Stats().QueuedMessages, s.Stats().StoredMessages})
	require.Zero(t, s.Stats().SessionsEvicted+s.Stats().SessionsExpired)
	requireAboveBalance(t, s)
	s.expireSessions(time.Now().Add(90 * time.Minute))
	device := meet(t, s.loops[0], "device", persistent)
	require.Equal(t, []string{"CONNACK present", "PUBLISH 2 new x QoS 1"}, device.got())
	require.NoError(t, s.saveRest())
	require.Equal(t, []string{"message", "session device", "subscription new QoS 1", "received 7", "queued"}, kept(t, dir))
}

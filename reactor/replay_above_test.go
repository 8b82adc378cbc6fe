package reactor

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// largeRetained has a publisher store retained messages r/0, r/1, ... of 60,000 bytes at QoS 1.
func largeRetained(publisher *peer, count int) {
	for i := range count {
		publisher.send(retained(codec.QoS1, uint16(i+1), fmt.Sprint("r/", i), strings.Repeat(".", 60_000)))
	}
	publisher.got()
}

// Retained messages that a client has not acknowledged take nothing from its queue: what is published meanwhile
// waits there and follows.
func TestLiveMessagesWaitDuringAReplay(t *testing.T) {
	s := stillServer(t, 1)
	s.config.QueuedBytesMax = 64 << 10 // about one of them
	l := s.loops[0]
	publisher := meet(t, l, "publisher")
	largeRetained(publisher, 30)
	reader := meet(t, l, "reader", persistent).subscribed(codec.QoS1, "r/#")
	require.Equal(t, s.config.MaxInflight, s.Stats().QueuedMessages, "a window of retained messages")
	for n := range uint16(5) {
		publisher.send(above(codec.QoS1, 100+n, "r/live", fmt.Sprint(n)))
	}
	require.Empty(t, reader.got())
	require.Zero(t, s.Stats().Above[0].Dropped.Total())
	var got []string
	for id := uint16(1 << 15); id < 1<<15+30; id++ {
		reader.send(acks(codec.PUBACK, id))
		got = append(got, reader.got()...)
	}
	require.Len(t, got, 10+5)
	for n, packet := range got[10:] {
		require.Equal(t, fmt.Sprintf("PUBLISH %d r/live %d QoS 1", n+1, n), packet)
	}
	require.Nil(t, reader.conn.replay)
	requireAboveBalance(t, s)
}

// Nor do they take from the memory of all queues: they are there anyway.
func TestRetainedMessagesLeaveRoomForOthers(t *testing.T) {
	s := stillServer(t, 1)
	s.queuedMax.Store(64 << 10)
	l := s.loops[0]
	publisher := meet(t, l, "publisher")
	largeRetained(publisher, 20)
	other := meet(t, l, "other").subscribed(codec.QoS1, "a")
	var readers []*peer
	for i := range 10 {
		readers = append(readers, meet(t, l, fmt.Sprint("reader-", i)).subscribed(codec.QoS1, "r/#"))
	}
	st := s.Stats()
	require.Equal(t, 10*20, st.QueuedMessages)
	require.Less(t, st.QueueBytes, 64<<10)
	publisher.send(above(codec.QoS1, 99, "a", "x"))
	require.Equal(t, []string{"PUBLISH 1 a x QoS 1"}, other.got())
	require.Zero(t, s.Stats().Above[0].Dropped.Total())
	other.send(acks(codec.PUBACK, 1))
	for _, r := range readers {
		r.leave()
	}
	require.Zero(t, s.Stats().QueueBytes+s.Stats().QueuedMessages+s.Stats().StoredMessages)
	requireAboveBalance(t, s)
}

// A retained message that was sent after live ones, and before others, is sent again in its place [MQTT-4.6.0-1].
func TestSentAgainInOrderOfBothKinds(t *testing.T) {
	s := stillServer(t, 2)
	publisher := meet(t, s.loops[0], "publisher")
	publisher.send(retained(codec.QoS2, 1, "r", "kept"))
	reader := meet(t, s.loops[0], "reader", persistent).subscribed(codec.QoS2, "live")
	publisher.send(above(codec.QoS1, 2, "live", "1"))
	publisher.send(above(codec.QoS2, 3, "live", "2"))
	reader.send(codec.AppendSubscribe(nil, 2, []codec.Subscription{{Filter: "r", QoS: codec.QoS2}}))
	publisher.send(above(codec.QoS1, 4, "live", "3"))
	first := []string{"PUBLISH 1 live 1 QoS 1", "PUBLISH 2 live 2 QoS 2", "SUBACK", "PUBLISH 32768 r kept QoS 2 RETAIN", "PUBLISH 3 live 3 QoS 1"}
	require.Equal(t, first, reader.got())
	reader.send(acks(codec.PUBREC, 2))
	reader.leave()
	for loop := range 2 {
		again := meet(t, s.loops[loop], "reader", persistent)
		settleAll(s)
		require.Equal(t, []string{"CONNACK present", "PUBLISH 1 live 1 QoS 1 DUP", "PUBREL 2", "PUBLISH 32768 r kept QoS 2 RETAIN DUP",
			"PUBLISH 3 live 3 QoS 1 DUP"}, again.got())
		again.leave()
	}
}

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

// Retained messages that a client has not acknowledged, as many as its queue has bytes for, take nothing from that:
// what is published meanwhile waits there and follows.
func TestLiveMessagesWaitDuringAReplay(t *testing.T) {
	s := stillServer(t, 1)
	s.config.QueuedBytesMax = 64 << 10 // about one of them
	l := s.loops[0]
	publisher := meet(t, l, "publisher")
	largeRetained(publisher, 30)
	reader := meet(t, l, "reader", persistent).subscribed(codec.QoS1, "r/#")
	require.Equal(t, 1, s.Stats().QueuedMessages)
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
	require.Len(t, got, 29+5)
	for n, packet := range got[29:] {
		require.Equal(t, fmt.Sprintf("PUBLISH %d r/live %d QoS 1", n+1, n), packet)
	}
	require.Nil(t, reader.conn.replay)
	requireAboveBalance(t, s)
}

// Messages that waited for a client are older than the retained ones that it asks for when it comes back: they come
// first, whatever the window, and what is published after the SUBSCRIBE comes last. So the client ends with the newest
// value, though its queue was full before that came.
func TestRetainedMessagesComeAfterWhatWaited(t *testing.T) {
	for _, c := range []struct {
		name       string
		kept, sub  codec.QoS
		wantNewest string
	}{
		{"all at QoS 1", codec.QoS1, codec.QoS1, "PUBLISH 32768 lamp new QoS 1 RETAIN"},
		{"all at QoS 2", codec.QoS2, codec.QoS2, "PUBLISH 32768 lamp new QoS 2 RETAIN"},
		{"published at QoS 2", codec.QoS2, codec.QoS1, "PUBLISH 32768 lamp new QoS 1 RETAIN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			const queued = 10
			s := stillServer(t, 1)
			s.config.MaxInflight, s.config.QueuedMessagesMax = 3, queued
			l := s.loops[0]
			publisher := meet(t, l, "publisher")
			meet(t, l, "reader", persistent).subscribed(codec.QoS1, "lamp", "other").leave()
			var want []string
			for n := range uint16(queued) {
				publisher.send(above(codec.QoS1, n+1, "lamp", fmt.Sprint(n)))
				want = append(want, fmt.Sprintf("PUBLISH %d lamp %d QoS 1", n+1, n))
			}
			publisher.send(retained(c.kept, 99, "lamp", "new")) // finds the queue full
			reader := meet(t, l, "reader", persistent)
			reader.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "lamp", QoS: c.sub}}))
			publisher.send(above(codec.QoS1, 100, "other", "later"))
			var got []string
			for begun := true; begun || len(got) < queued+2; begun = false {
				for _, packet := range reader.got() {
					var id uint16
					if n, _ := fmt.Sscanf(packet, "PUBLISH %d ", &id); n == 1 && strings.HasSuffix(packet, "QoS 2 RETAIN") {
						reader.send(acks(codec.PUBREC, id))
						reader.send(acks(codec.PUBCOMP, id))
					} else if n == 1 {
						reader.send(acks(codec.PUBACK, id))
					}
					if strings.HasPrefix(packet, "PUBLISH") {
						got = append(got, packet)
					}
				}
				require.False(t, reader.written.Len() == 0 && len(got) < queued+2, "nothing comes after %v", got)
			}
			require.Equal(t, append(want, c.wantNewest, "PUBLISH 11 other later QoS 1"), got)
			require.Nil(t, reader.conn.replay)
			require.Zero(t, s.Stats().QueuedMessages)
			requireAboveBalance(t, s)
		})
	}
}

// Retained messages of one SUBSCRIBE come before what is published after it, those of a second one before what is
// published after that.
func TestLiveMessagesBetweenTwoSubscribes(t *testing.T) {
	s := stillServer(t, 1)
	s.config.MaxInflight = 1
	l := s.loops[0]
	publisher := meet(t, l, "publisher")
	for n, topic := range []string{"a", "b"} {
		publisher.send(retained(codec.QoS1, uint16(n+1), topic, "kept"))
	}
	reader := meet(t, l, "reader").subscribed(codec.QoS1, "x")
	for n, topic := range []string{"x", "a", "b"} {
		publisher.send(above(codec.QoS1, uint16(n+3), "x", fmt.Sprint(n)))
		if topic != "x" {
			publisher.send(above(codec.QoS1, uint16(n+6), topic, "live")) // nobody subscribes to it yet
		}
		if n < 2 {
			reader.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: string(rune('a' + n)), QoS: codec.QoS1}}))
		}
	}
	var got []string
	for _, id := range []uint16{1, 1 << 15, 2, 3, 1<<15 + 1, 4, 5} {
		got = append(got, reader.got()...)
		reader.send(acks(codec.PUBACK, id))
	}
	got = append(got, reader.got()...)
	require.Equal(t, []string{
		"PUBLISH 1 x 0 QoS 1", "SUBACK", "SUBACK", "PUBLISH 32768 a kept QoS 1 RETAIN",
		"PUBLISH 2 x 1 QoS 1", "PUBLISH 3 a live QoS 1", "PUBLISH 32769 b kept QoS 1 RETAIN",
		"PUBLISH 4 x 2 QoS 1", "PUBLISH 5 b live QoS 1",
	}, got)
	require.Nil(t, reader.conn.replay)
}

// A window that shrinks while retained messages wait in the outbox is full: the loop has nothing to do for the client
// until it acknowledges.
func TestWindowThatShrinksDuringAReplay(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	largeRetained(meet(t, l, "publisher"), 20)
	slow := joinSlow(t, l, "slow")
	l.round(slow.conn, codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "r/#", QoS: codec.QoS1}}))
	require.Equal(t, blocked, slow.conn.pace)
	sent := slow.conn.session.Outbox.Inflight()
	require.Less(t, sent, 20)
	smaller := *l.config
	smaller.MaxInflight = 1
	l.reconfigure(&smaller)
	slow.readAll()
	require.Len(t, slow.got, 1+sent)
	require.Equal(t, held, slow.conn.pace)
	require.False(t, l.sendPages(slow.conn), "there is more to be sent now")
	require.Empty(t, l.replaying)
	for id := range uint16(20) {
		l.round(slow.conn, acks(codec.PUBACK, 1<<15+id))
		slow.readAll()
	}
	require.Len(t, slow.got, 1+20)
	require.Nil(t, slow.conn.replay)
	requireAboveBalance(t, s)
}

// Live messages at QoS 0 wait for retained ones, too, which wait for acknowledgements: when the window takes these there
// is nothing to wait for any more.
func TestQoS0WaitsForRetainedMessagesToBeSent(t *testing.T) {
	s := stillServer(t, 1)
	s.config.MaxInflight = 2
	l := s.loops[0]
	publisher := meet(t, l, "publisher")
	for n := range uint16(4) {
		publisher.send(retained(codec.QoS1, n+1, fmt.Sprint("r/", n), "kept"))
	}
	reader := meet(t, l, "reader").subscribed(codec.QoS0, "live").subscribed(codec.QoS1, "r/#")
	publisher.send(publish("live", "x"))
	reader.send(acks(codec.PUBACK, 1<<15))
	require.Len(t, reader.got(), 1)
	require.EqualValues(t, 1, reader.conn.messagesWaiting())
	reader.send(acks(codec.PUBACK, 1<<15+1))
	got := reader.got()
	require.Equal(t, "PUBLISH live x", got[len(got)-1], "two retained ones are not acknowledged")
	require.Nil(t, reader.conn.replay)
}

// A window that grows has room at once, for retained messages that wait for it, too.
func TestWindowThatGrows(t *testing.T) {
	s := stillServer(t, 1)
	s.config.MaxInflight = 1
	l := s.loops[0]
	publisher := meet(t, l, "publisher")
	for n := range uint16(3) {
		publisher.send(retained(codec.QoS1, n+1, fmt.Sprint("r/", n), "kept"))
	}
	reader := meet(t, l, "reader").subscribed(codec.QoS1, "r/#") // has got one
	publisher.send(above(codec.QoS1, 9, "r/live", ""))
	stranger, _ := arrive(l)
	require.Nil(t, stranger.session)
	grow := func(window int) {
		larger := *l.config
		larger.MaxInflight = window
		l.reconfigure(&larger)
		l.drain()
	}
	grow(3)
	require.Equal(t, 3, reader.conn.session.Outbox.Inflight())
	require.Len(t, reader.got(), 2)
	grow(4)
	require.Equal(t, []string{"PUBLISH 1 r/live  QoS 1"}, reader.got())
	require.Nil(t, reader.conn.replay)
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

// Clients that do not acknowledge their retained messages, and are gone when these are replaced, cost what each may
// cost, and it is told. Each has all of them when it acknowledges, and nothing counts any more when all have.
func TestRetainedMessagesThatAreReplacedOnTheirWay(t *testing.T) {
	s := stillServer(t, 2)
	s.config.QueuedBytesMax = 200_000 // three of them
	const clients, messages, size = 10, 8, 60_000
	publisher := meet(t, s.loops[0], "publisher")
	clientID := func(n int) string { return fmt.Sprint("reader-", n) }
	for n := range clients {
		largeRetained(publisher, messages)
		reader := meet(t, s.loops[1], clientID(n), persistent)
		reader.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "r/#", QoS: codec.QoS1}}))
		require.Len(t, reader.got(), 2+3)
		reader.send(codec.AppendUnsubscribe(nil, 2, []string{"r/#"}))
		reader.leave()
	}
	require.Equal(t, 3*clients, s.Stats().QueuedMessages)
	require.InDelta(t, 3*(clients-1)*size, s.Stats().QueueBytes, 10_000, "the latest are retained still")
	for i := range messages {
		publisher.send(retained(codec.QoS0, 0, fmt.Sprint("r/", i), ""))
	}
	require.Zero(t, s.Stats().RetainedBytes)
	require.InDelta(t, 3*clients*size, s.Stats().QueueBytes, 10_000)

	s.queuedMax.Store(100_000) // it is full: so there is one at a time
	largeRetained(publisher, messages)
	for n := range clients {
		reader := meet(t, s.loops[n%2], clientID(n), persistent)
		reader.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "r/#", QoS: codec.QoS1}}))
		var got []string
		for range 3 + messages {
			settleAll(s)
			for _, packet := range reader.got() {
				var id uint16
				if _, err := fmt.Sscanf(packet, "PUBLISH %d r/", &id); err == nil {
					got = append(got, packet)
					reader.send(acks(codec.PUBACK, id))
				}
			}
		}
		require.Len(t, got, 3+messages, "three of before, and all that there are")
		require.Nil(t, reader.conn.replay)
		if n < clients/2 {
			reader.leave()
		}
	}
	require.Zero(t, s.Stats().QueueBytes+s.Stats().QueuedMessages+s.Stats().StoredMessages)
	require.Zero(t, s.Stats().Above[0].Dropped.Total())
	requireAboveBalance(t, s)
}

// What waits counts no more when the sessions have ended for which it does, whatever has become of it.
func TestNothingCountsWhenSessionsHaveEnded(t *testing.T) {
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprint("stored ", stored), func(t *testing.T) {
			var s *Server
			if stored {
				s = keptServer(t, t.TempDir())
			} else {
				s = stillServer(t, 2)
			}
			publisher := meet(t, s.loops[0], "publisher")
			largeRetained(publisher, 30)
			var readers []*peer
			for n := range 10 {
				options := []func(*codec.Connect){persistent}[:n%2]
				reader := meet(t, s.loops[n%3%2], fmt.Sprint("reader-", n), options...).subscribed(codec.QoS1, "r/#", "live")
				publisher.send(above(codec.QoS1, 1, "live", "x"))
				publisher.send(retained(codec.QoS1, 2, fmt.Sprint("r/", 29-n), "replaced"))
				if n%3 == 0 {
					reader.send(acks(codec.PUBACK, 1<<15, 1<<15+1))
				}
				readers = append(readers, reader)
				if n%4 < 2 {
					reader.leave()
				}
			}
			settleAll(s)
			require.Greater(t, s.Stats().QueueBytes, 9*60_000, "what was replaced")
			for n, reader := range readers {
				if reader.conn.live() {
					reader.leave()
				}
				meet(t, s.loops[n%2], fmt.Sprint("reader-", n)).leave() // wants no session
			}
			settleAll(s)
			require.Zero(t, s.Stats().Sessions)
			require.Zero(t, s.Stats().QueueBytes+s.Stats().QueuedMessages+s.Stats().StoredMessages)
			requireAboveBalance(t, s)
			if stored {
				require.NoError(t, s.saveRest())
			}
		})
	}
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

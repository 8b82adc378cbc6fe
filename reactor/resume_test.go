package reactor

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// settleAll has still loops do what they have to, for themselves and for each other.
func settleAll(s *Server) {
	for range 3 {
		for _, l := range s.loops {
			l.drain()
		}
	}
}

// A client comes back on another loop: its session is there, what it had not acknowledged comes again, what was
// published meanwhile follows, and its subscriptions of QoS 0 bring messages to the new loop.
func TestSessionMovesBetweenLoops(t *testing.T) {
	s := stillServer(t, 3)
	reader := meet(t, s.loops[0], "reader", persistent)
	require.Equal(t, []string{"CONNACK"}, reader.got())
	reader.subscribed(codec.QoS2, "above").subscribed(codec.QoS0, "zero", "zero/#")
	publisher := meet(t, s.loops[1], "publisher")
	publisher.send(above(codec.QoS2, 1, "above", "one"))
	publisher.send(above(codec.QoS2, 2, "above", "two"))
	publisher.send(above(codec.QoS1, 3, "above", "three"))
	settleAll(s)
	require.Len(t, reader.got(), 3)
	reader.send(acks(codec.PUBREC, 2))
	handle := reader.conn.handle
	reader.leave()
	require.Equal(t, []int{1, 1, 3}, []int{s.Stats().Clients, s.Stats().Sessions, s.Stats().Subscriptions})

	publisher.send(above(codec.QoS1, 4, "above", "four"))
	publisher.send(publish("zero", "lost"))
	publisher.send(above(codec.QoS1, 5, "zero", "lost too: the subscription is of QoS 0"))
	settleAll(s)
	require.EqualValues(t, 2, s.Stats().Dropped[ReasonAbsent])
	require.Equal(t, 3, s.Stats().QueuedMessages, "of one only PUBREL is left")

	again := meet(t, s.loops[2], "reader", persistent)
	require.Equal(t, []string{"CONNACK present", "PUBLISH 1 above one QoS 2 DUP", "PUBREL 2", "PUBLISH 3 above three QoS 1 DUP",
		"PUBLISH 4 above four QoS 1"}, again.got())
	require.Equal(t, handle, again.conn.handle)
	require.Equal(t, []int{2, 0, 3}, []int{s.Stats().Clients, s.Stats().Sessions, s.Stats().Subscriptions})
	publisher.send(append(publish("zero", "a"), publish("zero/b", "b")...))
	publisher.send(above(codec.QoS1, 6, "above", "five"))
	settleAll(s)
	require.Equal(t, []string{"PUBLISH zero a", "PUBLISH zero/b b", "PUBLISH 5 above five QoS 1"}, again.got())
	again.send(acks(codec.PUBCOMP, 2))
	again.send(acks(codec.PUBACK, 3, 4, 5))
	again.send(append(acks(codec.PUBREC, 1), acks(codec.PUBCOMP, 1)...))
	require.Zero(t, s.Stats().QueuedMessages)
	requireAboveBalance(t, s)
	requireBalance(t, s)
}

// The Packet Identifier of a QoS 2 PUBLISH is part of the session: the message that comes again is not published
// again, on whichever loop [MQTT-4.3.3-2].
func TestReceivedIdentifiersMoveWithTheSession(t *testing.T) {
	s := stillServer(t, 2)
	reader := meet(t, s.loops[0], "reader").subscribed(codec.QoS1, "a")
	sender := meet(t, s.loops[0], "sender", persistent)
	sender.send(above(codec.QoS2, 9, "a", "once"))
	sender.leave()
	again := meet(t, s.loops[1], "sender", persistent)
	again.send(above(codec.QoS2, 9, "a", "once"))
	again.send(acks(codec.PUBREL, 9))
	require.Equal(t, []string{"CONNACK present", "PUBREC 9", "PUBCOMP 9"}, again.got())
	again.send(above(codec.QoS2, 9, "a", "another"))
	settleAll(s)
	require.Equal(t, []string{"PUBLISH 1 a once QoS 1", "PUBLISH 2 a another QoS 1"}, reader.got())
}

// A new connection of a client takes its session from the one that it takes over, whatever loops they are on.
func TestTakeoverTakesTheSession(t *testing.T) {
	for loops := range 2 {
		t.Run(fmt.Sprint("to loop ", loops), func(t *testing.T) {
			s := stillServer(t, 2)
			old := meet(t, s.loops[0], "reader", persistent).subscribed(codec.QoS1, "a")
			publisher := meet(t, s.loops[0], "publisher")
			publisher.send(above(codec.QoS1, 1, "a", "x"))
			require.Len(t, old.got(), 1)
			again := meet(t, s.loops[loops], "reader", persistent)
			settleAll(s)
			require.False(t, old.conn.live())
			require.Equal(t, []string{"CONNACK present", "PUBLISH 1 a x QoS 1 DUP"}, again.got())
			require.Equal(t, []int{2, 0}, []int{s.Stats().Clients, s.Stats().Sessions})
			require.Zero(t, s.Stats().SessionsEvicted)
		})
	}
}

// Clean Session 1 ends the session that there was, with what it had [MQTT-3.1.2-6], and leaves none behind.
func TestCleanSessionEndsTheStoredOne(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	meet(t, l, "reader", persistent).subscribed(codec.QoS1, "a").leave()
	publisher := meet(t, l, "publisher")
	publisher.send(above(codec.QoS1, 1, "a", "x"))
	clean := meet(t, l, "reader")
	require.Equal(t, []string{"CONNACK"}, clean.got())
	st := s.Stats()
	require.Zero(t, st.Sessions+st.Subscriptions+st.QueuedMessages+st.QueueBytes)
	require.EqualValues(t, 1, st.Above[0].Dropped[ReasonCutOff], "its client has ended it")
	require.Zero(t, st.Above[0].Dropped[ReasonExpired])
	clean.leave()
	again := meet(t, l, "reader", persistent)
	require.Equal(t, []string{"CONNACK"}, again.got())
	requireAboveBalance(t, s)
}

// More clients are away than may be: the session of the one that left first ends, is counted, and all that it had
// goes; so a new one has room.
func TestSessionsBeyondTheLimit(t *testing.T) {
	s := stillServer(t, 2)
	s.limits.Sessions = 2
	publisher := meet(t, s.loops[0], "publisher")
	slots := func() (taken int) {
		for slot := range s.table.Slots() {
			if _, c := s.table.At(slot); c != nil {
				taken++
			}
		}
		return taken
	}
	for i := range 5 {
		meet(t, s.loops[i%2], fmt.Sprint("reader-", i), persistent).subscribed(codec.QoS1, "a", fmt.Sprint("own/", i)).leave()
		publisher.send(above(codec.QoS1, uint16(i)+1, "a", "x"))
		require.Equal(t, 1+min(i+1, 2), slots())
	}
	st := s.Stats()
	require.Equal(t, []int{2, 4, 1}, []int{st.Sessions, st.Subscriptions, st.Clients})
	require.EqualValues(t, 3, st.SessionsEvicted)
	require.EqualValues(t, 2+2+2, st.Above[0].Dropped[ReasonExpired])
	require.Equal(t, 2+1, st.QueuedMessages)
	requireAboveBalance(t, s)
	for i, present := range []string{"CONNACK", "CONNACK", "CONNACK", "CONNACK present", "CONNACK present"} {
		require.Equal(t, present, meet(t, s.loops[0], fmt.Sprint("reader-", i), persistent).got()[0])
	}
}

// Who has been away for too long has no session any more, and who has not has.
func TestSessionsExpire(t *testing.T) {
	s := stillServer(t, 1)
	s.expiry.Store(int64(time.Minute))
	l := s.loops[0]
	for i := range 3 {
		meet(t, l, fmt.Sprint("reader-", i), persistent).subscribed(codec.QoS1, "a").leave()
	}
	publisher := meet(t, l, "publisher")
	publisher.send(above(codec.QoS1, 1, "a", "x"))
	s.expireSessions(time.Now())
	require.Zero(t, s.Stats().SessionsExpired)
	back := meet(t, l, "reader-1", persistent)
	require.Equal(t, []string{"CONNACK present", "PUBLISH 1 a x QoS 1"}, back.got())

	s.expireSessions(time.Now().Add(time.Hour))
	st := s.Stats()
	require.EqualValues(t, 2, st.SessionsExpired)
	require.Equal(t, []int{0, 1, 1, 2}, []int{st.Sessions, st.Subscriptions, st.QueuedMessages, st.Clients})
	require.EqualValues(t, 2, st.Above[0].Dropped[ReasonExpired])
	require.Equal(t, []string{"CONNACK"}, meet(t, l, "reader-0", persistent).got())
	require.True(t, back.conn.live())
	requireAboveBalance(t, s)
}

// Sessions are ended a few at a time, so that loops do not wait long.
func TestSessionsExpireAFewAtATime(t *testing.T) {
	s := stillServer(t, 1)
	for i := range expireMax + 10 {
		meet(t, s.loops[0], fmt.Sprint("reader-", i), persistent).leave()
	}
	s.expireSessions(time.Now().Add(48 * time.Hour))
	require.Equal(t, 10, s.Stats().Sessions)
	s.expireSessions(time.Now().Add(48 * time.Hour))
	require.Zero(t, s.Stats().Sessions)
}

// A client that is away has a slot, but not that of one who is connected: a full server takes as many newcomers as
// it may.
func TestClientsAwayTakeNoPlace(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops, c.MaxClients, c.SessionsMax = 2, 2, 2 })
	for i := range 2 {
		c := connect(t, s, fmt.Sprint("away-", i), persistent)
		c.subscribe("a")
		c.send(codec.AppendDisconnect(nil))
		c.expectClosed()
		eventually(t, "its session is kept", func() bool { return s.Stats().Sessions == i+1 })
	}
	connect(t, s, "one").ping()
	two := connect(t, s, "two")
	refused := dial(t, s)
	refused.sendConnect("away-0", persistent)
	require.Equal(t, codec.ServerUnavailable, refused.expectConnack())
	refused.expectClosed()
	require.Equal(t, 2, s.Stats().Sessions, "and its session stays")
	two.abort()
	eventually(t, "there is room", func() bool { return s.Stats().Clients == 1 })
	back := connect(t, s, "away-0", persistent)
	back.ping()
	require.Equal(t, []int{2, 1}, []int{s.Stats().Clients, s.Stats().Sessions})
}

// A client that still has retained messages to get takes that along to another loop. Its old loop, which may have
// the connection that has gone in a list for a moment, does not look at it meanwhile.
func TestReplayMovesWithTheSession(t *testing.T) {
	s := stillServer(t, 2)
	s.config.MaxInflight = 1
	here := s.loops[0]
	publisher := meet(t, here, "publisher")
	for i := range uint16(3) {
		publisher.send(retained(codec.QoS1, i+1, fmt.Sprint("a/", i), "kept"))
	}
	reader := meet(t, here, "reader", persistent).subscribed(codec.QoS1, "a/#")
	require.NotNil(t, reader.conn.replay)
	reader.leave()
	here.list(&here.congested, reader.conn, inCongested) // until the next look
	found := make(chan int)
	go func() { found <- len(here.standings(0)) }()
	again := meet(t, s.loops[1], "reader", persistent)
	require.Zero(t, <-found)
	var topics []string
	for id := uint16(32_768); id < 32_771; id++ {
		got := again.got()
		last := got[len(got)-1]
		require.Contains(t, last, fmt.Sprintf("PUBLISH %d a/", id))
		topics = append(topics, last[len("PUBLISH 32768 "):len("PUBLISH 32768 a/0")])
		again.send(acks(codec.PUBACK, id))
	}
	require.ElementsMatch(t, []string{"a/0", "a/1", "a/2"}, topics)
	require.Nil(t, again.conn.replay)
	require.Zero(t, s.Stats().QueuedMessages)
}

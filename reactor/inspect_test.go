package reactor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/session"
)

// hold keeps a loop from its work until the test ends or release is called.
func hold(t *testing.T, l *loop) (release func()) {
	t.Helper()
	held, released := make(chan struct{}), make(chan struct{})
	onLoop(t, l, func(*loop) { close(held); <-released })
	<-held
	release = func() {
		select {
		case <-released:
		default:
			close(released)
		}
	}
	t.Cleanup(release)
	return release
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestClientsAreListedInPages(t *testing.T) {
	const clients, page = 1300, 600 // more than one question takes
	s := stillServer(t, 3)
	for n := range clients {
		join(t, s.loops[n%3], fmt.Sprint("client-", n), "a", "b")
	}
	for slot := 10; slot < clients; slot += 10 { // holes
		h, _ := s.table.At(slot)
		s.table.Release(h)
	}
	answering(t, s)
	var slots []uint32
	after, pages := -1, 0
	for {
		list, next, err := s.Clients(within(t, patience), after, page)
		require.NoError(t, err)
		require.LessOrEqual(t, len(list), page)
		for _, info := range list {
			require.Equal(t, fmt.Sprint("client-", info.Slot), info.ClientID)
			require.Equal(t, int(info.Slot)%3, info.Loop)
			require.Equal(t, 2, info.Filters)
			slots = append(slots, info.Slot)
		}
		pages++
		if next == -1 {
			break
		}
		after = next
	}
	assert.Equal(t, 2, pages)
	assert.Len(t, slots, clients-clients/10+1)
	assert.IsIncreasing(t, slots)
	list, next, err := s.Clients(within(t, patience), clients+1000, 5)
	require.NoError(t, err)
	assert.Empty(t, list)
	assert.Equal(t, -1, next)
}

// answering has the loops of a stillServer open their letters until the test ends, each on its goroutine.
func answering(t testing.TB, s *Server) {
	t.Helper()
	for _, l := range s.loops {
		ended := make(chan struct{})
		t.Cleanup(func() { <-ended })
		go func() {
			defer close(ended)
			for t.Context().Err() == nil { // done before the test's cleanups are run
				l.drain()
				time.Sleep(100 * time.Microsecond)
			}
		}()
	}
}

func TestClientInfo(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 2 })
	begun := time.Now()
	c := connect(t, s, "plant/floor 1%\x7f", withKeepAlive(30))
	c.subscribe("a", "b/#", "b/c")
	writer := connect(t, s, "writer")
	for range 3 {
		writer.publish("b/c", "x")
	}
	writer.publish("unheard", "x")
	writer.ping()
	for range 3 { // not six: matched once per client and message
		c.expectPublish()
	}
	info, ok, err := s.Client(within(t, patience), "plant/floor 1%\x7f")
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, c.conn.LocalAddr().String(), info.Remote.String())
	assert.Equal(t, 30*time.Second, info.KeepAlive)
	assert.Equal(t, codec.Version311.String(), info.Version)
	assert.Equal(t, 3, info.Filters)
	assert.EqualValues(t, 3, info.Delivered)
	assert.Zero(t, info.Dropped)
	assert.False(t, info.Congested)
	assert.WithinRange(t, info.ConnectedAt, begun.Add(-time.Second), time.Now().Add(time.Second))
	assert.Equal(t, "plant/floor 1%\uFFFD", info.Label())
	assert.Equal(t, VerdictHealthy, info.Verdict)
	require.NotNil(t, info.Kernel)
	assert.Positive(t, info.Kernel.RTT)
	assert.Positive(t, info.Kernel.WindowBytes)

	again, ok, err := s.Client(within(t, patience), "plant/floor 1%\x7f")
	require.True(t, ok, err)
	assert.Equal(t, info.ConnectedAt, again.ConnectedAt)

	_, ok, err = s.Client(within(t, patience), "nobody")
	assert.NoError(t, err)
	assert.False(t, ok)
	c.send(codec.AppendDisconnect(nil))
	c.expectClosed()
	eventually(t, "it is known no more", func() bool {
		_, ok, err := s.Client(within(t, patience), "plant/floor 1%\x7f")
		return !ok && err == nil
	})
}

func TestTopNamesWhoLostTheMost(t *testing.T) {
	s := stillServer(t, 2)
	const clients = 1200 // more than one question takes
	for n := range clients {
		c, _ := join(t, s.loops[n%2], fmt.Sprint("client-", n))
		c.loop.lose(c, ReasonSlow, uint64(n)) // the first loses nothing
		c.loop.lose(c, ReasonMemory, uint64(n))
		c.backlog = backlog{}
		if n < 700 {
			c.backlog.messages, c.backlog.bytes, c.pace = 1, 1000+n, blocked
			c.loop.congested = append(c.loop.congested, c)
		}
	}
	answering(t, s)
	byLoss, byWaiting, err := s.Top(within(t, patience), 3)
	require.NoError(t, err)
	names := func(list []ClientInfo) (ids []string) {
		for _, info := range list {
			ids = append(ids, info.ClientID)
		}
		return ids
	}
	assert.Equal(t, []string{"client-1199", "client-1198", "client-1197"}, names(byLoss))
	assert.Equal(t, []string{"client-699", "client-698", "client-697"}, names(byWaiting))
	assert.Equal(t, Losses{ReasonSlow: 1199, ReasonMemory: 1199}, byLoss[0].Dropped)
	assert.True(t, byWaiting[0].Congested)

	all, _, err := s.Top(within(t, patience), 5000)
	require.NoError(t, err)
	assert.Len(t, all, clients-1, "none with zero, none twice")
	none, _, err := s.Top(within(t, patience), 0)
	require.NoError(t, err)
	assert.Empty(t, none)
}

// A client is found wherever what it is to get waits.
func TestTopFindsAllForWhomSomethingWaits(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	var stands []*conn
	for n := range 5 {
		c, _ := join(t, l, fmt.Sprint("client-", n))
		stands = append(stands, c)
	}
	stands[0].pace, stands[0].backlog.messages, stands[0].backlog.bytes = postponed, 1, 100
	stands[1].pace, stands[1].replay = held, &replay{live: backlog{messages: 2, bytes: 200}}
	stands[2].pace, stands[2].backlog.messages, stands[2].backlog.bytes = blocked, 1, 100
	stands[2].replay = &replay{live: backlog{messages: 2, bytes: 200}}
	meet(t, l, "queue").subscribed(codec.QoS1, "a")
	meet(t, l, "publisher").send(above(codec.QoS1, 1, "a", strings.Repeat("x", 1000)))
	answering(t, s)
	_, byWaiting, err := s.Top(within(t, patience), 10)
	require.NoError(t, err)
	var found []string
	for _, info := range byWaiting {
		require.Equal(t, info.Matched, info.WaitingMessages)
		found = append(found, fmt.Sprintf("%s %d %d", info.ClientID, info.WaitingMessages, info.WaitingBytes/100))
	}
	assert.Equal(t, []string{"queue 1 10", "client-2 3 3", "client-1 2 2", "client-0 1 1"}, found)
}

// What a client that does not acknowledge loses is its own loss wherever losses are told, and its verdict.
func TestLossesAboveQoS0AreTheClients(t *testing.T) {
	var log text
	s := startQuiet(t, func(c *Config) {
		c.Loops, c.MaxInflight, c.QueuedMessagesMax = 2, 20, 10
		c.Log = zerolog.New(&log)
	})
	lazy, zero, publisher := connect(t, s, "lazy"), connect(t, s, "zero"), connect(t, s, "publisher")
	lazy.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a", QoS: codec.QoS1}}))
	require.Equal(t, codec.SUBACK, lazy.next().Type)
	zero.subscribe("a")
	for id := range uint16(100) {
		publisher.send(above(codec.QoS1, id+1, "a", "x"))
		require.Equal(t, codec.PUBACK, publisher.next().Type)
	}
	for range 20 {
		require.Equal(t, codec.PUBLISH, lazy.next().Type)
	}
	byLoss, byWaiting, err := s.Top(within(t, patience), 10)
	require.NoError(t, err)
	require.Len(t, byLoss, 1)
	assert.Equal(t, ClientLoss{"lazy", Losses{ReasonQueueFull: 70}, 70}, byLoss[0].Loss())
	assert.EqualValues(t, 100, byLoss[0].Matched)
	require.Len(t, byWaiting, 1)
	assert.EqualValues(t, 30, byWaiting[0].Waiting().Messages)
	assert.Equal(t, s.Stats().QueueBytes, byWaiting[0].Waiting().Bytes)
	list, _ := s.sys.clientValues(within(t, patience))
	loss := `{"client_id":"lazy","dropped":{"queue_full":70},"lost":70}`
	assert.Contains(t, list, sysValue{"$SYS/mqttd/clients/lazy/loss", loss})
	assert.Contains(t, list, sysValue{"$SYS/mqttd/top/loss", "[" + loss + "]"})
	eventually(t, "the kernel has sent what it has", func() bool {
		info, ok, err := s.Client(within(t, patience), "lazy")
		require.NoError(t, err)
		require.True(t, ok)
		return info.Verdict == VerdictReader && strings.Contains(info.VerdictWhy, "acknowledges none")
	})

	lazy.send(codec.AppendDisconnect(nil))
	lazy.expectClosed()
	eventually(t, "the log tells of all that it has lost", func() bool {
		return strings.Contains(log.String(), `"client_id":"lazy","dropped":100,"reason":"sent DISCONNECT"`)
	})
	st := s.Stats()
	assert.EqualValues(t, 30, st.Total().Dropped[ReasonCutOff])
}

// A client that comes back is told of with what it lost while it was away, at any QoS.
func TestLossesWhileAway(t *testing.T) {
	var log text
	s := stillServer(t, 2)
	s.config.QueuedMessagesMax = 3
	s.log = zerolog.New(&log)
	meet(t, s.loops[0], "reader", persistent).subscribed(codec.QoS1, "a").subscribed(codec.QoS0, "b").leave()
	publisher := meet(t, s.loops[0], "publisher")
	for id := range uint16(5) {
		publisher.send(above(codec.QoS1, id+1, "a", "x"))
		publisher.send(publish("b", "x"))
	}
	for range 2 { // on another loop, and with nothing lost in between
		reader := meet(t, s.loops[1], "reader", persistent)
		info := s.loops[1].info(reader.conn)
		assert.Equal(t, Losses{ReasonQueueFull: 2, ReasonAbsent: 5}, info.Dropped)
		assert.EqualValues(t, 10, info.Matched)
		assert.Contains(t, log.String(), `"session_present":true,"dropped":7`)
		reader.leave()
	}
	st := s.Stats()
	assert.Equal(t, Losses{ReasonQueueFull: 2, ReasonAbsent: 5}, st.Total().Dropped)
}

func TestTopWithoutLosses(t *testing.T) {
	s := start(t, nil)
	connect(t, s, "client").ping()
	byLoss, byWaiting, err := s.Top(within(t, patience), 10)
	require.NoError(t, err)
	assert.Empty(t, byLoss)
	assert.Empty(t, byWaiting)
}

// A loop that stands still is named, and costs the asker no more than its patience; the others answer, and it
// does too when it goes on.
func TestStuckLoopIsNamed(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 2 })
	require.NoError(t, s.Responsive(within(t, patience)))
	stuck := s.loops[1]
	release := hold(t, stuck)
	eventually(t, "only the other loop answers", func() bool {
		err := s.Responsive(within(t, time.Second))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "loop 1 ")
		return !strings.Contains(err.Error(), "loop 0 ")
	})
	for range 3 * questionsMax {
		assert.ErrorContains(t, s.Responsive(within(t, 5*time.Millisecond)), "loop 1 ")
	}
	stuck.mailbox.mu.Lock()
	waiting := len(stuck.mailbox.letters)
	stuck.mailbox.mu.Unlock()
	assert.LessOrEqual(t, waiting, questionsMax+1, "questions and a tick")
	eventually(t, "its tick waits", func() bool { return s.Loops()[1].Turn > 100*time.Millisecond })
	release()
	eventually(t, "it answers", func() bool { return s.Responsive(within(t, patience)) == nil })
	eventually(t, "no question is left", func() bool { return len(stuck.watch.desk) == 0 })
}

func TestReadyFromListeningToStopping(t *testing.T) {
	s := stillServer(t, 1)
	assert.False(t, s.Ready())
	close(s.listening)
	assert.True(t, s.Ready())
	s.stopping.Store(true)
	assert.False(t, s.Ready())
	close(s.stopped)
	assert.ErrorIs(t, s.Responsive(within(t, patience)), ErrStopped)
}

// A bug in answering costs neither the loop nor the asker's patience.
func TestPanicInAQuestion(t *testing.T) {
	s := stillServer(t, 1)
	answering(t, s)
	_, err := query(within(t, patience), s, s.loops, func(*loop) int { panic("bug") })
	assert.ErrorIs(t, err, errInternal)
	assert.NoError(t, s.Responsive(within(t, patience)))
}

// A reader that stands still is told from a network that does.
func TestVerdictOfAReaderThatDoesNotRead(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 1 })
	stalled := connect(t, s, "stalled")
	require.NoError(t, stalled.conn.SetReadBuffer(4<<10))
	stalled.subscribe("data")
	publisher := connect(t, s, "publisher")
	payload := strings.Repeat("x", 60_000)
	var info ClientInfo
	eventually(t, "the window is closed", func() bool { // while it closes it may look like the network
		publisher.publish("data", payload)
		publisher.ping()
		var ok bool
		var err error
		info, ok, err = s.Client(within(t, patience), "stalled")
		require.NoError(t, err)
		require.True(t, ok)
		return info.Verdict == VerdictReader
	})
	assert.Contains(t, info.VerdictWhy, "receive window")
	assert.Positive(t, info.WaitingBytes)
	assert.Positive(t, info.Kernel.SendQueueBytes)
}

// onLoopWait runs f on a loop of a running server and waits for it.
func onLoopWait(t *testing.T, l *loop, f func(*loop)) {
	t.Helper()
	done := make(chan struct{})
	onLoop(t, l, func(l *loop) { defer close(done); f(l) })
	<-done
}

// Clients that are away are listed and looked at like others, until their session ends, and those for whom most waits
// are told of.
func TestClientsThatAreAway(t *testing.T) {
	s := stillServer(t, 2)
	s.config.QueuedMessagesMax = 3
	begun := time.Now().Add(-2 * time.Millisecond)
	for i, id := range []string{"here", "away-1", "away-2"} {
		reader := meet(t, s.loops[i%2], id, persistent).subscribed(codec.QoS1, "a", "b")
		if i > 0 {
			reader.leave()
		}
	}
	publisher := meet(t, s.loops[0], "publisher")
	for id := range uint16(5) {
		publisher.send(above(codec.QoS1, id+1, "b", "x"))
	}
	meet(t, s.loops[1], "away-2", persistent).leave() // with what waits for it under way
	answering(t, s)
	states := func(list []ClientInfo) (states []string) {
		for _, info := range list {
			states = append(states, fmt.Sprint(info.ClientID, " ", info.Away(), " ", info.WaitingMessages))
		}
		return states
	}
	list, next, err := s.Clients(within(t, patience), -1, 2)
	require.NoError(t, err)
	assert.Equal(t, []string{"here false 5", "away-1 true 3"}, states(list))
	list, next, err = s.Clients(within(t, patience), next, 2)
	require.NoError(t, err)
	assert.Equal(t, []string{"away-2 true 3", "publisher false 0"}, states(list))
	rest, _, err := s.Clients(within(t, patience), next, 2)
	require.NoError(t, err)
	assert.Empty(t, rest)

	info, ok, err := s.Client(within(t, patience), "away-2")
	require.NoError(t, err)
	require.True(t, ok)
	assert.WithinRange(t, info.LeftAt, begun, time.Now().Add(time.Millisecond))
	info.LeftAt = list[0].LeftAt // rounded from nearly the same
	assert.Equal(t, list[0], info)
	assert.Equal(t, 2, info.Filters)
	assert.Equal(t, Losses{ReasonQueueFull: 2}, info.Dropped)
	assert.Equal(t, 3, info.Inflight)
	assert.EqualValues(t, 5, info.Matched)
	assert.Empty(t, info.Verdict)

	byLoss, byWaiting, err := s.Top(within(t, patience), 2)
	require.NoError(t, err)
	assert.Equal(t, []string{"away-1 true 3", "away-2 true 3"}, states(byLoss))
	assert.Equal(t, []string{"here false 5", "away-1 true 3"}, states(byWaiting))

	s.endSession(s.absent.Take("away-1"), ReasonExpired)
	_, ok, err = s.Client(within(t, patience), "away-1")
	assert.NoError(t, err)
	assert.False(t, ok)
}

// Clients that come and go while others ask for them are there once or not, and a client that stays always is.
func TestClientsComeAndGoWhileTheyAreLookedAt(t *testing.T) {
	s := startQuiet(t, func(c *Config) { c.Loops = 2 })
	connect(t, s, "stays", persistent)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := range 50 {
			c := connect(t, s, "comes", persistent)
			c.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: fmt.Sprint(i), QoS: codec.QoS1}}))
			require.Equal(t, codec.SUBACK, c.next().Type)
			c.send(codec.AppendDisconnect(nil))
			c.expectClosed()
		}
	}()
	for looking := true; looking; {
		select {
		case <-ended:
			looking = false
		default:
		}
		list, _, err := s.Clients(within(t, patience), -1, 10)
		require.NoError(t, err)
		var ids []string
		for _, info := range list {
			ids = append(ids, info.ClientID)
		}
		require.Contains(t, ids, "stays")
		slices.Sort(ids)
		require.Equal(t, slices.Compact(slices.Clone(ids)), ids)
		_, _, err = s.Top(within(t, patience), 10)
		require.NoError(t, err)
		_, _, err = s.Client(within(t, patience), "comes")
		require.NoError(t, err)
	}
	eventually(t, "it is away", func() bool {
		info, ok, err := s.Client(within(t, patience), "comes")
		return err == nil && ok && info.Away() && info.Filters == 50
	})
}

// BenchmarkClientsQuestion is about as many clients as one question may be.
func BenchmarkClientsQuestion(b *testing.B) {
	s := stillServer(b, 1)
	for n := range 8000 {
		join(b, s.loops[0], fmt.Sprint("client-", n), "a")
	}
	at := -1
	b.ReportAllocs()
	for b.Loop() {
		var handles []session.Handle
		handles, at = s.occupants(at+1, windowMax) // others each time: cold ones
		s.loops[0].infosOf(handles)
	}
}

// BenchmarkStandingsQuestion looks through as many slots as one question does, of clients of which a tenth has lost
// something.
func BenchmarkStandingsQuestion(b *testing.B) {
	s := stillServer(b, 1)
	l := s.loops[0]
	for n := range 8 * standingsMax {
		c, _ := join(b, l, fmt.Sprint("client-", n), "a")
		l.subscribe(c, grant{"b", codec.QoS1})
		if n%10 == 0 {
			l.lose(c, ReasonSlow, 1)
		}
	}
	first := 0
	b.ReportAllocs()
	for b.Loop() {
		l.standings(first) // others each time: cold ones
		first = (first + standingsMax) % (8 * standingsMax)
	}
}

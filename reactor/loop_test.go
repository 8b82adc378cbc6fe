package reactor

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"mqttd/codec"
	"mqttd/session"
)

// arrive adds a client that has sent nothing yet.
func arrive(l *loop) (*conn, *sink) {
	out := &sink{keep: true}
	c := &conn{loop: l, gc: out}
	c.serves.Store(l)
	l.wheel.file(c)
	return c, out
}

func connectPacket(clientID string, options ...func(*codec.Connect)) []byte {
	p := &codec.Connect{Version: codec.Version311, CleanSession: true, ClientID: []byte(clientID)}
	for _, option := range options {
		option(p)
	}
	return codec.AppendConnect(nil, p)
}

func publish(topic, payload string) []byte {
	return codec.AppendPublish(nil, &codec.Publish{Topic: []byte(topic), Payload: []byte(payload)})
}

// types lists the packets in what was written to a client: their types, and the payload of a
// PUBLISH.
func types(t testing.TB, out *sink) (list []string) {
	var d codec.Decoder
	d.Feed(out.written.Bytes())
	for {
		f, ok, err := d.Next(PacketBytesMax)
		require.NoError(t, err)
		if !ok {
			d.Release()
			return list
		}
		name := f.Type.String()
		if p, err := codec.ParsePublish(f, codec.Version311); f.Type == codec.PUBLISH && err == nil {
			name += " " + string(p.Payload)
		}
		list = append(list, name)
	}
}

// CONNACK is the first packet [MQTT-3.2.0-1], also when the first chunk holds a QoS 1 PUBLISH, whose
// acknowledgement waits for the flush, and another loop hands over a message for the newcomer first.
func TestConnackIsFirst(t *testing.T) {
	s := stillServer(t, 2)
	publisher, _ := join(t, s.loops[1], "publisher")
	c, out := arrive(s.loops[0])
	chunk := connectPacket("newcomer")
	chunk = codec.AppendSubscribe(chunk, 1, []codec.Subscription{{Filter: "a"}})
	chunk = codec.AppendPublish(chunk, &codec.Publish{Topic: []byte("b"), QoS: codec.QoS1, PacketID: 1})
	s.loops[0].receive(c, chunk)
	s.loops[1].receive(publisher, publish("a", "early"))
	s.loops[1].settle()
	s.loops[0].drain()
	assert.Equal(t, []string{"CONNACK", "SUBACK", "PUBACK", "PUBLISH early"}, types(t, out))
}

// The Will of a connection that was lost reaches every loop before its client's new life begins,
// although the connection is gone when the client comes back on another loop.
func TestWillComesBeforeTheNewLife(t *testing.T) {
	s := stillServer(t, 3)
	_, watched := join(t, s.loops[2], "watcher", "state")
	watched.keep = true
	old, _ := arrive(s.loops[0])
	s.loops[0].receive(old, connectPacket("device", withWill("state", "offline")))
	s.loops[0].settle()
	s.loops[0].closed(old, nil)
	s.loops[0].reap() // the Will is in the log, and not yet flushed

	again, out := arrive(s.loops[1])
	s.loops[1].receive(again, append(connectPacket("device"), publish("state", "online")...))
	s.loops[1].settle()
	assert.Equal(t, session.Parked, again.state)
	s.loops[0].drain() // opens the letter, and settles
	s.loops[1].drain()
	s.loops[2].drain()
	assert.Equal(t, []string{"CONNACK"}, types(t, out))
	assert.Equal(t, []string{"PUBLISH offline", "PUBLISH online"}, types(t, watched))
	assert.Equal(t, 2, s.table.Len())
}

// A log of many short runs with many readers does not take memory for runs times readers.
func TestSpansAreBounded(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	publisher, _ := join(t, l, "publisher")
	const readers, messages = 100, 4000
	outs := make([]*sink, readers)
	for i := range outs {
		// Two topics in turn: each has readers that the other one has not, so runs do not merge.
		topic := []string{"a", "b"}[i%2]
		_, outs[i] = join(t, l, fmt.Sprint("reader-", i), topic)
		outs[i].keep = true
		outs[i].written.Reset()
	}
	var chunk, wantA []byte
	for range messages {
		chunk = append(append(chunk, publishes("a", 1, 1)...), publishes("b", 1, 2)...)
		wantA = append(wantA, publishes("a", 1, 1)...)
	}
	l.receive(publisher, chunk)
	l.drain()
	for len(l.postponed) > 0 {
		l.drain()
	}
	assert.LessOrEqual(t, cap(l.spans), 2*spansMax)
	for i := 0; i < readers; i += 2 {
		require.True(t, bytes.Equal(wantA, outs[i].written.Bytes()), "reader %d gets all of it, in order", i)
	}
}

// Logs that wait for a loop take no more memory than their bytes, however many rounds they come
// from.
func TestWaitingLogsAreSmall(t *testing.T) {
	s := stillServer(t, 2)
	_, out := join(t, s.loops[1], "reader", "a")
	publisher, _ := join(t, s.loops[0], "publisher")
	out.writes = 0
	const rounds = 10_000
	for range rounds {
		s.loops[0].receive(publisher, publish("a", "x"))
		s.loops[0].settle()
	}
	box := &s.loops[1].mailbox
	require.LessOrEqual(t, len(box.logs), 2)
	room := 0
	for _, g := range box.logs {
		room += cap(g.bytes)
	}
	assert.Less(t, room, 512<<10)
	assert.Equal(t, rounds*len(publish("a", "x")), box.bytes)
	s.loops[1].drain()
	assert.Zero(t, box.bytes)
	assert.EqualValues(t, rounds, s.Stats().Delivered)
	assert.LessOrEqual(t, out.writes, 2)
}

func TestRingNeverBlocks(t *testing.T) {
	s := stillServer(t, 1)
	inside, end, err := socketPair()
	require.NoError(t, err)
	defer inside.Close()
	raw, err := end.SyscallConn()
	require.NoError(t, err)
	s.loops[0].bellEnd = end
	s.loops[0].bell.Store(&raw)
	done := make(chan struct{})
	go func() {
		for range 100_000 { // many times what the socket takes
			s.loops[0].ring()
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it blocked")
	}
	s.loops[0].unhang()
	s.loops[0].ring() // does nothing any more
}

// After a loop was taken for stuck, what is for its readers is dropped at once: others do not wait a
// second each time. When it moves again it gets everything.
func TestStuckLoopIsWaitedForOnce(t *testing.T) {
	s := stillServer(t, 2)
	reader, _ := join(t, s.loops[1], "reader", "a")
	publisher, _ := join(t, s.loops[0], "publisher")
	s.loops[1].mailbox.bytes = mailboxBytesMax
	for range 100 {
		s.loops[0].receive(publisher, publish("a", "x"))
		s.loops[0].settle()
	}
	assert.EqualValues(t, 1, s.Stats().HandoverWaits)
	s.loops[1].mailbox.bytes = 0
	s.loops[0].receive(publisher, publish("a", "x"))
	s.loops[0].settle()
	s.loops[1].drain()
	assert.EqualValues(t, 1, s.Stats().Delivered)
	assert.EqualValues(t, 100, s.Stats().Dropped[ReasonHandover])
	assert.EqualValues(t, 100, reader.losses[ReasonHandover], "the loop finds it in its own books")
	requireBalance(t, s)
	assert.False(t, s.loops[0].gaveUp[1])
}

// A loop that stood still for many seconds does not count them against clients whose packets
// wait to be read.
func TestTicksDoNotPileUp(t *testing.T) {
	s := stillServer(t, 1)
	close(s.listening)
	for range 10 {
		s.OnTick()
	}
	s.loops[0].drain()
	assert.EqualValues(t, 1, s.loops[0].wheel.now)
	s.OnTick()
	s.loops[0].drain()
	assert.EqualValues(t, 2, s.loops[0].wheel.now)
}

// A panic while one letter is opened, or while a log is delivered, costs neither the other letters
// nor the mailbox's count, and leaves no span behind.
func TestPanicInTheLoopLeavesItWhole(t *testing.T) {
	s := stillServer(t, 2)
	l := s.loops[0]
	_, out := join(t, l, "reader", "a", "b")
	publisher, _ := join(t, s.loops[1], "publisher")
	bad, _ := join(t, l, "bad", "a")
	bad.gc = panicking{bad.gc.(*sink)}
	l.engine = closing{loop: l}
	for _, chunk := range [][]byte{publish("a", "1"), publish("b", "2"), publish("a", "3")} {
		s.loops[1].receive(publisher, chunk)
	}
	s.loops[1].settle()
	answers := make(chan int, 1)
	l.post(letter{kind: letterCall, call: func() { panic("a bug") }})
	l.post(letter{kind: letterPending, answer: answers})
	out.keep = true
	l.drain()
	assert.Positive(t, s.Stats().Panics)
	assert.Len(t, answers, 1, "the letter after the one that panicked was opened")
	assert.Zero(t, l.mailbox.bytes)
	assert.Empty(t, l.spans)
	assert.Empty(t, l.touched)
	assert.Zero(t, bad.firstSpan+bad.lastSpan)
	assert.False(t, l.scheduled)
	assert.Equal(t, []string{"PUBLISH 1", "PUBLISH 2", "PUBLISH 3"}, types(t, out))
}

// panicking is a connection whose write has a bug.
type panicking struct{ *sink }

func (panicking) Write([]byte) (int, error) { panic("bug in write") }
func (panicking) OutboundBuffered() int     { return 0 }

// A connection that sends too much before its CONNACK is closed and counted.
func TestTooMuchInputWhileParked(t *testing.T) {
	s := stillServer(t, 2)
	old, _ := join(t, s.loops[0], "same")
	c, _ := arrive(s.loops[1])
	s.loops[1].engine = closing{loop: s.loops[1]}
	s.loops[1].receive(c, connectPacket("same"))
	require.Equal(t, session.Parked, c.state)
	s.loops[1].receive(c, publishes("a", 1, DefaultConfig().ConnectBytesMax-100))
	require.True(t, c.live())
	s.loops[1].receive(c, publishes("a", 1, 100))
	assert.False(t, c.live())
	assert.EqualValues(t, 1, s.Stats().ProtocolErrors)

	// Its slot is free when the one before it has gone.
	s.loops[0].engine = closing{loop: s.loops[0]}
	s.loops[1].settle()
	s.loops[0].drain()
	assert.False(t, old.live())
	s.loops[1].drain()
	assert.Zero(t, s.table.Len())
	assert.Zero(t, s.clients.Len())
}

// A peer that lost its power is found out, whatever its Keep Alive.
func TestTCPKeepAliveIsOn(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 1 })
	c := connect(t, s, "client")
	c.ping()
	got := make(chan [3]int, 1)
	onLoop(t, s.loops[0], func(l *loop) {
		l.wheel.each(func(c *conn) {
			var values [3]int
			for i, option := range []struct{ level, name int }{
				{unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
			} {
				values[i], _ = unix.GetsockoptInt(c.gc.Fd(), option.level, option.name)
			}
			got <- values
		})
	})
	assert.Equal(t, [3]int{1, 60, 5}, <-got)
}

// onLoop runs f on a loop of a running server.
func onLoop(t testing.TB, l *loop, f func(*loop)) {
	t.Helper()
	require.NoError(t, l.engine.Execute(t.Context(), runnable(func() { f(l) })))
}

type runnable func()

func (f runnable) Run(context.Context) error {
	f()
	return nil
}

// closing is a stillLoop that closes connections as gnet does.
type closing struct {
	stillLoop
	loop *loop
}

func (e closing) Close(gc gnet.Conn) error {
	var c *conn
	e.loop.wheel.each(func(other *conn) {
		if other.gc == gc {
			c = other
		}
	})
	e.loop.closed(c, nil)
	return nil
}

// A log waits for what its readers on the other loop get of it, and one of any size is taken while
// there is room.
func TestMailboxCountsWhatItHolds(t *testing.T) {
	s := stillServer(t, 2)
	l := s.loops[0]
	join(t, l, "local reader", "bulk")
	join(t, s.loops[1], "remote reader", "tiny", "large")
	publisher, _ := join(t, l, "publisher")
	for range 50 {
		l.receive(publisher, append(publishes("bulk", 1, 190_000), publish("tiny", "x")...))
		l.drain()
	}
	assert.Less(t, s.loops[1].mailbox.bytes, 200_000)
	s.loops[1].mailbox.bytes += mailboxBytesMax - 200_001
	l.receive(publisher, publishes("large", 1, 900_000))
	l.settle()
	assert.Zero(t, s.Stats().HandoverWaits+s.Stats().Dropped[ReasonHandover])
	s.loops[1].mailbox.bytes -= mailboxBytesMax - 200_001
	s.loops[1].drain()
	assert.EqualValues(t, 50+50+1, s.Stats().Delivered)
	assert.Zero(t, s.loops[1].mailbox.bytes)
}

// A log line whose writer has a bug costs neither the Client Identifier nor the slot.
func TestPanicInALogLine(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	c, _ := join(t, l, "unlucky")
	s.log = zerolog.New(&brokenWriter{}).Level(zerolog.InfoLevel)
	l.closed(c, nil)
	_ = (&flushTask{l}).Run(t.Context())
	_ = (&flushTask{l}).Run(t.Context())
	assert.Positive(t, s.Stats().Panics)
	assert.Zero(t, s.table.Len())
	assert.Zero(t, s.clients.Len())
}

// brokenWriter panics at its first line.
type brokenWriter struct{ lines int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.lines++; w.lines == 1 {
		panic("bug in the log's writer")
	}
	return len(p), nil
}

func TestShutdownAfterTheEnd(t *testing.T) {
	s := stillServer(t, 1)
	close(s.listening)
	close(s.stopped)
	assert.Negative(t, s.Shutdown(context.Background()), "it does not wait for loops that have ended, and nobody knows")
}

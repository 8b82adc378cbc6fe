package reactor

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/router"
	"mqttd/session"
)

// sink is a gnet.Conn that takes everything at once, or buffers it.
type sink struct {
	gnet.Conn
	writes   int
	written  bytes.Buffer
	keep     bool // keep what is written
	buffered int
}

func (s *sink) Fd() int               { return -1 }
func (s *sink) OutboundBuffered() int { return s.buffered }
func (s *sink) RemoteAddr() net.Addr  { return &net.TCPAddr{} }
func (s *sink) Write(p []byte) (int, error) {
	s.writes++
	if s.keep {
		s.written.Write(p)
	}
	return len(p), nil
}

// stillLoop is a gnet.EventLoop on which nothing runs: the test settles by itself.
type stillLoop struct{ gnet.EventLoop }

func (stillLoop) Execute(context.Context, gnet.Runnable) error { return nil }

// stillServer is a server without an engine: its loops are driven by the test.
func stillServer(t testing.TB, loops int) *Server {
	config := DefaultConfig()
	config.Loops = loops
	s, err := New(config)
	require.NoError(t, err)
	for _, l := range s.loops {
		l.still()
	}
	return s
}

// still has nothing happen by itself: not on an engine, and not because a busy machine took long for a turn.
func (l *loop) still() {
	l.engine, l.turnBegins = stillLoop{}, time.Now().Add(24*time.Hour)
	l.beginTurn()
}

// endTurn has the loop's turn be over, and stay so until the next one begins.
func (l *loop) endTurn() { l.turn = turn{began: time.Unix(0, 0), over: true} }

// join adds a connected client to a loop.
func join(t testing.TB, l *loop, clientID string, filters ...string) (*conn, *sink) {
	out := &sink{}
	c := &conn{loop: l, gc: out}
	c.serves.Store(l)
	l.wheel.file(c)
	input := codec.AppendConnect(nil, &codec.Connect{Version: codec.Version311, CleanSession: true, ClientID: []byte(clientID)})
	for _, f := range filters {
		input = codec.AppendSubscribe(input, 1, []codec.Subscription{{Filter: f}})
	}
	l.receive(c, input)
	l.settle()
	require.Equal(t, session.Connected, c.state)
	return c, out
}

func publishes(topic string, messages, payloadBytes int) (chunk []byte) {
	for range messages {
		chunk = codec.AppendPublish(chunk, &codec.Publish{Topic: []byte(topic), Payload: make([]byte, payloadBytes)})
	}
	return chunk
}

// In steady state a message costs no allocation, on its own loop and on another.
func TestPublishAllocatesNothing(t *testing.T) {
	s := stillServer(t, 2)
	here, there := s.loops[0], s.loops[1]
	publisher, _ := join(t, here, "publisher")
	for i := range 20 {
		join(t, here, fmt.Sprint("here-", i), "a", "b")
		join(t, there, fmt.Sprint("there-", i), "a", "c")
	}
	chunk := append(publishes("a", 100, 64), publishes("b", 100, 64)...)
	chunk = append(chunk, publishes("c", 100, 64)...)
	round := func() {
		here.scheduled, there.scheduled = false, false
		here.receive(publisher, chunk)
		here.drain()
		there.drain()
	}
	round()
	deliveries := s.Stats().Delivered
	allocations := testing.AllocsPerRun(100, round)
	assert.LessOrEqual(t, allocations, 2.0, "per round and loop, not per message")
	assert.EqualValues(t, 20*(200+200), (s.Stats().Delivered-deliveries)/101)
}

// One write per reader and round, whatever the number of messages and topics.
func TestOneWritePerReaderAndRound(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	publisher, _ := join(t, l, "publisher")
	_, one := join(t, l, "one", "a")
	_, all := join(t, l, "all", "#")
	_, ends := join(t, l, "ends", "a", "c")
	one.keep, all.keep, ends.keep = true, true, true
	one.writes, all.writes, ends.writes = 0, 0, 0

	a, b, c := publishes("a", 3, 10), publishes("b", 2, 10), publishes("c", 1, 10)
	l.receive(publisher, bytes.Join([][]byte{a, b, c}, nil))
	assert.Zero(t, one.writes+all.writes+ends.writes, "nothing before the round ends")
	l.settle()
	assert.Equal(t, []int{1, 1, 1}, []int{one.writes, all.writes, ends.writes})
	assert.Equal(t, string(a), one.written.String())
	assert.Equal(t, string(a)+string(b)+string(c), all.written.String())
	assert.Equal(t, string(a)+string(c), ends.written.String())
}

// A large round is flushed before it ends.
func TestLargeRoundIsFlushedEarly(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	publisher, _ := join(t, l, "publisher")
	_, out := join(t, l, "reader", "a")
	out.writes = 0
	l.receive(publisher, publishes("a", 250, 1000))
	assert.Equal(t, 1, out.writes)
	assert.Less(t, len(l.log.bytes), flushBytes)
}

// What several loops hand over while a loop is busy goes out in one write per reader.
func TestLogsOfOtherLoopsAreMerged(t *testing.T) {
	s := stillServer(t, 3)
	_, out := join(t, s.loops[2], "reader", "a", "b")
	out.keep, out.writes = true, 0
	want := ""
	for i, topic := range []string{"a", "b", "a", "a"} {
		l := s.loops[i%2]
		publisher, _ := join(t, l, fmt.Sprint("publisher-", i))
		chunk := publishes(topic, 2, i)
		want += string(chunk)
		l.receive(publisher, chunk)
		l.settle()
	}
	s.loops[2].drain()
	assert.Equal(t, 1, out.writes)
	assert.Equal(t, want, out.written.String())
	assert.Zero(t, s.loops[2].mailbox.bytes)
}

// What another loop has handed over goes out with what this loop's own clients sent, in one write per
// reader, and before it: the own may be an answer to it.
func TestHandedOverAndOwnLogGoOutTogether(t *testing.T) {
	s := stillServer(t, 2)
	here, there := s.loops[0], s.loops[1]
	_, out := join(t, here, "reader", "a", "b")
	_, other := join(t, here, "other", "b")
	far, _ := join(t, there, "far")
	near, _ := join(t, here, "near")
	out.keep, out.writes = true, 0
	other.keep, other.writes = true, 0

	there.receive(far, append(publish("a", "handed over"), publish("b", "handed over too")...))
	there.settle()
	here.receive(near, publish("b", "own"))
	assert.Zero(t, out.writes, "nothing before the round ends")
	here.drain()
	assert.Equal(t, []int{1, 1}, []int{out.writes, other.writes})
	handed := []string{"PUBLISH handed over", "PUBLISH handed over too", "PUBLISH own"}
	assert.Equal(t, handed, types(t, out)[len(types(t, out))-3:])
	assert.Equal(t, handed[1:], types(t, other)[len(types(t, other))-2:])
	assert.Zero(t, here.mailbox.bytes)
	assert.True(t, here.joined.empty())
}

// Two logs that are large together are not copied into one.
func TestLargeLogsAreNotJoined(t *testing.T) {
	s := stillServer(t, 2)
	here, there := s.loops[0], s.loops[1]
	_, out := join(t, here, "reader", "a")
	far, _ := join(t, there, "far")
	near, _ := join(t, here, "near")
	out.writes = 0
	there.receive(far, publishes("a", 100, 1000))
	there.settle()
	here.receive(near, publishes("a", 100, 1000))
	here.drain()
	assert.Equal(t, 2, out.writes)
	assert.Zero(t, cap(here.joined.bytes), "nothing was copied")
}

// A loop whose round is going to end is not rung: it looks into its mailbox then.
func TestAttendedMailboxNeedsNoBell(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	assert.True(t, l.mailbox.push(letter{kind: letterTick}))
	l.drain()
	l.schedule()
	assert.False(t, l.mailbox.push(letter{kind: letterTick}))
	require.NoError(t, l.flushTask.Run(t.Context()))
	assert.Empty(t, l.mailbox.letters)
	assert.True(t, l.mailbox.push(letter{kind: letterTick}))
}

// A log is used again only when its last reader is done with it.
func TestLogPool(t *testing.T) {
	p := logPool{loops: 2}
	g := p.get()
	r := router.New()
	r.Subscribe("a", router.Subscriber{ID: 1, Group: 1}, codec.QoS0)
	route, err := r.NewCache().Route([]byte("a"))
	require.NoError(t, err)
	g.begin(route)
	g.bytes = append(g.bytes, 'x')
	g.end()
	assert.True(t, g.loops[1])
	g.refs.Add(1)
	g.release()
	assert.NotSame(t, g, p.get())
	g.release()
	again := p.get()
	assert.Same(t, g, again)
	assert.True(t, again.empty())
	assert.Empty(t, again.bytes)
	assert.Equal(t, []bool{false, false}, again.loops)

	again.bytes = make([]byte, logBytesCap+1)
	again.release()
	assert.NotSame(t, again, p.get(), "one that grew too large is not kept")
}

func BenchmarkPublish(b *testing.B) {
	for _, test := range []struct {
		name                      string
		topics, readers, messages int // per topic and round
		payload                   int
	}{
		{"1 topic, 1 reader, 64 B", 1, 1, 1000, 64},
		{"1 topic, 50 readers, 64 B", 1, 50, 100, 64},
		{"1 topic, 1000 readers, 64 B", 1, 1000, 100, 64},
		{"50 topics, 1 reader each, 64 B", 50, 1, 2, 64},
	} {
		b.Run(test.name, func(b *testing.B) {
			s := stillServer(b, 1)
			l := s.loops[0]
			publisher, _ := join(b, l, "publisher")
			var chunk []byte
			for topic := range test.topics {
				name := fmt.Sprint("topic/", topic)
				for reader := range test.readers {
					join(b, l, fmt.Sprintf("reader-%d-%d", topic, reader), name)
				}
				chunk = append(chunk, publishes(name, test.messages, test.payload)...)
			}
			deliveries := float64(test.topics * test.readers * test.messages)
			b.ReportAllocs()
			for b.Loop() {
				l.scheduled = false
				l.receive(publisher, chunk)
				l.drain()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/deliveries, "ns/delivery")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(test.topics*test.messages), "ns/publish")
		})
	}
}

// A publisher and subscribers of a wildcard: all topics have the same route, so a round is one
// run.
func TestTopicsOfOneFilterMakeOneRun(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	publisher, _ := join(t, l, "publisher")
	join(t, l, "reader", "bench/#")
	var chunk []byte
	for i := range 100 {
		chunk = append(chunk, publishes(fmt.Sprint("bench/", i), 1, 10)...)
	}
	l.receive(publisher, chunk)
	require.Len(t, l.log.runs, 1)
	assert.EqualValues(t, 100, l.log.runs[0].messages)
	l.settle()
}

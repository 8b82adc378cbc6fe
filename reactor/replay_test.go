package reactor

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

func retain(t testing.TB, s *Server, topic, payload string) {
	t.Helper()
	packet := codec.AppendPublish(nil, &codec.Publish{Topic: []byte(topic), Payload: []byte(payload), Retain: true})
	require.True(t, s.retained.Store(nil, []byte(topic), packet))
}

// Far more retained messages than may wait for a client arrive complete, at a reader that takes
// its time and beside one that does not read at all.
func TestRetainedMessagesBeyondTheBufferArrive(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops, c.ClientBufferBytes = 2, 64<<10 })
	const messages = 10_000
	payload := strings.Repeat("x", 1000)
	for i := range messages {
		retain(t, s, fmt.Sprint("state/", i), payload)
	}
	stalled := connect(t, s, "stalled")
	require.NoError(t, stalled.conn.SetReadBuffer(4<<10))
	stalled.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "#"}}))

	for i := range 2 {
		reader := connect(t, s, fmt.Sprint("reader-", i))
		require.NoError(t, reader.conn.SetReadBuffer(16<<10))
		reader.subscribe("state/#")
		seen := map[string]bool{}
		for range messages {
			f := reader.next()
			require.EqualValues(t, 1, f.Flags, "RETAIN is set [MQTT-3.3.1-8]")
			p, err := codec.ParsePublish(f, codec.Version311)
			require.NoError(t, err)
			seen[string(p.Topic)] = true
		}
		assert.Len(t, seen, messages)
	}
	assert.Zero(t, s.Stats().Dropped.Total())
}

// One packet that asks for everything a thousand times gets everything once.
func TestRetainedOncePerFilterInAPacket(t *testing.T) {
	s := start(t, nil)
	for i := range 100 {
		retain(t, s, fmt.Sprint("state/", i), "v")
	}
	reader := connect(t, s, "reader")
	reader.subscribe(strings.Split(strings.Repeat("# ", 999)+"#", " ")...)
	reader.countPublishes(func(n int) { assert.Equal(t, 100, n) })
	reader.subscribe("#") // again, so they are sent again [MQTT-3.8.4-3]
	reader.countPublishes(func(n int) { assert.Equal(t, 100, n) })
}

// What changed while a client waits for its page: it gets the newer message live, not the older
// one after it, and nothing for a filter it gave up.
func TestReplayLeavesOutWhatIsNotCurrent(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	for _, topic := range []string{"a/1", "a/2", "a/3", "b/1"} {
		retain(t, s, topic, "old")
	}
	reader, out := join(t, l, "reader")
	one := len(publish("a/3", "old"))
	out.keep = true
	s.config.ClientBufferBytes = 2 * one // one page, of one message
	l.endTurn()
	l.receive(reader, codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a/#"}, {Filter: "b/#"}}))
	l.settle()
	require.Equal(t, []*conn{reader}, l.replaying)
	require.Equal(t, []string{"SUBACK", "PUBLISH old"}, types(t, out))
	s.config.ClientBufferBytes = 1 << 20
	writer, _ := join(t, l, "writer")
	change := codec.AppendPublish(nil, &codec.Publish{Topic: []byte("a/2"), Payload: []byte("new"), Retain: true})
	change = codec.AppendPublish(change, &codec.Publish{Topic: []byte("a/1"), Retain: true})
	change = codec.AppendPublish(change, &codec.Publish{Topic: []byte("a/4"), Payload: []byte("new"), Retain: true})
	l.receive(writer, change)
	l.receive(reader, codec.AppendUnsubscribe(nil, 2, []string{"b/#"}))
	l.drain()
	assert.Empty(t, l.replaying)

	var got []string
	for rest := out.written.Bytes(); len(rest) > 0; {
		var d codec.Decoder
		d.Feed(rest)
		f, ok, err := d.Next(PacketBytesMax)
		require.True(t, ok && err == nil)
		rest = rest[len(f.Bytes):]
		if p, err := codec.ParsePublish(f, codec.Version311); f.Type == codec.PUBLISH && err == nil {
			got = append(got, fmt.Sprintf("%s %s %v", p.Topic, p.Payload, p.Retain))
		}
	}
	assert.Equal(t, []string{"a/3 old true", "a/2 new false", "a/1  false", "a/4 new false"}, got)
}

// A message larger than all the room goes out when nothing else waits.
func TestReplayOfALargeMessage(t *testing.T) {
	s := start(t, func(c *Config) { c.ClientBufferBytes = ClientBufferBytesMin })
	large := strings.Repeat("x", 500_000)
	retain(t, s, "a", large)
	retain(t, s, "b", large)
	reader := connect(t, s, "reader")
	reader.subscribe("#")
	got := []string{reader.expectPublish(), reader.expectPublish()}
	assert.ElementsMatch(t, []string{"a " + large, "b " + large}, got)
}

// Filters that bring nothing, and a client that has no room, cost no lookup and no flush of what others
// publish.
func TestSubscribeDoesNotUndoBatching(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	retain(t, s, "kept", "v")
	_, out := join(t, l, "reader", "data")
	busy, _ := join(t, l, "busy")
	var chunk []byte
	for range 100 {
		chunk = append(chunk, publish("data", "x")...)
		chunk = codec.AppendSubscribe(chunk, 1, []codec.Subscription{{Filter: "other"}})
	}
	out.writes = 0
	l.receive(busy, chunk)
	l.settle()
	assert.Equal(t, 1, out.writes)
}

// A subscription that was ended and begun again during a replay is served once more from its start,
// not twice.
func TestResubscribeDuringAReplay(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	for i := range 5 {
		retain(t, s, fmt.Sprint("a/", i), "old")
	}
	reader, out := join(t, l, "reader")
	out.keep = true
	l.congest(reader) // no room
	again := codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a/#"}})
	l.receive(reader, again)
	l.receive(reader, codec.AppendUnsubscribe(nil, 2, []string{"a/#"}))
	l.receive(reader, again)
	require.Zero(t, out.written.Len())
	l.refill(reader)
	out.written.Reset() // of replies
	l.settle()
	assert.Equal(t, slices.Repeat([]string{"PUBLISH old"}, 5), types(t, out))
	assert.Nil(t, reader.replay)
}

// dialNarrow dials with a receive buffer of 4 KB, which the kernel must know before it connects.
func dialNarrow(t testing.TB, s *Server) *client {
	t.Helper()
	dialer := net.Dialer{Timeout: patience, Control: func(_, _ string, raw syscall.RawConn) (err error) {
		failed := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
		})
		return errors.Join(err, failed)
	}}
	conn, err := dialer.Dial("tcp", s.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn.(*net.TCPConn), chunk: make([]byte, 64<<10)}
}

func connectNarrow(t testing.TB, s *Server, clientID string) *client {
	t.Helper()
	c := dialNarrow(t, s)
	c.sendConnect(clientID)
	require.Equal(t, codec.Accepted, c.expectConnack())
	return c
}

// A hundred thousand messages go through a narrow pipe, complete, and none comes twice.
func TestReplayThroughANarrowPipe(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 1 })
	const messages = 100_000
	for i := range messages {
		retain(t, s, fmt.Sprintf("state/%d/%d", i%1000, i), "v")
	}
	reader := connectNarrow(t, s, "reader")
	reader.subscribe("state/#")
	var seen [messages]bool
	for range messages {
		topic, _, _ := strings.Cut(reader.expectPublish(), " ")
		i, err := strconv.Atoi(topic[strings.LastIndexByte(topic, '/')+1:])
		require.NoError(t, err)
		require.False(t, seen[i], "%s comes twice", topic)
		seen[i] = true
	}
	reader.countPublishes(func(n int) { assert.Zero(t, n, "more than all") })
	assert.Zero(t, s.Stats().Dropped.Total())
}

// A subscriber that does not read holds its place among the messages, not the messages.
func TestStalledReplaysHoldLittle(t *testing.T) {
	const stalled, messages, clientBuffer = 50, 100_000, 32 << 10
	s := start(t, func(c *Config) { c.Loops, c.ClientBufferBytes = 1, clientBuffer })
	payload := strings.Repeat("x", 100)
	for i := range messages {
		retain(t, s, fmt.Sprint("state/", i), payload)
	}
	var clients []*client
	for i := range stalled {
		clients = append(clients, connectNarrow(t, s, fmt.Sprint("stalled-", i)))
	}
	before := heapBytes()
	for _, c := range clients {
		c.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "#"}}))
	}
	eventually(t, "all have got what fits, and wait", func() bool {
		stuck := make(chan bool)
		onLoop(t, s.loops[0], func(l *loop) {
			n := 0
			l.wheel.each(func(c *conn) {
				if c.replay != nil && c.pace == blocked {
					n++
				}
			})
			stuck <- n == stalled && len(l.replaying) == 0
		})
		return <-stuck
	})
	grown := heapBytes() - before
	t.Logf("%d bytes each", grown/stalled)
	assert.Less(t, grown, int64(stalled*(64<<10+clientBuffer/2)))

	for _, c := range clients {
		c.abort()
	}
	eventually(t, "all are gone", func() bool { return s.Stats().Clients == 0 })
	for i := range messages {
		s.retained.Clear(nil, fmt.Append(nil, "state/", i))
	}
	assert.Zero(t, s.retained.Bytes(), "no cursor has kept its place")
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // what was in a pool goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Ten thousand filters wait for their turn, and are given up or asked for again one by one.
func TestReplayQueue(t *testing.T) {
	const filters = 10_000
	var r replay
	var want []string
	for i := range filters {
		r.add(grant{filter: fmt.Sprint("filter/", i)}, 0, 0)
		want = append(want, fmt.Sprint("filter/", i))
	}
	for _, f := range want {
		r.add(grant{filter: f}, 0, 0)
	}
	for i := range filters / 2 {
		r.remove(fmt.Sprint("filter/", 2*i))
		r.remove("never asked for")
	}
	for _, f := range want {
		r.add(grant{filter: f}, 0, 0)
	}
	assert.Equal(t, filters, r.waiting.len())
	assert.Len(t, r.waiting.at, filters)
	for i := range filters {
		assert.Equal(t, fmt.Sprint("filter/", (2*i+1)%(filters+1)), r.waiting.pop().filter, "the odd ones first")
	}
	assert.True(t, r.done())
}

// A search ends with the turn, and goes on in the next.
func TestReplayCutShort(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	for i := range 2 * replayNodes {
		retain(t, s, fmt.Sprintf("a/%d/b", i), "v")
	}
	var r replay
	r.add(grant{filter: "a/+/c"}, s.retained.Sequence(), 0)
	r.add(grant{filter: "a/1/b"}, s.retained.Sequence(), 0)
	p := page{room: 100}
	l.endTurn()
	r.fill(&p, l, nil)
	assert.Zero(t, p.count, "one look finds none")
	assert.False(t, r.done())
	l.beginTurn()
	r.fill(&p, l, nil)
	assert.EqualValues(t, 1, p.count)
	assert.True(t, r.done())
}

// Whoever ends a replay gives its place up.
func TestReplayGivesItsPlaceUp(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(l *loop, c *conn)
	}{
		{"unsubscribed", func(l *loop, c *conn) { l.receive(c, codec.AppendUnsubscribe(nil, 2, []string{"a/#"})) }},
		{"closed", func(l *loop, c *conn) { l.closed(c, nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stillServer(t, 1)
			l := s.loops[0]
			for i := range 2 * replayNodes {
				retain(t, s, fmt.Sprint("a/", i), "v")
			}
			reader, _ := join(t, l, "reader")
			s.config.ClientBufferBytes = 2 * len(publish("a/000", "v"))
			l.endTurn()
			l.receive(reader, codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a/#"}}))
			l.settle()
			require.NotNil(t, reader.replay)
			require.NotNil(t, reader.replay.cursor)
			for i := range 2 * replayNodes {
				s.retained.Clear(nil, fmt.Append(nil, "a/", i))
			}
			require.NotZero(t, s.retained.Bytes(), "a place in the middle")
			c.end(l, reader)
			require.Zero(t, s.retained.Bytes())
			l.drain()
			require.Nil(t, reader.replay)
			require.Empty(t, l.replaying)
		})
	}
}

// What was cleared while it waited for room is neither sent nor counted.
func TestReplayDoesNotCountWhatIsGone(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	retain(t, s, "a/1", "v")
	retain(t, s, "a/2", "v")
	var r replay
	r.add(grant{filter: "a/+"}, s.retained.Sequence(), 0)
	first, second := page{room: len(publish("a/1", "v"))}, page{room: 100}
	r.fill(&first, l, nil)
	assert.EqualValues(t, 1, first.count)
	assert.False(t, r.done())
	s.retained.Clear(nil, []byte("a/1"))
	s.retained.Clear(nil, []byte("a/2"))
	r.fill(&second, l, nil)
	assert.Zero(t, second.count)
	assert.Empty(t, second.bytes)
	assert.True(t, r.done())
}

// A message stored while its filter waits for its turn comes live, and not in a page as well.
func TestReplayCountsFromTheSubscribe(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	retain(t, s, "a/1", "old")
	reader, out := join(t, l, "reader")
	l.congest(reader)
	l.receive(reader, codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a/#"}}))
	writer, _ := join(t, l, "writer")
	l.receive(writer, codec.AppendPublish(nil, &codec.Publish{Topic: []byte("a/2"), Payload: []byte("new"), Retain: true}))
	l.drain()
	out.keep = true
	out.written.Reset()
	l.refill(reader)
	l.drain()
	assert.Equal(t, []string{"SUBACK", "PUBLISH old", "PUBLISH new"}, types(t, out))
}

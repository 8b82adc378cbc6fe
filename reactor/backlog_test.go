package reactor

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"mqttd/codec"
)

// slowReader is a client on a real socket of a still loop: it reads when it is told to.
type slowReader struct {
	*sink
	t       testing.TB
	loop    *loop
	conn    *conn
	fd, end int
	lead    []byte // what gnet has buffered
	broken  bool   // the connection fails at the next write
	decoder codec.Decoder
	got     []string // "topic payload" of PUBLISH, the type of all else
}

func (s *slowReader) Fd() int {
	if s.broken {
		return s.end + 1<<20 // no such descriptor
	}
	return s.fd
}
func (s *slowReader) OutboundBuffered() int { return len(s.lead) }
func (s *slowReader) Write(p []byte) (int, error) {
	if s.broken { // gnet finds out, and closes it from within
		s.loop.closed(s.conn, unix.EPIPE)
		return 0, unix.EPIPE
	}
	s.lead = append(s.lead, p...)
	s.event()
	return len(p), nil
}

// event is gnet's look at the socket.
func (s *slowReader) event() {
	for len(s.lead) > 0 {
		n := sendNow(s.fd, s.lead)
		if n == 0 {
			return
		}
		s.lead = s.lead[n:]
	}
}

// joinSlow adds a client with a socket that takes a few kilobytes.
func joinSlow(t testing.TB, l *loop, clientID string, filters ...string) *slowReader {
	c, out := join(t, l, clientID)
	s := &slowReader{sink: out, t: t, loop: l, conn: c}
	s.fd, s.end = sockets(t)
	require.NoError(t, unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10))
	c.gc = s
	c.serves.Store(c.loop)
	l.engine = closing{loop: l}
	for _, f := range filters {
		l.receive(c, codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: f}}))
	}
	l.drain()
	s.readAll()
	s.got = nil
	return s
}

// read takes what is there, and has the loop look at its sockets.
func (s *slowReader) read() (n int) {
	chunk := make([]byte, 64<<10)
	n, _ = unix.Read(s.end, chunk)
	n = max(n, 0)
	s.decoder.Feed(chunk[:n])
	for {
		f, ok, err := s.decoder.Next(PacketBytesMax)
		require.NoError(s.t, err)
		if !ok {
			break
		}
		name := f.Type.String()
		if p, err := codec.ParsePublish(f, codec.Version311); f.Type == codec.PUBLISH && err == nil {
			name = string(p.Topic) + " " + strings.TrimRight(string(p.Payload), ".")
		}
		s.got = append(s.got, name)
	}
	s.event()
	s.loop.lookAtCongested()
	s.loop.drain()
	return n
}

// readAll reads until nothing comes any more.
func (s *slowReader) readAll() {
	for quiet := 0; quiet < 2; quiet++ {
		if s.read() > 0 {
			quiet = 0
		}
	}
}

// numbered returns messages "from" to "to" of a topic, each of about 1 KB.
func numbered(topic string, from, to int) (chunk []byte) {
	for n := from; n <= to; n++ {
		chunk = append(chunk, publish(topic, fmt.Sprint(n, strings.Repeat(".", 1000)))...)
	}
	return chunk
}

// requireBalance requires that the books of all loops balance, and those of the readers with what they got.
func requireBalance(t testing.TB, s *Server, readers ...*slowReader) {
	t.Helper()
	st := s.Stats()
	require.Equal(t, st.Matched, st.Delivered+st.Dropped.Total()+uint64(st.WaitingMessages), "%+v", st)
	for _, r := range readers {
		if r.conn.live() && r.conn.backlog.empty() && len(r.lead) == 0 {
			require.EqualValues(t, r.conn.delivered, countPublishes(r.got), "delivered is what arrived")
		}
	}
}

// requireMemory requires that the memory of the backlogs is what their items and the shares of these take.
func requireMemory(t testing.TB, s *Server) {
	t.Helper()
	want, seen := 0, map[*share]bool{}
	for _, l := range s.loops {
		l.wheel.each(func(c *conn) {
			replies := 0
			for i := c.backlog.first; i != 0; i = l.items.at(i).next {
				if it := l.items.at(i); it.replies {
					replies += it.waiting()
				}
			}
			if c.congestion != nil {
				require.Equal(t, replies, c.congestion.replies)
			}
		})
		count := func(b *backlog) {
			for i := b.first; i != 0; i = l.items.at(i).next {
				want += itemBytes
				if shared := l.items.at(i).share; !seen[shared] {
					seen[shared] = true
					want += len(shared.bytes)
				}
			}
		}
		l.wheel.each(func(c *conn) {
			count(&c.backlog)
			if c.replay != nil {
				count(&c.replay.live)
			}
		})
	}
	require.EqualValues(t, want, s.buffered.Load())
}

func countPublishes(got []string) (n int) {
	for _, name := range got {
		if strings.Contains(name, " ") {
			n++
		}
	}
	return n
}

// policyServer is a still server with one loop, a buffer of 16 KB and a policy, its publisher and a reader of "a/#".
func policyServer(t *testing.T, policy SlowPolicy) (*Server, *loop, *conn, *slowReader) {
	s := stillServer(t, 1)
	s.config.ClientBufferBytes, s.config.SlowPolicy = 16<<10, policy
	l := s.loops[0]
	publisher, _ := join(t, l, "publisher")
	return s, l, publisher, joinSlow(t, l, "slow", "a/#")
}

func (l *loop) round(c *conn, chunk []byte) {
	l.scheduled = false
	l.receive(c, chunk)
	l.drain()
}

func TestDropNewestKeepsWhatCameFirst(t *testing.T) {
	s, l, publisher, slow := policyServer(t, DropNewest)
	for n := 1; n <= 100; n += 2 {
		l.round(publisher, numbered("a/x", n, n+1))
	}
	requireBalance(t, s)
	assert.LessOrEqual(t, slow.conn.backlog.bytes, 16<<10)
	slow.readAll()
	requireBalance(t, s, slow)
	require.NotEmpty(t, slow.got)
	for i, name := range slow.got {
		require.Equal(t, fmt.Sprint("a/x ", i+1), name, "the first ones, in order")
	}
	assert.EqualValues(t, 100-len(slow.got), slow.conn.losses[ReasonSlow])
	assert.Zero(t, s.Stats().WaitingBytes+s.Stats().Congested)
	assert.Zero(t, s.buffered.Load())
	assert.Zero(t, l.items.used)
}

func TestDropOldestKeepsWhatCameLast(t *testing.T) {
	for _, batch := range []int{1, 3, 40} {
		t.Run(fmt.Sprint("batches of ", batch), func(t *testing.T) {
			s, l, publisher, slow := policyServer(t, DropOldest)
			for n := 1; n <= 120; n += batch {
				l.round(publisher, numbered("a/x", n, n+batch-1))
			}
			requireBalance(t, s)
			assert.LessOrEqual(t, slow.conn.backlog.bytes, 16<<10+2<<10, "the buffer, and what is begun")
			slow.readAll()
			requireBalance(t, s, slow)
			last := 0
			for _, name := range slow.got {
				var n int
				_, err := fmt.Sscanf(name, "a/x %d", &n)
				require.NoError(t, err)
				require.Greater(t, n, last, "order")
				last = n
			}
			assert.Equal(t, 120, last, "the newest arrives")
			assert.Contains(t, slow.got, "a/x 112", "and those before it that fit")
			assert.EqualValues(t, 120-len(slow.got), slow.conn.losses[ReasonSlow])
		})
	}
}

func TestConflateKeepsTheNewestOfEachTopic(t *testing.T) {
	s, l, publisher, slow := policyServer(t, Conflate)
	for n := 1; n <= 50; n++ {
		chunk := numbered("a/x", n, n)
		chunk = append(chunk, publish("a/y", fmt.Sprint(n))...)
		chunk = append(chunk, publish("a/y", fmt.Sprint(n, "b"))...)
		l.round(publisher, chunk)
	}
	l.round(publisher, publish("a/z", "once"))
	requireBalance(t, s)
	assert.Less(t, slow.conn.backlog.bytes, 16<<10)
	slow.readAll()
	requireBalance(t, s, slow)
	assert.Contains(t, slow.got, "a/x 50")
	assert.Contains(t, slow.got, "a/y 50b")
	assert.Contains(t, slow.got, "a/z once")
	assert.EqualValues(t, 151-len(slow.got), slow.conn.losses[ReasonConflated])
	assert.Zero(t, slow.conn.losses[ReasonSlow])
	l.round(publisher, publish("a/x", "after"))
	slow.readAll()
	assert.Equal(t, "a/x after", slow.got[len(slow.got)-1])
}

// When the newest messages of all topics do not fit, the oldest of them go.
func TestConflateIsBoundedByTheBuffer(t *testing.T) {
	s, l, publisher, slow := policyServer(t, Conflate)
	for n := 1; n <= 100; n++ {
		l.round(publisher, numbered(fmt.Sprint("a/", n), n, n))
	}
	requireBalance(t, s)
	assert.LessOrEqual(t, slow.conn.backlog.bytes, 16<<10+2<<10)
	slow.readAll()
	requireBalance(t, s, slow)
	assert.Contains(t, slow.got, "a/100 100")
	assert.Positive(t, slow.conn.losses[ReasonSlow])
}

func TestDisconnectPolicy(t *testing.T) {
	s, l, publisher, slow := policyServer(t, Disconnect)
	for n := 1; n <= 100; n++ {
		l.round(publisher, numbered("a/x", n, n))
	}
	assert.False(t, slow.conn.live())
	assert.Equal(t, errSlow, slow.conn.reason)
	requireBalance(t, s)
	st := s.Stats()
	assert.EqualValues(t, 1, st.SlowCuts)
	assert.Zero(t, st.WaitingMessages+st.WaitingBytes+st.Congested)
	assert.Positive(t, st.Dropped[ReasonCutOff])
	assert.Zero(t, s.buffered.Load())
}

// A message that alone is larger than the buffer arrives when nothing waits, and is lost for that reason when
// something does.
func TestMessageLargerThanTheBuffer(t *testing.T) {
	for policy := range slowPolicies {
		t.Run(policy.String(), func(t *testing.T) {
			s, l, publisher, slow := policyServer(t, policy)
			large := strings.Repeat("x", 40<<10)
			l.round(publisher, publish("a/x", large))
			require.True(t, slow.conn.live())
			l.round(publisher, publish("a/y", large))
			if policy == Disconnect {
				assert.False(t, slow.conn.live())
				return
			}
			slow.readAll()
			assert.Equal(t, []string{"a/x " + large}, slow.got)
			assert.EqualValues(t, 1, slow.conn.losses[ReasonTooLarge])
			requireBalance(t, s, slow)
		})
	}
}

// A reader whose buffer is full of messages is not cut off for its PINGREQ, one that reads no replies is.
func TestFullBufferHasRoomForReplies(t *testing.T) {
	s, l, publisher, slow := policyServer(t, DropNewest)
	for n := 1; n <= 50; n++ {
		l.round(publisher, numbered("a/x", n, n))
	}
	l.round(slow.conn, codec.AppendPingreq(nil))
	require.True(t, slow.conn.live())
	slow.readAll()
	assert.Equal(t, "PINGRESP", slow.got[len(slow.got)-1])
	requireBalance(t, s, slow)

	many := bytes.Repeat(codec.AppendPingreq(nil), 10_000)
	for range 1000 {
		if !slow.conn.live() {
			break
		}
		l.round(slow.conn, many)
	}
	assert.False(t, slow.conn.live())
	assert.EqualValues(t, 1, s.Stats().RepliesOverflow)
}

// What waits since before a limit was lowered leaves room for replies, whether it came from the log, from an outbox or
// from the retained messages; who reads no replies is cut off all the same.
func TestLoweredLimitsLeaveRoomForReplies(t *testing.T) {
	large := strings.Repeat("x", 900_000)
	for _, c := range []struct {
		name string
		wait func(publisher *peer, slow *slowReader)
	}{
		{"QoS 0", func(p *peer, slow *slowReader) { p.send(numbered("a/x", 1, 900)) }},
		{"QoS 1", func(p *peer, slow *slowReader) { p.send(above(codec.QoS1, 1, "b", large)) }},
		{"QoS 1 behind QoS 0", func(p *peer, slow *slowReader) {
			p.send(numbered("a/x", 1, 50))
			p.send(above(codec.QoS1, 1, "b", large))
		}},
		{"retained", func(p *peer, slow *slowReader) {
			p.send(retained(codec.QoS0, 0, "r", large))
			slow.loop.round(slow.conn, codec.AppendSubscribe(nil, 3, []codec.Subscription{{Filter: "r"}}))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := stillServer(t, 1)
			l := s.loops[0]
			slow := joinSlow(t, l, "slow", "a/#")
			l.round(slow.conn, codec.AppendSubscribe(nil, 2, []codec.Subscription{{Filter: "b", QoS: codec.QoS1}}))
			slow.readAll()
			c.wait(meet(t, l, "publisher"), slow)
			require.Equal(t, blocked, slow.conn.pace)
			lower := *l.config
			lower.ClientBufferBytes, lower.MaxPacketBytes = ClientBufferBytesMin, PacketBytesMin
			l.reconfigure(&lower)
			require.Greater(t, slow.conn.backlog.bytes, l.config.repliesBytesMax())
			pings := bytes.Repeat(codec.AppendPingreq(nil), 1000)
			for range 10 {
				l.round(slow.conn, pings)
			}
			require.True(t, slow.conn.live())
			slow.got = nil
			slow.readAll()
			require.GreaterOrEqual(t, len(slow.got), 10_001)
			require.Equal(t, "PINGRESP", slow.got[len(slow.got)-1])
			requireBalance(t, s)

			for range 1000 {
				l.round(slow.conn, pings)
				if !slow.conn.live() {
					break
				}
			}
			require.EqualValues(t, 1, s.Stats().RepliesOverflow)
			requireMemory(t, s)
		})
	}
}

// A turn that is over leaves readers for the next one; their messages stay in order, and a full buffer means
// that they are written, not lost: it is the loop that is behind.
func TestPostponedReadersLoseNothing(t *testing.T) {
	s := stillServer(t, 1)
	s.config.ClientBufferBytes = 16 << 10
	l := s.loops[0]
	publisher, _ := join(t, l, "publisher")
	var outs []*sink
	for i := range 200 {
		_, out := join(t, l, fmt.Sprint("reader-", i), "a")
		out.keep = true
		out.written.Reset()
		outs = append(outs, out)
	}
	var want []string
	for n := 1; n <= 40; n++ {
		l.receive(publisher, numbered("a", n, n))
		want = append(want, fmt.Sprint("PUBLISH ", n, strings.Repeat(".", 1000)))
		l.endTurn()
		l.flush()
		require.NotEmpty(t, l.postponed)
	}
	written := 0
	for _, out := range outs {
		written += len(types(t, out))
	}
	require.Less(t, written, 200*40)
	for len(l.postponed) > 0 {
		l.drain()
	}
	for _, out := range outs {
		require.Equal(t, want, types(t, out))
	}
	requireBalance(t, s)
	assert.Zero(t, s.Stats().Dropped.Total())
	assert.Zero(t, l.items.used)
}

// Whoever has nothing to do with a large fan-out is served while it goes on.
func TestOthersAreServedWhileReadersArePostponed(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	publisher, _ := join(t, l, "publisher")
	for i := range 100 {
		join(t, l, fmt.Sprint("reader-", i), "a")
	}
	other, out := join(t, l, "other", "b")
	out.keep = true
	l.receive(publisher, publish("a", "to many"))
	l.endTurn()
	l.flush()
	require.Len(t, l.postponed, 100)
	l.beginTurn()
	out.written.Reset()
	l.round(other, publish("b", "mine"))
	assert.Equal(t, []string{"PUBLISH mine"}, types(t, out))
}

// The connection for which most waits is closed when the buffers of all are full.
func TestLargestIsCutOffFirst(t *testing.T) {
	s := stillServer(t, 1)
	s.config.ClientBufferBytes = 64 << 10
	s.bufferedMax.Store(100 << 10)
	l := s.loops[0]
	publisher, _ := join(t, l, "publisher")
	large := joinSlow(t, l, "large", "a", "b")
	small := joinSlow(t, l, "small", "a")
	l.round(publisher, numbered("b", 1, 40))
	l.round(publisher, numbered("a", 41, 120))
	l.drain()
	assert.False(t, large.conn.live())
	assert.Equal(t, errMemory, large.conn.reason)
	assert.True(t, small.conn.live())
	assert.EqualValues(t, 1, s.Stats().MemoryCuts)
	requireBalance(t, s)
	l.round(publisher, numbered("a", 121, 125))
	l.drain()
	assert.True(t, small.conn.live(), "there is room again")
	requireBalance(t, s)
	requireMemory(t, s)
}

// Live messages come after the retained ones, also those published while a slow reader gets these.
func TestLiveMessagesComeAfterTheRetainedOne(t *testing.T) {
	s, l, publisher, _ := policyServer(t, DropNewest)
	for n := range 100 {
		retain(t, s, fmt.Sprint("r/", n), fmt.Sprint("retained", strings.Repeat(".", 1000)))
	}
	slow := joinSlow(t, l, "late")
	l.round(slow.conn, codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "r/#"}}))
	for n := range 100 {
		l.round(publisher, publish(fmt.Sprint("r/", n), "live"))
	}
	l.round(slow.conn, codec.AppendPingreq(nil))
	slow.readAll()
	requireBalance(t, s, slow)
	for n := range 100 {
		retained := slices.Index(slow.got, fmt.Sprintf("r/%d retained", n))
		live := slices.Index(slow.got, fmt.Sprintf("r/%d live", n))
		require.GreaterOrEqual(t, retained, 0)
		require.Greater(t, live, retained)
	}
	require.Len(t, slow.got, 202)
	assert.Less(t, slices.Index(slow.got, "PINGRESP"), 102, "replies do not wait for the end")
	assert.Nil(t, slow.conn.replay)
}

// Random readers that read, stall, and go, under each policy: after every step the books balance, and whoever
// reads gets whole messages in order.
func TestBooksBalanceWhateverHappens(t *testing.T) {
	for policy := range slowPolicies {
		for seed := range uint64(20) {
			t.Run(fmt.Sprint(policy, " ", seed), func(t *testing.T) { playBooks(t, policy, rand.New(rand.NewPCG(seed, 1))) })
		}
	}
}

func playBooks(t *testing.T, policy SlowPolicy, random *rand.Rand) {
	s := stillServer(t, 1)
	s.config.SlowPolicy = policy
	s.config.ClientBufferBytes = 2<<10 + random.IntN(32<<10)
	s.bufferedMax.Store(8<<10 + random.Int64N(128<<10))
	l := s.loops[0]
	publisher, _ := join(t, l, "publisher")
	for n := range random.IntN(60) {
		retain(t, s, fmt.Sprint("t/", n%8, "/", n), fmt.Sprint("0", strings.Repeat(".", random.IntN(2000))))
	}
	var readers []*slowReader
	l.engine = closing{loop: l}
	next := 1
	for step := range 150 {
		switch action := random.IntN(12); {
		case action == 0 && len(readers) < 6:
			readers = append(readers, joinSlow(t, l, fmt.Sprint("reader-", step)))
		case len(readers) == 0:
		case action == 1:
			if r := readers[random.IntN(len(readers))]; r.conn.live() {
				filter := []string{"t/#", "t/1/#", "t/+/x", "#"}[random.IntN(4)]
				l.round(r.conn, codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: filter}}))
			}
		case action == 2 && random.IntN(4) == 0:
			if r := readers[random.IntN(len(readers))]; r.conn.live() {
				_ = l.engine.Close(r)
				l.drain()
			}
		case action == 3 && random.IntN(6) == 0:
			readers[random.IntN(len(readers))].broken = true
		case action == 4 && random.IntN(2) == 0:
			if r := readers[random.IntN(len(readers))]; r.conn.live() {
				l.round(r.conn, codec.AppendUnsubscribe(codec.AppendPingreq(nil), 1, []string{"t/#"}))
			}
		case action < 6:
			readers[random.IntN(len(readers))].read()
		default:
			var chunk []byte
			for range 1 + random.IntN(20) {
				payload := fmt.Sprint(next, strings.Repeat(".", random.IntN(1+random.IntN(3000))))
				chunk = append(chunk, publish(fmt.Sprint("t/", random.IntN(8), "/x"), payload)...)
				next++
			}
			l.receive(publisher, chunk)
			l.turn.over = random.IntN(5) == 0
			l.flush()
			l.account()
			if random.IntN(3) > 0 {
				l.drain()
			}
		}
		l.account()
		requireBalance(t, s)
		requireMemory(t, s)
	}
	for range 50 {
		l.drain()
	}
	for _, r := range readers {
		r.readAll()
		last := map[string]int{}
		for _, name := range r.got {
			var topic string
			var n int
			if _, err := fmt.Sscan(name, &topic, &n); err == nil && n > 0 {
				require.Greater(t, n, last[topic], "order within a topic")
				last[topic] = n
			}
		}
	}
	requireBalance(t, s, readers...)
	for _, r := range readers {
		if r.conn.live() {
			_ = l.engine.Close(r)
		}
	}
	l.drain()
	st := s.Stats()
	require.Equal(t, st.Matched, st.Delivered+st.Dropped.Total(), "%+v", st)
	require.Zero(t, st.WaitingMessages+st.WaitingBytes+st.Congested)
	require.Zero(t, l.items.used)
}

// What the socket has taken of a large message leaves room for the next ones.
func TestBytesThatAreSentDoNotWait(t *testing.T) {
	s, l, publisher, slow := policyServer(t, DropNewest)
	l.round(publisher, publish("a/x", strings.Repeat("x", 16<<10)))
	require.Positive(t, slow.conn.backlog.bytes)
	require.Less(t, slow.conn.backlog.bytes, 15<<10)
	l.round(publisher, publish("a/y", "small"))
	slow.readAll()
	assert.Equal(t, "a/y small", slow.got[len(slow.got)-1])
	assert.Zero(t, s.Stats().Dropped.Total())
	requireBalance(t, s, slow)
}

// A large message that many stalled readers have begun is copied once, and counts once.
func TestLargeMessageIsSharedByThoseThatStopWithinIt(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	publisher, _ := join(t, l, "publisher")
	const readers, size = 20, 500_000
	for i := range readers {
		joinSlow(t, l, fmt.Sprint("slow-", i), "a")
	}
	l.round(publisher, publishes("a", 1, size))
	assert.Less(t, s.buffered.Load(), int64(2*size))
	assert.Greater(t, s.Stats().WaitingBytes, readers*size/2, "each waits for its own")
	requireMemory(t, s)
	requireBalance(t, s)
}

// Newer messages of the same topics that are larger do not pass the limit.
func TestConflateWithGrowingMessages(t *testing.T) {
	s, l, publisher, slow := policyServer(t, Conflate)
	for _, size := range []int{1, 3000, 15_000, 100_000} {
		for topic := range 100 {
			l.round(publisher, publishes(fmt.Sprint("a/", topic), 1, size))
			require.LessOrEqual(t, slow.conn.bytesWaiting(), 16<<10+8<<10)
		}
		requireBalance(t, s)
		requireMemory(t, s)
	}
}

// Whoever is known to have the largest backlog on whichever loop goes first.
func TestLargestOnAnotherLoopIsCutOff(t *testing.T) {
	s := stillServer(t, 2)
	s.config.ClientBufferBytes = 256 << 10
	s.bufferedMax.Store(150 << 10)
	here, there := s.loops[0], s.loops[1]
	publisher, _ := join(t, here, "publisher")
	small := joinSlow(t, here, "small", "a")
	large := joinSlow(t, there, "large", "b")
	here.round(publisher, numbered("b", 1, 100))
	there.drain()
	there.cutStalled() // the second's tick
	here.round(publisher, numbered("a", 1, 80))
	there.drain()
	assert.False(t, large.conn.live())
	assert.True(t, small.conn.live())
	assert.EqualValues(t, 1, s.Stats().MemoryCuts)
	requireBalance(t, s)
}

// A reader whose socket is empty is not stalled: the loop is behind.
func TestStalledIsWhoTakesNothing(t *testing.T) {
	s, l, publisher, slow := policyServer(t, DropNewest)
	for n := 1; n <= 50; n++ {
		l.round(publisher, numbered("a/x", n, n))
	}
	for range 60 { // five minutes in which nobody looks
		_, _ = unix.Read(slow.end, make([]byte, 64<<10))
		slow.event()
		l.cutStalled()
	}
	assert.Empty(t, l.expired)
	assert.Zero(t, s.Stats().StallCuts)
}

// A panic on one reader's behalf leaves no other one waiting for ever.
func TestPanicLeavesOtherReadersInTheirLists(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	l.engine = closing{loop: l}
	publisher, _ := join(t, l, "publisher")
	bad, out := join(t, l, "bad", "a")
	_, good := join(t, l, "good", "a")
	good.keep = true
	good.written.Reset()
	l.receive(publisher, publish("a", "x"))
	l.endTurn()
	l.flush()
	require.Len(t, l.postponed, 2)
	bad.gc = panicking{out}
	l.drain()
	assert.Equal(t, []string{"PUBLISH x"}, types(t, good))
	assert.Positive(t, s.Stats().Panics)
	assert.Empty(t, l.postponed)
	assert.False(t, bad.live())
	requireBalance(t, s)
}

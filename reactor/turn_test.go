package reactor

import (
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/session"
)

var turnClients = flag.Int("turn-clients", 1000, "clients of TestOthersWaitMilliseconds")

// While one client's packet means much work, or many clients go at once, the others of the loop are answered. The
// time they wait is logged; the bound asserted is far above it, for machines are shared.
func TestOthersWaitMilliseconds(t *testing.T) {
	n := *turnClients
	s := start(t, func(c *Config) { c.Loops, c.LogLinesPerSecond = 1, 1 })
	will := func(i int) func(*codec.Connect) { return withWill(fmt.Sprint("wills/", i), "gone") }
	many := make([]*client, n)
	var opening sync.WaitGroup
	for part := range 4 {
		opening.Go(func() {
			for i := part; i < n; i += 4 {
				many[i] = connect(t, s, fmt.Sprint("many-", i), will(i))
				many[i].subscribe("fanout")
			}
		})
	}
	opening.Wait()
	for i := range 10_000 {
		retain(t, s, fmt.Sprint("retained/", i), "v")
	}
	monitor := connect(t, s, "monitor")
	monitor.subscribe("wills/#")
	busy := connect(t, s, "busy")

	longest := func(what string, act func()) {
		var wait atomic.Int64
		stop, stopped := make(chan struct{}), make(chan struct{})
		witness := connect(t, s, "witness "+what)
		go func() {
			defer close(stopped)
			for {
				begun := time.Now()
				witness.ping()
				wait.Store(max(wait.Load(), int64(time.Since(begun))))
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
		act()
		close(stop)
		<-stopped
		witness.conn.Close()
		t.Logf("%s: a PINGREQ was answered within %v at most", what, time.Duration(wait.Load()))
		assert.Less(t, time.Duration(wait.Load()), patience, what)
	}
	longest(fmt.Sprint("a publish to ", n), func() {
		for round := range 20 {
			busy.publish("fanout", fmt.Sprint(round))
		}
		for _, c := range many {
			for round := range 20 {
				require.Equal(t, fmt.Sprint("fanout ", round), c.expectPublish())
			}
		}
	})
	longest("SUBSCRIBE of 1,000 filters that match 10,000 retained messages", func() {
		filters := make([]string, 1000)
		for i := range filters {
			filters[i] = fmt.Sprintf("retained/%d", 10*i)
		}
		filters[0] = "retained/#"
		busy.subscribe(filters...)
		busy.countPublishes(func(int) {})
	})
	longest(fmt.Sprint(n, " connections reset, with a Will each"), func() {
		for _, c := range many {
			c.abort()
		}
		for range many {
			require.Contains(t, monitor.expectPublish(), "gone")
		}
		eventually(t, "all are gone", func() bool { return s.Stats().Clients <= 3 })
	})
}

// BenchmarkTurn measures the longest turn of a loop, and what all of them take, for work that is far more than one
// turn can do. The readers share a few hundred sockets, which somebody reads.
func BenchmarkTurn(b *testing.B) {
	b.Run("publish to 50,000 readers", func(b *testing.B) {
		l, publisher := turnLoop(b, 50_000, func(int) []string { return []string{"fanout"} })
		chunk := publishes("fanout", 1, 64)
		measureTurns(b, l, func() func() { return func() { l.receive(publisher, chunk) } })
	})
	b.Run("SUBSCRIBE of 1,000 filters", func(b *testing.B) {
		l, subscriber := turnLoop(b, 10_000, func(i int) []string { return []string{fmt.Sprint("f/", i%1000)} })
		var subs []codec.Subscription
		for i := range 1000 {
			subs = append(subs, codec.Subscription{Filter: fmt.Sprint("f/", i)})
		}
		chunk := codec.AppendSubscribe(nil, 1, subs)
		measureTurns(b, l, func() func() { return func() { l.receive(subscriber, chunk) } })
	})
	b.Run("10,000 Wills", func(b *testing.B) {
		l, _ := turnLoop(b, 100, func(int) []string { return []string{"wills/#"} })
		l.engine = closing{loop: l}
		measureTurns(b, l, func() func() {
			var gone []*conn
			for i := range 10_000 {
				c := &conn{loop: l, gc: &sink{}}
				c.serves.Store(l)
				l.wheel.file(c)
				l.receive(c, codec.AppendConnect(nil, &codec.Connect{Version: codec.Version311, CleanSession: true,
					ClientID: fmt.Append(nil, "will-", i), HasWill: true,
					Will: codec.Will{Topic: fmt.Append(nil, "wills/", i), Payload: []byte("gone")}}))
				l.receive(c, codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "some/+"}}))
				gone = append(gone, c)
			}
			l.drain()
			return func() {
				for _, c := range gone {
					l.closed(c, io.EOF)
				}
			}
		})
	})
}

// turnLoop is a still loop with so many readers on sockets, and one client more.
func turnLoop(b *testing.B, readers int, filters func(i int) []string) (*loop, *conn) {
	s := stillServer(b, 1)
	s.table = session.NewTable[conn](readers+20_000, 0, 0)
	l := s.loops[0]
	fds := readSockets(b, min(readers, 200))
	for i := range readers {
		c, out := join(b, l, fmt.Sprint("reader-", i), filters(i)...)
		c.gc = &onSharedSocket{out, fds[i%len(fds)]}
		c.serves.Store(c.loop)
	}
	c, _ := join(b, l, "busy")
	l.drain()
	return l, c
}

// measureTurns drives the loop until nothing is left to do.
func measureTurns(b *testing.B, l *loop, prepare func() (begin func())) {
	var turns []time.Duration
	for b.Loop() {
		b.StopTimer()
		begin := prepare()
		b.StartTimer()
		for more := true; more; more = l.pending() || len(l.postponed) > 0 || len(l.congested) > 0 {
			at := time.Now()
			begin()
			begin = func() {}
			l.scheduled = false
			l.lookAtCongested()
			l.drain()
			turns = append(turns, time.Since(at))
		}
	}
	slices.Sort(turns)
	b.ReportMetric(float64(turns[len(turns)/2].Microseconds())/1000, "ms/median-turn")
	b.ReportMetric(float64(turns[len(turns)*9/10].Microseconds())/1000, "ms/p90-turn")
	b.ReportMetric(float64(turns[len(turns)-1].Microseconds())/1000, "ms/longest-turn")
	b.ReportMetric(float64(len(turns))/float64(b.N), "turns/op")
}

// onSharedSocket is a sink that shares a socket.
type onSharedSocket struct {
	*sink
	fd int
}

func (s *onSharedSocket) Fd() int { return s.fd }

// readSockets returns descriptors of TCP connections whose other ends are read.
func readSockets(b *testing.B, n int) (fds []int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer listener.Close()
	for range n {
		reading, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(b, err)
		writing, err := listener.Accept()
		require.NoError(b, err)
		go func() { _, _ = io.Copy(io.Discard, reading) }()
		b.Cleanup(func() { reading.Close(); writing.Close() })
		raw, err := writing.(*net.TCPConn).SyscallConn()
		require.NoError(b, err)
		require.NoError(b, raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }))
	}
	return fds
}

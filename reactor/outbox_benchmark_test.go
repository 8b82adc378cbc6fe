package reactor

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// atQoS1 is a publisher and its readers on still loops, without the kernel: a round publishes some messages at QoS
// 1, sends them to each reader, has each acknowledge them, and settles.
type atQoS1 struct {
	loops     []*loop
	publisher *conn
	readers   []*conn
	chunk     []byte // of PUBLISH packets
	acks      []byte // scratch
	next      []uint16
	messages  int
}

func newAtQoS1(t testing.TB, loops, readers, messages int) *atQoS1 {
	s := stillServer(t, loops)
	a := &atQoS1{loops: s.loops, messages: messages, next: make([]uint16, readers)}
	a.publisher, _ = join(t, s.loops[0], "publisher")
	for i := range readers {
		c, _ := join(t, s.loops[i%loops], fmt.Sprint("reader-", i))
		c.loop.round(c, codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a", QoS: codec.QoS1}}))
		a.readers, a.next[i] = append(a.readers, c), 1
	}
	for id := range messages {
		a.chunk = append(a.chunk, above(codec.QoS1, uint16(id+1), "a", string(make([]byte, 64)))...)
	}
	a.round()
	return a
}

func (a *atQoS1) round() {
	a.loops[0].round(a.publisher, a.chunk)
	for _, l := range a.loops {
		l.drain()
	}
	for i, c := range a.readers {
		a.acks = a.acks[:0]
		for range a.messages {
			a.acks = codec.AppendAck(a.acks, codec.PUBACK, a.next[i])
			a.next[i] = 1 + a.next[i]%(1<<15-1)
		}
		c.loop.scheduled = false
		c.loop.receive(c, a.acks)
	}
	for _, l := range a.loops {
		for more := true; more; more = l.pending() {
			l.drain()
		}
	}
}

// BenchmarkPublishAbove is what a publish at QoS 1 costs with its acknowledgements, without the kernel and in
// memory. The window is 20, a round is ten messages.
func BenchmarkPublishAbove(b *testing.B) {
	for _, loops := range []int{1, 2} {
		for _, readers := range []int{1, 50, 1000} {
			b.Run(fmt.Sprintf("loops=%d/readers=%d", loops, readers), func(b *testing.B) {
				const messages = 10
				a := newAtQoS1(b, loops, readers, messages)
				before := a.loops[0].server.Stats().Above[0].Delivered
				b.ReportAllocs()
				rounds := 0
				for b.Loop() {
					a.round()
					rounds++
				}
				deliveries := float64(rounds * messages * readers)
				require.EqualValues(b, deliveries, a.loops[0].server.Stats().Above[0].Delivered-before)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/deliveries, "ns/delivery")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rounds*messages), "ns/publish")
			})
		}
	}
}

// A message above QoS 0 costs a few allocations, of what is shared: those of each delivery are amortized.
func TestAboveAllocatesLittle(t *testing.T) {
	const readers, messages = 100, 10
	a := newAtQoS1(t, 2, readers, messages)
	allocations := testing.AllocsPerRun(50, a.round)
	require.LessOrEqual(t, allocations/(readers*messages), 0.6, "per delivery")
}

// Clients that have their messages above QoS 0 leave what is published at QoS 0 as it is: without an allocation, on
// its own loop and on another.
func TestPublishAllocatesNothingBesideOutboxes(t *testing.T) {
	a := newAtQoS1(t, 2, 20, 10)
	chunk := slices.Concat(publishes("a", 100, 64), publishes("a", 100, 64))
	s := a.loops[0].server
	before := s.Stats().Delivered
	allocations := testing.AllocsPerRun(100, func() {
		for _, l := range s.loops {
			l.scheduled = false
		}
		a.loops[0].receive(a.publisher, chunk)
		settleAll(s)
	})
	require.LessOrEqual(t, allocations, 2.0, "per round, not per message")
	require.EqualValues(t, 20*200, (s.Stats().Delivered-before)/101)
}

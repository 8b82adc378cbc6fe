package reactor

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkAppend is what a message costs in the round log, flush and delivery apart.
func BenchmarkAppend(b *testing.B) {
	s := stillServer(b, 1)
	l := s.loops[0]
	join(b, l, "reader", "a")
	route, err := l.routes.Route([]byte("a"))
	require.NoError(b, err)
	packet := publishes("a", 1, 64)
	b.SetBytes(int64(len(packet)))
	b.ReportAllocs()
	for b.Loop() {
		if len(l.log.bytes)+len(packet) >= flushBytes {
			l.log.reset()
		}
		l.append(packet, route)
	}
}

// BenchmarkDeliver is what the delivery of a log costs without the kernel: the readers here are no
// sockets, and forget what they get. One iteration is one log.
func BenchmarkDeliver(b *testing.B) {
	for _, readers := range []int{1, 50, 1000} {
		for _, topics := range []int{1, 4} {
			b.Run(fmt.Sprintf("readers=%d/topics=%d", readers, topics), func(b *testing.B) {
				s := stillServer(b, 1)
				l := s.loops[0]
				filters := []string{"t0", "t1", "t2", "t3"}[:topics]
				for i := range readers {
					join(b, l, fmt.Sprint("reader-", i), filters...)
				}
				publisher, _ := join(b, l, "publisher")
				const messages = 40
				for i := range messages {
					l.receive(publisher, publishes(filters[i%topics], 1, 64))
				}
				log := l.log
				b.ReportAllocs()
				for b.Loop() {
					l.beginTurn()
					l.deliver(log)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*readers*messages), "ns/delivery")
			})
		}
	}
}

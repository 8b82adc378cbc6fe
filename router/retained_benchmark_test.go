package router

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// Retained messages for a new subscriber, among 100,000.
func BenchmarkRetainedCursor(b *testing.B) {
	r := NewRetained(RetainedMessagesMax, RetainedBytesMax)
	storeNumbered(r, "dev/%d/state", 100_000)
	for _, filter := range []string{"dev/7/state", "dev/7/+", "dev/+/none", "+/7/state", "#"} {
		b.Run(filter, func(b *testing.B) {
			var messages []*RetainedMessage
			b.ReportAllocs()
			for b.Loop() {
				c := r.Cursor(filter)
				messages, _ = c.Next(messages[:0], 1<<20)
				c.Close()
			}
		})
	}
}

// A page of a walk over 100,000 children. The cost of a node depends on what the processor's caches hold.
func BenchmarkRetainedPage(b *testing.B) {
	r := NewRetained(RetainedMessagesMax, RetainedBytesMax)
	storeNumbered(r, "dev/%d", 100_000)
	for _, nodes := range []int{256, 2048} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			var messages []*RetainedMessage
			c := r.Cursor("dev/+")
			b.ReportAllocs()
			for b.Loop() {
				var done bool
				if messages, done = c.Next(messages[:0], nodes); done {
					c = r.Cursor("dev/+")
				}
			}
			c.Close()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*nodes), "ns/node")
		})
	}
}

// Walks over 500,000 nodes and more in pages of 2,048, and how long its pages take: each keeps an event loop so
// long.
func BenchmarkRetainedWalk(b *testing.B) {
	for _, bench := range []struct {
		name, filter string
		nodes        int // that the walk looks at, about
		store        func(r *Retained)
	}{
		{"1,000,000 children", "dev/+", 1_000_000, func(r *Retained) { storeNumbered(r, "dev/%d", 1_000_000) }},
		{"500,000 children with one each", "#", 1_000_000, func(r *Retained) { storeNumbered(r, "dev/%d/state", 500_000) }},
		{"500,000 children, none matches", "dev/+/none", 500_000, func(r *Retained) {
			storeNumbered(r, "dev/%d/state", 500_000)
		}},
		{"1,000 children with 1,000 each, far apart in memory", "#", 1_000_000, func(r *Retained) {
			for i := range 1000 {
				storeNumbered(r, fmt.Sprintf("dev/%%d/%d", i), 1000)
			}
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := NewRetained(RetainedMessagesMax, 1<<30)
			bench.store(r)
			var messages []*RetainedMessage
			var pages []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				c := r.Cursor(bench.filter)
				for done := false; !done; {
					begin := time.Now()
					messages, done = c.Next(messages[:0], 2048)
					pages = append(pages, time.Since(begin))
				}
			}
			slices.Sort(pages)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*bench.nodes), "ns/node")
			b.ReportMetric(float64(pages[len(pages)/2].Microseconds()), "µs/page-median")
			b.ReportMetric(float64(pages[len(pages)*99/100].Microseconds()), "µs/page-p99")
			b.ReportMetric(float64(pages[len(pages)-1].Microseconds()), "µs/page-longest")
		})
	}
}

func storeNumbered(r *Retained, format string, n int) {
	for i := range n {
		r.Store(nil, fmt.Appendf(nil, format, i), []byte("packet"))
	}
}

func BenchmarkRetainedStore(b *testing.B) {
	for _, bench := range []struct {
		name   string
		topics int
	}{
		{"the same topic", 1},
		{"100,000 topics in turn", 100_000},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := NewRetained(RetainedMessagesMax, RetainedBytesMax)
			topics := make([][]byte, bench.topics)
			packet := []byte("packet")
			for i := range topics {
				topics[i] = fmt.Appendf(nil, "dev/%d/state", i)
				r.Store(nil, topics[i], packet)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Store(nil, topics[i%len(topics)], packet)
			}
		})
	}
}

// A million retained messages of 100 bytes: what each takes in memory besides its packet, and what a look at one device among
// 100,000, or at one measurement of all of them, costs.
func BenchmarkRetainedMillion(b *testing.B) {
	const devices, payload = 100_000, 100
	values := [10]string{"temperature", "humidity", "battery", "linkquality", "voltage", "state", "power", "energy", "current", "mode"}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, packets := heap(), 0
	r := NewRetained(RetainedMessagesMax, 4*RetainedBytesMax)
	for device := range devices {
		for _, value := range values {
			topic := fmt.Appendf(nil, "site/building/device-%05d/%s", device, value)
			packet := codec.AppendPublish(nil, &codec.Publish{Topic: topic, Payload: make([]byte, payload), Retain: true})
			packets += len(packet)
			require.True(b, r.Store(nil, topic, packet))
		}
	}
	perMessage := float64(heap()-before-uint64(packets)) / (devices * 10)
	counted := float64(r.Bytes()-packets) / (devices * 10)
	for _, filter := range []string{"site/building/device-00007/#", "site/building/device-00007/state", "site/building/+/state", "#"} {
		b.Run(filter, func(b *testing.B) {
			var messages []*RetainedMessage
			for b.Loop() {
				c, done := r.Cursor(filter), false
				for !done {
					messages, done = c.Next(messages[:0], 256)
				}
			}
			b.ReportMetric(perMessage, "B/message")
			b.ReportMetric(counted, "B-counted/message")
		})
	}
	runtime.KeepAlive(r)
}

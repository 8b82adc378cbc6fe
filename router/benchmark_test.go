package router

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"mqttd/codec"
)

// crowd is a router full of subscriptions that nothing in a benchmark publishes to. All
// benchmarks share it; who changes it puts it back.
type crowd struct {
	name   string
	format string // of the filters; all in the shard of `dev`
	sizes  []int
}

var crowds = []crowd{
	{"exact", "dev/%d/state", []int{1, 1000, 100_000, 1_000_000}},
	{"wildcard", "dev/%d/+", []int{1, 1000, 100_000, 1_000_000}},
}

func (c crowd) each(b *testing.B, run func(b *testing.B, r *Router, c crowd)) {
	for _, size := range c.sizes {
		b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) { run(b, crowdRouters[c.name][size](), c) })
	}
}

// crowdRouters builds each router once, when it is first asked for.
var crowdRouters = func() map[string]map[int]func() *Router {
	all := make(map[string]map[int]func() *Router)
	for _, c := range crowds {
		all[c.name] = make(map[int]func() *Router)
		for _, size := range c.sizes {
			all[c.name][size] = sync.OnceValue(func() *Router {
				r := New()
				for i := range size {
					r.Subscribe(fmt.Sprintf(c.format, i), Subscriber{uint64(i), 0}, codec.QoS0)
				}
				return r
			})
		}
	}
	return all
}()

// benchSubscriber is in none of the crowds.
var benchSubscriber = Subscriber{1 << 40, 1}

// A publish to two topics in turn, one of which an exact filter matches and the other a
// wildcard. It must cost the same in any crowd, and no allocation.
func BenchmarkPublish(b *testing.B) {
	for _, c := range crowds {
		c.each(b, func(b *testing.B, r *Router, _ crowd) {
			defer subscribed(r, "dev/bench/topic/1", "dev/bench/+/2")()
			publishInTurn(b, r, "dev/bench/topic/1", "dev/bench/topic/2")
		})
	}
}

// The latest topic again: what a publisher at full speed does.
func BenchmarkPublishSameTopic(b *testing.B) {
	r := New()
	subscribed(r, "bench/topic")
	publishInTurn(b, r, "bench/topic")
}

func BenchmarkPublishRoundRobin(b *testing.B) {
	r := New()
	subscribed(r, "bench/+/state")
	publishInTurn(b, r, numbered("bench/%d/state", 10_000)...)
}

// 1,000 wildcard filters match the topic.
func BenchmarkPublishManyFilters(b *testing.B) {
	r := New()
	topic := manyFilters(r)
	publishInTurn(b, r, topic, "another")
}

// manyFilters subscribes 1,000 clients, each with a filter of its own that matches topic.
func manyFilters(r *Router) (topic string) {
	for i, filter := range forks(1000, 10) {
		r.Subscribe(filter, Subscriber{uint64(i), i % 2}, codec.QoS0)
	}
	return strings.Repeat("a/", 9) + "a"
}

// The first publish after a change in the topic's shard that does not touch it: the topic is
// matched again, and its route stays.
func BenchmarkRouteAfterUnrelatedChange(b *testing.B) {
	for _, c := range crowds {
		c.each(b, func(b *testing.B, r *Router, _ crowd) {
			defer subscribed(r, "dev/bench/topic/1", "dev/bench/+/1")()
			benchmarkRouteAfter(b, r, "dev/bench/topic/1", func() {
				r.shardOfFilter("dev").epoch.Add(1) // all that the publish sees of the change
			})
		})
	}
}

func BenchmarkRouteAfterUnrelatedChangeManyFilters(b *testing.B) {
	r := New()
	topic := manyFilters(r)
	benchmarkRouteAfter(b, r, topic, func() { r.wild.epoch.Add(1) })
}

// The first publish after a client came or went, by how many the filter has: the list of the
// filter is built again, and with a second filter the union.
func BenchmarkRouteAfterChange(b *testing.B) {
	for _, subscribers := range []int{1, 100, 10_000} {
		for _, filters := range [][]string{{"bench/topic"}, {"bench/topic", "bench/+"}} {
			b.Run(fmt.Sprintf("%d subscribers, %d filters", subscribers, len(filters)), func(b *testing.B) {
				r := New()
				for _, filter := range filters {
					fill(r, filter, subscribers)
				}
				in := false
				benchmarkRouteAfter(b, r, "bench/topic", func() {
					if in = !in; in {
						r.Subscribe("bench/topic", benchSubscriber, codec.QoS0)
					} else {
						r.Unsubscribe("bench/topic", benchSubscriber.ID)
					}
				})
			})
		}
	}
}

// SUBSCRIBE and UNSUBSCRIBE of a filter that nobody else has.
func BenchmarkSubscribe(b *testing.B) {
	for _, c := range crowds {
		c.each(b, func(b *testing.B, r *Router, c crowd) {
			filter := strings.Replace(c.format, "%d", "bench", 1)
			benchmarkSubscribe(b, r, filter)
		})
	}
}

// The same, of a filter that 10,000 others have.
func BenchmarkSubscribeToPopularFilter(b *testing.B) {
	for _, filter := range []string{"bench/topic", "bench/+", "#"} {
		b.Run(filter, func(b *testing.B) {
			r := New()
			fill(r, filter, 10_000)
			benchmarkSubscribe(b, r, filter)
		})
	}
}

// subscribed subscribes benchSubscriber to the filters and returns how to undo it.
func subscribed(r *Router, filters ...string) (undo func()) {
	for _, filter := range filters {
		r.Subscribe(filter, benchSubscriber, codec.QoS0)
	}
	return func() {
		for _, filter := range filters {
			r.Unsubscribe(filter, benchSubscriber.ID)
		}
	}
}

func fill(r *Router, filter string, subscribers int) {
	for i := range subscribers {
		r.Subscribe(filter, Subscriber{uint64(i), i % 2}, codec.QoS0)
	}
}

func numbered(format string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return all
}

func publishInTurn(b *testing.B, r *Router, topics ...string) {
	b.Helper()
	c := r.NewCache()
	var names [][]byte
	for _, topic := range topics {
		names = append(names, []byte(topic))
		routeTo(b, c, topic)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); {
		benchRoute, _ = c.Route(names[i])
		if i++; i == len(names) {
			i = 0
		}
	}
}

func benchmarkRouteAfter(b *testing.B, r *Router, topic string, change func()) {
	b.Helper()
	c, name := r.NewCache(), []byte(topic)
	routeTo(b, c, topic)
	b.ReportAllocs()
	for b.Loop() {
		change()
		benchRoute, _ = c.Route(name)
	}
}

func benchmarkSubscribe(b *testing.B, r *Router, filter string) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		r.Subscribe(filter, benchSubscriber, codec.QoS0)
		r.Unsubscribe(filter, benchSubscriber.ID)
	}
}

// Where results go, so that the compiler cannot leave the work out.
var benchRoute *Route

package router

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"mqttd/codec"
)

// A client that comes and goes, and what is known of it at any moment. phase counts: 0 is out,
// 1 on its way in, 2 in, 3 on its way out, 4 out again, and so on.
type guest struct {
	Subscriber
	filters []string // each matches busy/1
	phase   atomic.Uint64
	seen    atomic.Uint64 // the latest settled phase that a publisher found true
}

func settled(phase uint64) bool { return phase%2 == 0 }

// visit subscribes and unsubscribes and waits each time until a publisher has seen it.
func (g *guest) visit(r *Router, rounds int) {
	for range rounds {
		g.change(func(filter string) { r.Subscribe(filter, g.Subscriber, codec.QoS1) })
		g.change(func(filter string) { r.Unsubscribe(filter, g.ID) })
	}
}

func (g *guest) change(each func(filter string)) {
	g.phase.Add(1)
	for _, filter := range g.filters {
		each(filter)
	}
	for now := g.phase.Add(1); g.seen.Load() != now; {
		runtime.Gosched()
	}
}

// TestRouteSeesWhatReturned: a Route call that starts after Subscribe returned names the
// subscriber, one that starts after Unsubscribe returned does not, on whatever goroutine.
// Meanwhile others change the same entries, the same shard and the one of all shards.
func TestRouteSeesWhatReturned(t *testing.T) {
	const publishers, rounds = 3, 150
	r := New()
	guests := []*guest{
		{Subscriber: Subscriber{1, 0}, filters: []string{"busy/1"}},
		{Subscriber: Subscriber{2, 1}, filters: []string{"busy/+"}},
		{Subscriber: Subscriber{3, 2}, filters: []string{"#"}},
		{Subscriber: Subscriber{4, 0}, filters: []string{"busy/1", "busy/#", "+/1"}},
	}
	var visiting, others sync.WaitGroup
	var done atomic.Bool
	for p := range publishers {
		others.Go(func() {
			for c := r.NewCache(); !done.Load(); {
				checkGuests(t, c, guests, p)
			}
		})
	}
	others.Go(func() {
		for i := uint64(0); !done.Load(); i++ {
			noise := Subscriber{100 + i%50, int(i % 50 % 3)}
			for _, filter := range []string{"busy/1", "busy/+/x", "busy/2", "+/1", "busy/+"} {
				r.Subscribe(filter, noise, codec.QoS(i%3))
			}
			for _, filter := range []string{"busy/1", "busy/+/x", "busy/2", "+/1", "busy/+"} {
				r.Unsubscribe(filter, 100+(i+25)%50)
			}
		}
	})
	for _, g := range guests {
		visiting.Go(func() { g.visit(r, rounds) })
	}
	visiting.Wait()
	done.Store(true)
	others.Wait()
	for id := uint64(100); id < 150; id++ {
		for _, filter := range []string{"busy/1", "busy/+/x", "busy/2", "+/1", "busy/+"} {
			r.Unsubscribe(filter, id)
		}
	}
	requireEmpty(t, r)
}

// checkGuests routes one message and judges the guests whose phase was settled before and has
// not changed since.
func checkGuests(t *testing.T, c *Cache, guests []*guest, publisher int) {
	var before [4]uint64
	for i, g := range guests {
		before[i] = g.phase.Load()
	}
	route, err := c.Route([]byte("busy/1"))
	if err != nil {
		t.Error(err)
		return
	}
	times := make(map[uint64]int, route.Len())
	for i := range route.Groups() {
		for _, target := range route.Targets(route.Group(i)) {
			times[target.ID]++
		}
	}
	for id, n := range times {
		if n > 1 {
			t.Errorf("client %d stands in the route %d times", id, n)
		}
	}
	for i, g := range guests {
		if !settled(before[i]) || g.phase.Load() != before[i] {
			continue
		}
		if want := int(before[i] / 2 % 2); times[g.ID] != want {
			t.Errorf("publisher %d, client %d in phase %d: %d deliveries", publisher, g.ID, before[i], times[g.ID])
		}
		g.seen.Store(before[i])
	}
}

// Many clients come and go at once, each with its own filters and shared ones: counts and
// structure hold, and nothing is left.
func TestSubscribeConcurrently(t *testing.T) {
	const clients, rounds = 8, 60
	r := New()
	var wait sync.WaitGroup
	for id := range clients {
		wait.Go(func() {
			c := r.NewCache()
			sub := Subscriber{uint64(id), id % 3}
			own := fmt.Sprintf("own/%d", id)
			filters := []string{own, own + "/+", "shared", "shared/+/x", "+/shared", "#", "shared/#"}
			for round := range rounds {
				for _, filter := range filters {
					if !r.Subscribe(filter, sub, codec.QoS(round%3)) {
						t.Errorf("%s: not new", filter)
					}
				}
				route, err := c.Route([]byte(own))
				if err != nil || !has(route, sub) {
					t.Errorf("client %d is not in its own route", id)
				}
				for _, filter := range filters {
					if !r.Unsubscribe(filter, sub.ID) {
						t.Errorf("%s: unknown", filter)
					}
				}
				if route, _ = c.Route([]byte(own)); has(route, sub) {
					t.Errorf("client %d is in the route after it left", id)
				}
			}
		})
	}
	wait.Wait()
	requireEmpty(t, r)
}

func has(r *Route, s Subscriber) bool {
	for _, target := range r.Targets(s.Group) {
		if target.ID == s.ID {
			return true
		}
	}
	return false
}

package router

import (
	"sync/atomic"

	"mqttd/codec"
)

// Subscriber is who receives: ID tells subscribers apart, Group says in which list of a
// Route it stands (the event loop that serves it). Both are opaque to the router.
type Subscriber struct {
	ID    uint64
	Group int
}

// Target is one delivery of a Route.
type Target struct {
	ID  uint64    // Subscriber.ID
	QoS codec.QoS // granted; the highest of the client's matching subscriptions [MQTT-3.3.5-1]
}

// Route lists who gets a message, each client once, grouped by Subscriber.Group. It is
// immutable and may be kept and read by any goroutine.
type Route struct {
	groups []group // none empty, ordered by index
	len    int     // targets in all groups
	parted atomic.Pointer[parted]
}

// parted is a route in two parts.
type parted struct {
	above []Target
	rest  *Route
}

type group struct {
	index   int
	targets []Target
}

var emptyRoute = &Route{}

// Len returns how many clients get the message.
func (r *Route) Len() int { return r.len }

// Groups returns how many groups have a target. Group(i) names them, 0 <= i < Groups.
func (r *Route) Groups() int { return len(r.groups) }

// Group returns the index of the i-th group that has a target, in ascending order.
func (r *Route) Group(i int) int { return r.groups[i].index }

// Targets returns the deliveries of one group. The caller does not change the slice.
func (r *Route) Targets(group int) []Target {
	for i := range r.groups {
		if r.groups[i].index == group {
			return r.groups[i].targets
		}
	}
	return nil
}

// Part returns the deliveries with a granted QoS above 0, of all groups, and the route of the others. The caller does
// not change the slice. It is worked out at the first call: a route for which nobody asks costs nothing.
func (r *Route) Part() (above []Target, rest *Route) {
	p := r.parted.Load()
	if p == nil {
		p = r.part()
		r.parted.Store(p)
	}
	return p.above, p.rest
}

func (r *Route) part() *parted {
	p := &parted{rest: r}
	for _, g := range r.groups {
		for _, t := range g.targets {
			if t.QoS > codec.QoS0 {
				p.above = append(p.above, t)
			}
		}
	}
	if len(p.above) > 0 {
		p.rest = buildRoute(r.len-len(p.above), func(yield func(int, Target)) {
			r.each(func(group int, t Target) {
				if t.QoS == codec.QoS0 {
					yield(group, t)
				}
			})
		})
	}
	return p
}

// buildRoute returns the route of n deliveries. each yields them, the same each time: it is called
// once to count and once to fill, so that the route takes one block of just the size it needs.
func buildRoute(n int, each func(yield func(group int, t Target))) *Route {
	if n == 0 {
		return emptyRoute
	}
	var counts []int
	each(func(group int, _ Target) {
		for group >= len(counts) {
			counts = append(counts, 0)
		}
		counts[group]++
	})
	r := &Route{len: n}
	targets := make([]Target, n)
	at := make([]int, len(counts)) // where the next delivery of a group goes
	from := 0
	for index, count := range counts {
		if count > 0 {
			r.groups = append(r.groups, group{index: index, targets: targets[from : from+count : from+count]})
		}
		at[index] = from
		from += count
	}
	each(func(group int, t Target) {
		targets[at[group]] = t
		at[group]++
	})
	return r
}

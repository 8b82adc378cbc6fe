package router

import "mqttd/codec"

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
}

type group struct {
	index   int
	targets []Target
}

var emptyRoute = &Route{}

// SingleRoute returns the route to one subscriber, for messages that are meant for it
// alone (retained ones on SUBSCRIBE).
func SingleRoute(s Subscriber, qos codec.QoS) *Route {
	return &Route{groups: []group{{index: s.Group, targets: []Target{{ID: s.ID, QoS: qos}}}}, len: 1}
}

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

// routeBuilder collects deliveries and lays them out by group. It is scratch space: one
// per shard or cache, reused.
type routeBuilder struct {
	perGroup [][]Target
	len      int
}

func (b *routeBuilder) add(group int, t Target) {
	for group >= len(b.perGroup) {
		b.perGroup = append(b.perGroup, nil)
	}
	b.perGroup[group] = append(b.perGroup[group], t)
	b.len++
}

// build returns the route of what was added and empties the builder.
func (b *routeBuilder) build() *Route {
	if b.len == 0 {
		return emptyRoute
	}
	r := &Route{len: b.len}
	targets := make([]Target, 0, b.len) // one block for all groups
	for index, list := range b.perGroup {
		if len(list) == 0 {
			continue
		}
		from := len(targets)
		targets = append(targets, list...)
		r.groups = append(r.groups, group{index: index, targets: targets[from:len(targets):len(targets)]})
		b.perGroup[index] = list[:0]
	}
	b.len = 0
	b.shrink()
	return r
}

// builderKeepMax is how many targets of scratch space a group keeps between two builds.
// (chosen: 64 KiB of it)
const builderKeepMax = 4096

func (b *routeBuilder) shrink() {
	for i, list := range b.perGroup {
		if cap(list) > builderKeepMax {
			b.perGroup[i] = nil
		}
	}
}

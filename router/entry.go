package router

import "mqttd/codec"

// entry is one Topic Filter and who subscribed to it. It is guarded by its shard's mutex.
type entry struct {
	subs  []subscription
	where map[uint64]int // Subscriber.ID -> index in subs; nil while subs is short
	route *Route         // compiled from subs; nil after a change
}

type subscription struct {
	Subscriber
	qos codec.QoS
}

// entryScanMax is how many subscribers are found by looking at each: below it that is
// faster than a map and most filters never exceed it. (chosen)
const entryScanMax = 16

func (e *entry) find(id uint64) (index int, ok bool) {
	if e.where != nil {
		index, ok = e.where[id]
		return index, ok
	}
	for i := range e.subs {
		if e.subs[i].ID == id {
			return i, true
		}
	}
	return 0, false
}

// put adds the subscriber or replaces its QoS, and reports whether it is new here.
func (e *entry) put(s Subscriber, qos codec.QoS) (added bool) {
	if i, ok := e.find(s.ID); ok {
		if e.subs[i] != (subscription{s, qos}) {
			e.subs[i] = subscription{s, qos}
			e.route = nil
		}
		return false
	}
	e.route = nil
	e.subs = append(e.subs, subscription{s, qos})
	switch {
	case e.where != nil:
		e.where[s.ID] = len(e.subs) - 1
	case len(e.subs) > entryScanMax:
		e.where = make(map[uint64]int, 2*len(e.subs))
		for i := range e.subs {
			e.where[e.subs[i].ID] = i
		}
	}
	return true
}

// remove takes the subscriber out and reports whether it was there.
func (e *entry) remove(id uint64) bool {
	i, ok := e.find(id)
	if !ok {
		return false
	}
	e.route = nil
	moved := e.subs[len(e.subs)-1]
	e.subs[i] = moved
	e.subs = e.subs[:len(e.subs)-1]
	if e.where != nil {
		e.where[moved.ID] = i
		delete(e.where, id)
	}
	return true
}

// compile returns the entry's own route, building it when a change came since.
func (e *entry) compile() *Route {
	if e.route == nil {
		e.route = buildRoute(len(e.subs), func(yield func(int, Target)) {
			for i := range e.subs {
				yield(e.subs[i].Group, Target{ID: e.subs[i].ID, QoS: e.subs[i].qos})
			}
		})
	}
	return e.route
}

package router

import (
	"sync"
	"sync/atomic"

	"mqttd/codec"
)

// shard holds the subscriptions whose filters share a hash of their first level, or all
// that begin with a wildcard.
type shard struct {
	// epoch counts the changes. Any goroutine may load it; it is bumped under mu, after
	// the change. A route built under an epoch that is still current is current.
	epoch atomic.Uint64

	mu    sync.Mutex
	exact map[string]*entry // guarded by mu; filters without a wildcard
	wild  trie              // guarded by mu; filters with one
}

// subscribe adds or replaces a subscription and reports whether it is new.
func (s *shard) subscribe(filter string, sub Subscriber, qos codec.QoS) (added bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	added = s.entry(filter).put(sub, qos)
	s.epoch.Add(1)
	return added
}

// entry returns the filter's entry, making one.
func (s *shard) entry(filter string) *entry {
	if codec.HasWildcard(filter) {
		_, at := s.wild.entryAt(filter)
		if *at == nil {
			*at = new(entry)
		}
		return *at
	}
	e := s.exact[filter]
	if e == nil {
		e = new(entry)
		s.exact[filter] = e
	}
	return e
}

// unsubscribe removes a subscription and reports whether there was one.
func (s *shard) unsubscribe(filter string, id uint64) (removed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if codec.HasWildcard(filter) {
		n, at := s.wild.entryAt(filter)
		if *at != nil && (*at).remove(id) {
			removed = true
			if len((*at).subs) == 0 {
				*at = nil
			}
		}
		s.wild.prune(n)
	} else if e := s.exact[filter]; e != nil && e.remove(id) {
		removed = true
		if len(e.subs) == 0 {
			delete(s.exact, filter)
		}
	}
	if removed {
		s.epoch.Add(1)
	}
	return removed
}

// match appends the routes of the entries that match topic: one list per filter, in which a
// client stands once.
func (s *shard) match(topic []byte, dst []*Route, scratch *cacheScratch) []*Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.exact[string(topic)]; e != nil {
		dst = append(dst, e.compile())
	}
	scratch.entries = s.wild.match(topic, scratch.entries[:0], &scratch.match)
	for _, e := range scratch.entries {
		dst = append(dst, e.compile())
	}
	clear(scratch.entries) // the scratch keeps no entry alive
	return dst
}

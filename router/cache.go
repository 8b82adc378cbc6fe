package router

import (
	"slices"

	"mqttd/codec"
)

// Limits of one Cache. A cache that reaches either is emptied and fills again with what is
// published from then on; Resets counts it. (chosen)
const (
	CacheTopicsMax = 64 << 10
	CacheBytesMax  = 16 << 20 // of Topic Names
)

// Cache finds the routes of topics for one event loop. It is loop-confined.
type Cache struct {
	router *Router
	last   *cached // of the latest call; nil at first
	topics map[string]*cached
	bytes  int // of the keys of topics
	resets uint64

	scratch cacheScratch
}

// cached is a topic's route and what it was built from.
type cached struct {
	topic     string
	route     *Route
	parts     []*Route // one per matching filter; route is their union
	shard     *shard
	epoch     uint64 // of shard when parts were collected
	wildEpoch uint64 // of Router.wild when parts were collected
}

// cacheScratch is reusable space for a rebuild.
type cacheScratch struct {
	match   matchScratch
	entries []*entry
	parts   []*Route
	builder routeBuilder
	seen    map[uint64]codec.QoS
}

// NewCache returns an empty cache in front of r.
func (r *Router) NewCache() *Cache {
	return &Cache{router: r, topics: make(map[string]*cached), scratch: cacheScratch{seen: make(map[uint64]codec.QoS)}}
}

// Route returns who gets a message published to topic now. It borrows topic for the call.
// The error is that of codec.CheckTopicName, which is asked for topics not in the cache
// only. A topic published before, with no change to its shard since, costs no allocation.
func (c *Cache) Route(topic []byte) (*Route, error) {
	t := c.last
	if t == nil || t.topic != string(topic) {
		if t = c.topics[string(topic)]; t == nil {
			var err error
			if t, err = c.add(topic); err != nil {
				return nil, err
			}
		}
		c.last = t
	}
	if t.epoch != t.shard.epoch.Load() || t.wildEpoch != c.router.wild.epoch.Load() {
		c.rebuild(t)
	}
	return t.route, nil
}

// Resets returns how often the cache was full and emptied.
func (c *Cache) Resets() uint64 { return c.resets }

func (c *Cache) add(topic []byte) (*cached, error) {
	if err := codec.CheckTopicName(topic); err != nil {
		return nil, err
	}
	if len(c.topics) >= CacheTopicsMax || c.bytes+len(topic) > CacheBytesMax {
		c.topics = make(map[string]*cached)
		c.bytes = 0
		c.resets++
	}
	t := &cached{topic: string(topic), route: emptyRoute, shard: c.router.shardOfTopic(topic)}
	c.topics[t.topic] = t
	c.bytes += len(topic)
	c.rebuild(t)
	return t, nil
}

// rebuild matches the topic again. The epochs are read before the shards are: a change in
// between is seen as a change at the next publish, never missed. Most changes in a shard
// do not touch the topic; then the parts are the very same and the route stays.
func (c *Cache) rebuild(t *cached) {
	t.epoch, t.wildEpoch = t.shard.epoch.Load(), c.router.wild.epoch.Load()
	topic := []byte(t.topic)
	parts := t.shard.match(topic, c.scratch.parts[:0], &c.scratch)
	if topic[0] != '$' { // [MQTT-4.7.2-1]
		parts = c.router.wild.match(topic, parts, &c.scratch)
	}
	if !slices.Equal(parts, t.parts) {
		t.parts = append([]*Route(nil), parts...)
		t.route = c.scratch.union(parts)
	}
	clear(parts) // the scratch keeps no route alive
	c.scratch.parts = parts[:0]
}

// union returns the route in which each client of the parts stands once, at the highest QoS
// of its subscriptions [MQTT-3.3.5-1]. With one part there is nothing to do: topics that the
// same filter alone matches share its route, so their messages go out in one run.
func (s *cacheScratch) union(parts []*Route) *Route {
	switch len(parts) {
	case 0:
		return emptyRoute
	case 1:
		return parts[0]
	}
	longest := 0 // is read past the map, so that the map stays small
	for i, p := range parts {
		if p.len > parts[longest].len {
			longest = i
		}
	}
	defer clear(s.seen)
	for i, p := range parts {
		if i != longest {
			p.each(func(_ int, t Target) { s.seen[t.ID] = max(t.QoS, s.seen[t.ID]) })
		}
	}
	parts[longest].each(func(group int, t Target) {
		if qos, also := s.seen[t.ID]; also {
			t.QoS = max(t.QoS, qos)
			delete(s.seen, t.ID)
		}
		s.builder.add(group, t)
	})
	for i, p := range parts {
		if i == longest {
			continue
		}
		p.each(func(group int, t Target) {
			if qos, left := s.seen[t.ID]; left {
				s.builder.add(group, Target{ID: t.ID, QoS: qos})
				delete(s.seen, t.ID)
			}
		})
	}
	return s.builder.build()
}

func (r *Route) each(visit func(group int, t Target)) {
	for _, g := range r.groups {
		for _, t := range g.targets {
			visit(g.index, t)
		}
	}
}

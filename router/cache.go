package router

import (
	"slices"

	"mqttd/codec"
)

// Limits of one Cache. A cache that reaches one is emptied and fills again with what is
// published from then on; Resets counts it. (chosen)
const (
	CacheTopicsMax  = 64 << 10
	CacheBytesMax   = 16 << 20 // of Topic Names
	cacheTargetsMax = 16 << 20 // in the routes that the topics keep alive: 256 MiB
)

// Cache finds the routes of topics for one event loop. It is loop-confined.
type Cache struct {
	router *Router
	last   *cached // of the latest call; nil at first
	topics map[string]*cached

	bytes   int            // of the keys of topics
	held    map[*Route]int // how many topics keep the route alive
	targets int            // in the routes of held
	resets  uint64

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
	merged  []delivery
	seen    map[uint64]codec.QoS
}

// delivery is a Target with its group.
type delivery struct {
	group int
	Target
}

// mergedKeepMax is how many deliveries of scratch space are kept between two rebuilds. (chosen:
// 1 MiB)
const mergedKeepMax = 32 << 10

// NewCache returns an empty cache in front of r.
func (r *Router) NewCache() *Cache {
	return &Cache{
		router:  r,
		topics:  make(map[string]*cached),
		held:    make(map[*Route]int),
		scratch: cacheScratch{seen: make(map[uint64]codec.QoS)},
	}
}

// Route returns who gets a message published to topic now. It borrows topic for the call.
// The error is that of codec.TopicLimits.CheckName, which is asked for topics not in the cache
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
	if err := c.router.topics.CheckName(topic); err != nil {
		return nil, err
	}
	if len(c.topics) >= CacheTopicsMax || c.bytes+len(topic) > CacheBytesMax {
		c.empty()
	}
	t := &cached{topic: string(topic), route: emptyRoute, shard: c.router.shardOfTopic(topic)}
	c.put(t)
	c.rebuild(t)
	return t, nil
}

func (c *Cache) put(t *cached) {
	c.topics[t.topic] = t
	c.bytes += len(t.topic)
	c.hold(t)
}

func (c *Cache) empty() {
	c.topics, c.held = make(map[string]*cached), make(map[*Route]int)
	c.last, c.bytes, c.targets = nil, 0, 0
	c.resets++
}

// hold counts the routes that t keeps alive: a route that many topics share counts once.
func (c *Cache) hold(t *cached) {
	t.each(func(r *Route) {
		if c.held[r]++; c.held[r] == 1 {
			c.targets += r.len
		}
	})
}

// drop takes back what hold counted.
func (c *Cache) drop(t *cached) {
	t.each(func(r *Route) {
		if c.held[r]--; c.held[r] == 0 {
			c.targets -= r.len
			delete(c.held, r)
		}
	})
}

func (t *cached) each(visit func(*Route)) {
	for _, p := range t.parts {
		visit(p)
	}
	if len(t.parts) > 1 {
		visit(t.route)
	}
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
		c.drop(t)
		t.parts = append([]*Route(nil), parts...)
		t.route = c.scratch.union(parts)
		c.hold(t)
		if c.targets > cacheTargetsMax {
			c.empty()
			c.put(t)
			c.last = t
		}
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
	for i, p := range parts {
		if i != longest {
			p.each(func(_ int, t Target) { s.seen[t.ID] = max(t.QoS, s.seen[t.ID]) })
		}
	}
	parts[longest].each(func(group int, t Target) {
		t.QoS = max(t.QoS, s.seen[t.ID])
		delete(s.seen, t.ID)
		s.merged = append(s.merged, delivery{group, t})
	})
	for i, p := range parts {
		if i == longest {
			continue
		}
		p.each(func(group int, t Target) {
			if qos, left := s.seen[t.ID]; left {
				delete(s.seen, t.ID)
				s.merged = append(s.merged, delivery{group, Target{ID: t.ID, QoS: qos}})
			}
		})
	}
	route := buildRoute(len(s.merged), func(yield func(int, Target)) {
		for _, d := range s.merged {
			yield(d.group, d.Target)
		}
	})
	s.merged = s.merged[:0]
	if cap(s.merged) > mergedKeepMax {
		s.merged = nil
	}
	return route
}

func (r *Route) each(visit func(group int, t Target)) {
	for _, g := range r.groups {
		for _, t := range g.targets {
			visit(g.index, t)
		}
	}
}

package router

import (
	"hash/maphash"
	"strings"
	"sync/atomic"

	"mqttd/codec"
)

// shardCount is a power of two, large enough that loops rarely meet at a lock. (chosen)
const shardCount = 64

// Router holds who subscribed to what. Any goroutine may call its methods.
type Router struct {
	topics codec.TopicLimits // immutable; what a published topic may be
	seed   maphash.Seed
	shards [shardCount]shard // filters with a literal first level
	wild   shard             // filters that begin with a wildcard: consulted for every topic
	count  atomic.Int64
}

// New returns an empty router with codec.DefaultTopicLimits.
func New() *Router { return NewWithLimits(codec.DefaultTopicLimits) }

// NewWithLimits returns an empty router that routes topics within the limits only.
func NewWithLimits(topics codec.TopicLimits) *Router {
	r := &Router{topics: topics, seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].init()
	}
	r.wild.init()
	return r
}

func (s *shard) init() {
	s.exact = make(map[string]*entry)
	s.wild = newTrie()
}

// Subscribe makes sub a subscriber of filter with the QoS granted, or replaces the QoS it
// had [MQTT-3.8.4-3], and reports whether the subscription is new. The filter must be
// valid (codec.CheckTopicFilter) and is kept. Publishes routed after the return, on any
// loop, go by it. The cost does not depend on how many subscriptions there are.
func (r *Router) Subscribe(filter string, sub Subscriber, granted codec.QoS) (added bool) {
	if added = r.shardOfFilter(filter).subscribe(filter, sub, granted); added {
		r.count.Add(1)
	}
	return added
}

// Unsubscribe ends the subscription with exactly this filter [MQTT-3.10.4-1] and reports
// whether there was one.
func (r *Router) Unsubscribe(filter string, id uint64) (removed bool) {
	if removed = r.shardOfFilter(filter).unsubscribe(filter, id); removed {
		r.count.Add(-1)
	}
	return removed
}

// Len returns the number of subscriptions.
func (r *Router) Len() int { return int(r.count.Load()) }

func (r *Router) shardOfFilter(filter string) *shard {
	level, _, _ := strings.Cut(filter, "/")
	if level == "+" || level == "#" {
		return &r.wild
	}
	return &r.shards[maphash.String(r.seed, level)%shardCount]
}

func (r *Router) shardOfTopic(topic []byte) *shard {
	level, _, _ := cutLevel(topic)
	return &r.shards[maphash.Bytes(r.seed, level)%shardCount]
}

package router

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// routerOf returns a router with one subscription a word, written "client:filter", at QoS 0.
// A client's ID is its letter, its group that modulo 3.
func routerOf(subscriptions ...string) *Router {
	r := New()
	for _, s := range subscriptions {
		r.Subscribe(s[2:], subscriberOf(s), codec.QoS0)
	}
	return r
}

func subscriberOf(s string) Subscriber { return Subscriber{ID: uint64(s[0]), Group: int(s[0]) % 3} }

// receivers returns the letters of who gets a message to topic, in alphabetical order.
func receivers(t testing.TB, c *Cache, topic string) string {
	t.Helper()
	all := targetsOf(t, routeTo(t, c, topic))
	var letters strings.Builder
	for id := range uint64(128) {
		if _, ok := all[id]; ok {
			letters.WriteByte(byte(id))
		}
	}
	return letters.String()
}

// Messages that share a route go out in one run: so do topics that one filter alone matches,
// whichever loop publishes them.
func TestTopicsOfOneFilterShareItsRoute(t *testing.T) {
	r := routerOf("a:dev/+/state", "b:dev/+/state", "c:dev/7/state", "d:+", "e:$SYS/#")
	one, other := r.NewCache(), r.NewCache()
	shared := routeTo(t, one, "dev/1/state")
	assert.Equal(t, "ab", receivers(t, one, "dev/1/state"))
	assert.Same(t, shared, routeTo(t, one, "dev/2/state"))
	assert.Same(t, shared, routeTo(t, one, "dev//state"))
	assert.Same(t, shared, routeTo(t, other, "dev/3/state"))
	assert.NotSame(t, shared, routeTo(t, one, "dev/7/state"), "two filters match")
	assert.Same(t, routeTo(t, one, "x"), routeTo(t, other, "y"))
	assert.Same(t, routeTo(t, one, "$SYS/x"), routeTo(t, other, "$SYS"))
	assert.Same(t, routeTo(t, one, "no/body"), routeTo(t, other, "no/one"), "to nobody")
}

func TestUnrelatedChangeKeepsTheRoute(t *testing.T) {
	for _, c := range []struct{ name, filter string }{
		{"another topic of the shard", "dev/2"},
		{"a wildcard of the shard", "dev/+/x"},
		{"a wildcard below the topic", "dev/1/+"},
		{"a filter of every shard", "+/2"},
		{"another shard", "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := routerOf("a:dev/1", "a:dev/+", "b:dev/#", "a:exact/1", "a:+/+/+")
			cache := r.NewCache()
			union, single := routeTo(t, cache, "dev/1"), routeTo(t, cache, "exact/1")
			for range 3 {
				require.True(t, r.Subscribe(c.filter, Subscriber{9, 0}, codec.QoS2))
				assert.Same(t, union, routeTo(t, cache, "dev/1"))
				assert.Same(t, single, routeTo(t, cache, "exact/1"))
				require.True(t, r.Unsubscribe(c.filter, 9))
				assert.Same(t, union, routeTo(t, cache, "dev/1"))
				assert.Same(t, single, routeTo(t, cache, "exact/1"))
			}
			assert.False(t, r.Unsubscribe("dev/1", 9), "no change at all")
			assert.Same(t, union, routeTo(t, cache, "dev/1"))
		})
	}
}

func TestRelatedChangeIsSeenAtOnce(t *testing.T) {
	for _, filter := range []string{"dev/1", "dev/+", "dev/#", "dev/1/#", "+/1", "+/+", "+/#", "#"} {
		t.Run(filter, func(t *testing.T) {
			r := routerOf("a:dev/1", "b:dev/+")
			warm := r.NewCache()
			before := routeTo(t, warm, "dev/1")
			r.Subscribe(filter, subscriberOf("c"), codec.QoS1)
			assert.Equal(t, "abc", receivers(t, warm, "dev/1"))
			r.Subscribe(filter, subscriberOf("c"), codec.QoS2)
			assert.Equal(t, codec.QoS2, targetsOf(t, routeTo(t, warm, "dev/1"))['c'].qos, "replaced QoS")
			r.Unsubscribe(filter, 'c')
			assert.Equal(t, "ab", receivers(t, warm, "dev/1"))
			assert.Equal(t, 2, before.Len(), "a route that was handed out does not change")
		})
	}
}

// The topic that a loop published last takes a shorter way, which must see changes too.
func TestRouteOfTheLatestTopic(t *testing.T) {
	r := routerOf("a:x")
	c := r.NewCache()
	assert.Equal(t, "a", receivers(t, c, "x"))
	assert.Equal(t, "a", receivers(t, c, "x"))
	assert.Empty(t, receivers(t, c, "y"))
	assert.Equal(t, "a", receivers(t, c, "x"))
	r.Subscribe("#", subscriberOf("b"), codec.QoS0)
	assert.Equal(t, "ab", receivers(t, c, "x"))
	r.Unsubscribe("x", 'a')
	r.Unsubscribe("#", 'b')
	assert.Empty(t, receivers(t, c, "x"))
}

// [MQTT-4.7.2-1]
func TestDollarTopics(t *testing.T) {
	r := routerOf("a:#", "b:+/a", "c:$SYS/a", "d:$SYS/+", "e:$SYS/#")
	c := r.NewCache()
	assert.Equal(t, "cde", receivers(t, c, "$SYS/a"))
	assert.Equal(t, "ab", receivers(t, c, "SYS/a"))
	r.Subscribe("+/#", subscriberOf("f"), codec.QoS0)
	assert.Equal(t, "cde", receivers(t, c, "$SYS/a"))
	assert.Equal(t, "abf", receivers(t, c, "SYS/a"))
}

func TestRouteBorrowsTheTopic(t *testing.T) {
	c := routerOf("a:x/1").NewCache()
	topic := []byte("x/1")
	route, err := c.Route(topic)
	require.NoError(t, err)
	copy(topic, "y/2")
	other, err := c.Route(topic)
	require.NoError(t, err)
	assert.Equal(t, 1, route.Len())
	assert.Zero(t, other.Len())
	assert.Same(t, route, routeTo(t, c, "x/1"))
}

func TestRouteRefusesInvalidTopics(t *testing.T) {
	c := routerOf("a:#").NewCache()
	for _, topic := range []string{
		"", "a/+", "#", "a\x00", "\xFF", strings.Repeat("a", codec.MaxTopicBytes+1), strings.Repeat("/", codec.MaxTopicLevels),
	} {
		for range 2 {
			route, err := c.Route([]byte(topic))
			assert.Nil(t, route)
			assert.Equal(t, codec.CheckTopicName([]byte(topic)), err)
		}
	}
	assert.Empty(t, c.topics)
	assert.Zero(t, c.bytes)
	assert.Nil(t, c.last)
}

func TestCacheTopicsMax(t *testing.T) {
	r := routerOf("a:t/+", "b:#")
	c := r.NewCache()
	for i := range CacheTopicsMax {
		routeTo(t, c, fmt.Sprintf("t/%d", i))
	}
	assert.Zero(t, c.Resets())
	routeTo(t, c, "t/0")
	assert.Zero(t, c.Resets(), "a topic that is there needs no room")
	assert.Len(t, c.topics, CacheTopicsMax)
	assert.Equal(t, "ab", receivers(t, c, "t/new"))
	assert.EqualValues(t, 1, c.Resets())
	requireCached(t, c, "t/new")
	r.Unsubscribe("#", 'b')
	assert.Equal(t, "a", receivers(t, c, "t/new"))
	assert.Equal(t, "a", receivers(t, c, "t/0"))
	requireCached(t, c, "t/new", "t/0")
}

func TestCacheBytesMax(t *testing.T) {
	c := routerOf("a:#").NewCache()
	topic := func(i int) string { return fmt.Sprintf("%0*d", codec.MaxTopicBytes, i) }
	for i := range CacheBytesMax / codec.MaxTopicBytes {
		routeTo(t, c, topic(i))
	}
	assert.Zero(t, c.Resets())
	assert.Equal(t, CacheBytesMax, c.bytes)
	assert.Equal(t, "a", receivers(t, c, "x"))
	assert.EqualValues(t, 1, c.Resets())
	requireCached(t, c, "x")
}

// Routes of many targets fill a cache before its topics do: each union is a list of its own,
// and a list that was replaced lives on with the topics that have not been published since. A
// list that topics share counts once.
func TestCacheTargetsMax(t *testing.T) {
	const clients = 100_000
	r := New()
	for i := range clients {
		r.Subscribe("t/#", Subscriber{uint64(i), i % 2}, codec.QoS0)
	}
	c := r.NewCache()
	const unions = cacheTargetsMax/clients - 1 // the list of t/# takes the place of one
	for i := range unions {
		topic := fmt.Sprintf("t/%d", i)
		require.Equal(t, clients, routeTo(t, c, topic).Len())
		assert.Equal(t, clients*(i+1)+i, c.targets)
		r.Subscribe(topic, Subscriber{0, 0}, codec.QoS1)
		require.Equal(t, clients, routeTo(t, c, topic).Len())
		assert.Equal(t, clients*(i+2)+i+1, c.targets, "the shared part, another part and their union")
	}
	assert.Zero(t, c.Resets())
	r.Subscribe("t/new", Subscriber{0, 0}, codec.QoS1)
	require.Equal(t, clients, routeTo(t, c, "t/new").Len())
	assert.EqualValues(t, 1, c.Resets())
	requireCached(t, c, "t/new")
	assert.Equal(t, clients+1+clients, c.targets)

	r.Unsubscribe("t/new", 0)
	require.Equal(t, clients, routeTo(t, c, "t/new").Len())
	assert.Equal(t, clients, c.targets)
	requireCached(t, c, "t/new")
}

// requireCached checks that the cache holds exactly these topics, and its counts.
func requireCached(t testing.TB, c *Cache, topics ...string) {
	t.Helper()
	bytes, targets := 0, 0
	held := map[*Route]int{}
	for _, topic := range topics {
		require.Contains(t, c.topics, topic)
		bytes += len(topic)
		c.topics[topic].each(func(r *Route) {
			if held[r]++; held[r] == 1 {
				targets += r.len
			}
		})
	}
	require.Len(t, c.topics, len(topics))
	require.Equal(t, bytes, c.bytes)
	require.Equal(t, targets, c.targets)
	require.Equal(t, held, c.held)
	require.Same(t, c.topics[c.last.topic], c.last, "the latest topic is always in the cache")
}

// The scratch space of a rebuild must not keep subscriptions alive that are gone.
func TestCacheScratchIsEmpty(t *testing.T) {
	r := routerOf("a:x/1", "b:x/+", "c:x/#", "d:+/1", "a:#")
	c := r.NewCache()
	require.Equal(t, "abcd", receivers(t, c, "x/1"))
	for _, e := range c.scratch.entries[:cap(c.scratch.entries)] {
		assert.Nil(t, e)
	}
	for _, p := range c.scratch.parts[:cap(c.scratch.parts)] {
		assert.Nil(t, p)
	}
	assert.Empty(t, c.scratch.seen)
	assert.Empty(t, c.scratch.merged)
}

// [MQTT-3.3.5-1] with parts of all sizes: whichever is the longest, each client stands once.
func TestUnionTakesTheHighestQoS(t *testing.T) {
	for longest := range 3 {
		t.Run(fmt.Sprintf("filter %d has the most", longest), func(t *testing.T) {
			r, m := New(), make(model)
			for i, filter := range []string{"a/b", "a/+", "+/b"} {
				clients := 20
				if i == longest {
					clients = 50
				}
				for id := range clients {
					s := Subscriber{uint64(id + 5*i), id % 4}
					s.Group = int(s.ID) % 4
					qos := codec.QoS((id + i) % 3)
					r.Subscribe(filter, s, qos)
					m.subscribe(filter, s, qos)
				}
			}
			assert.Equal(t, m.route("a/b"), targetsOf(t, routeTo(t, r.NewCache(), "a/b")))
		})
	}
}

func TestRouteOfAKnownTopicDoesNotAllocate(t *testing.T) {
	r := routerOf("a:a/b", "b:a/+", "c:#", "a:+/b", "d:x/+")
	c := r.NewCache()
	topics := [][]byte{[]byte("a/b"), []byte("a/c"), []byte("x/1"), []byte("x/1"), []byte("$SYS/a"), []byte("a/b")}
	publish := func() {
		for _, topic := range topics {
			_, _ = c.Route(topic)
		}
	}
	assert.Zero(t, testing.AllocsPerRun(100, publish))
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for _, topic := range topics {
			c.router.shardOfTopic(topic).epoch.Add(1) // as an unrelated change does
		}
		publish()
	}), "matched again, with the same parts")
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_, _ = c.Route(nil)
		_, _ = c.Route([]byte("a/+"))
	}), "refused")
}

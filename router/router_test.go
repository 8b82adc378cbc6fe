package router

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

func TestSubscribeReportsWhatIsNew(t *testing.T) {
	for _, filter := range []string{"a/b", "a/+", "+/b", "#", "a/#", "$SYS/a", "/"} {
		t.Run(filter, func(t *testing.T) {
			r := New()
			anna, ben := Subscriber{1, 0}, Subscriber{2, 1}
			assert.False(t, r.Unsubscribe(filter, anna.ID), "nobody is there")
			assert.True(t, r.Subscribe(filter, anna, codec.QoS0))
			assert.False(t, r.Subscribe(filter, anna, codec.QoS2), "an equal filter replaces [MQTT-3.8.4-3]")
			assert.True(t, r.Subscribe(filter, ben, codec.QoS0))
			assert.Equal(t, 2, r.Len())
			assert.False(t, r.Unsubscribe(filter+"x", anna.ID), "another filter [MQTT-3.10.4-1]")
			assert.False(t, r.Unsubscribe(filter, 3), "another client")
			assert.Equal(t, 2, r.Len())
			requireSound(t, r)
			assert.True(t, r.Unsubscribe(filter, anna.ID))
			assert.False(t, r.Unsubscribe(filter, anna.ID), "once is enough")
			assert.True(t, r.Unsubscribe(filter, ben.ID))
			requireEmpty(t, r)
		})
	}
}

// To end a subscription that does not exist must leave no node behind.
func TestUnsubscribeOfUnknownFiltersLeavesNothing(t *testing.T) {
	r := New()
	for _, filter := range []string{"a/+/b/+/c", "+/+/+", "a/b/c/#", "#", "+", "x/y"} {
		assert.False(t, r.Unsubscribe(filter, 1))
		requireEmpty(t, r)
	}
	r.Subscribe("a/+/b", Subscriber{1, 0}, codec.QoS0)
	for _, filter := range []string{"a/+", "a/+/#", "a/+/b/+", "a/+/b/#", "a/#"} {
		assert.False(t, r.Unsubscribe(filter, 1))
		requireSound(t, r)
	}
	assert.True(t, r.Unsubscribe("a/+/b", 1))
	requireEmpty(t, r)
}

// A change of loop: the client's new subscription takes the place of the old one.
func TestSubscribeMovesToAnotherGroup(t *testing.T) {
	r := New()
	c := r.NewCache()
	r.Subscribe("a/+", Subscriber{1, 0}, codec.QoS0)
	assert.Equal(t, 0, routeTo(t, c, "a/b").Group(0))
	assert.False(t, r.Subscribe("a/+", Subscriber{1, 3}, codec.QoS1))
	route := routeTo(t, c, "a/b")
	assert.Equal(t, 1, route.Groups())
	assert.Equal(t, []Target{{1, codec.QoS1}}, route.Targets(3))
}

// TestRandomSubscriptions compares the router with the model over a random history.
func TestRandomSubscriptions(t *testing.T) {
	for _, size := range []struct {
		name           string
		clients, depth int
		levels         []string
	}{
		{"few clients", 6, 4, []string{"", "a", "b", "$a"}},
		{"many clients of few filters", 60, 2, []string{"", "a", "$"}}, // past entryScanMax
	} {
		for _, seed := range seeds() {
			t.Run(fmt.Sprintf("%s, seed %d", size.name, seed), func(t *testing.T) {
				newHistory(t, seed, size.clients, alphabet{size.levels, size.depth, false}).run(600)
			})
		}
	}
}

// history is a run of random changes, applied to a router and to the model.
type history struct {
	t       *testing.T
	random  *rand.Rand
	router  *Router
	model   model
	warm    *Cache // lives as long as the router
	clients []Subscriber
	topics  []string // all there are
	filters alphabet
}

func newHistory(t *testing.T, seed uint64, clients int, topics alphabet) *history {
	h := &history{
		t:       t,
		random:  rand.New(rand.NewPCG(seed, 0)),
		router:  New(),
		model:   make(model),
		topics:  topics.all(),
		filters: alphabet{topics.levels, topics.depth, true},
	}
	h.warm = h.router.NewCache()
	for id := range clients {
		h.clients = append(h.clients, Subscriber{uint64(id), h.random.IntN(4)})
	}
	return h
}

func (h *history) run(steps int) {
	for step := range steps {
		h.step()
		require.Equal(h.t, h.model.len(), h.router.Len())
		for range 4 {
			topic := h.topics[h.random.IntN(len(h.topics))]
			h.compare(h.warm, topic)
			h.compare(h.router.NewCache(), topic)
		}
		if step%100 == 0 {
			h.compareAll()
		}
	}
	for i := range h.clients {
		h.leave(i)
	}
	require.Empty(h.t, h.model)
	requireEmpty(h.t, h.router)
	h.compareAll()
}

// step does one change, mostly small ones.
func (h *history) step() {
	i := h.random.IntN(len(h.clients))
	filter := h.filters.pick(h.random)
	switch dice := h.random.IntN(100); {
	case dice < 55:
		qos := codec.QoS(h.random.IntN(3))
		added := h.router.Subscribe(filter, h.clients[i], qos)
		require.Equal(h.t, h.model.subscribe(filter, h.clients[i], qos), added, "subscribe %d %s", i, filter)
	case dice < 75:
		if known := slices.Sorted(maps.Keys(h.model)); len(known) > 0 {
			filter = known[h.random.IntN(len(known))]
		}
		h.unsubscribe(filter, h.clients[i].ID)
	case dice < 97:
		h.unsubscribe(filter, h.clients[i].ID)
	default: // and comes back on any loop
		h.leave(i)
		h.clients[i].Group = h.random.IntN(4)
	}
}

func (h *history) unsubscribe(filter string, id uint64) {
	removed := h.router.Unsubscribe(filter, id)
	require.Equal(h.t, h.model.unsubscribe(filter, id), removed, "unsubscribe %d %s", id, filter)
}

func (h *history) leave(client int) {
	id := h.clients[client].ID
	for _, filter := range slices.Sorted(maps.Keys(h.model)) {
		if _, ok := h.model[filter][id]; ok {
			h.unsubscribe(filter, id)
		}
	}
}

func (h *history) compareAll() {
	requireSound(h.t, h.router)
	fresh := h.router.NewCache()
	for _, topic := range h.topics {
		h.compare(h.warm, topic)
		h.compare(fresh, topic)
	}
}

func (h *history) compare(c *Cache, topic string) {
	want, got := h.model.route(topic), targetsOf(h.t, routeTo(h.t, c, topic))
	if !maps.Equal(want, got) {
		require.Equal(h.t, want, got, "route to %s", topic)
	}
}

func routeTo(t testing.TB, c *Cache, topic string) *Route {
	t.Helper()
	route, err := c.Route([]byte(topic))
	require.NoError(t, err, topic)
	return route
}

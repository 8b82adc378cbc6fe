package router

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// This file holds what the tests share: the rules of section 4.7 stated a second time, level
// by level, and a model of the router that is obviously right and slow.

// matches reports whether filter matches topic.
func matches(filter, topic string) bool {
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false // [MQTT-4.7.2-1]
	}
	levels := strings.Split(topic, "/")
	wanted := strings.Split(filter, "/")
	for i, want := range wanted {
		switch {
		case want == "#": // any number of levels, none included
			return true
		case i == len(levels):
			return false
		case want != "+" && want != levels[i]:
			return false
		}
	}
	return len(wanted) == len(levels)
}

func TestModelMatches(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"sport/#", "sport", true}, {"sport/#", "sport/a/b", true}, {"sport/#", "sports", false},
		{"#", "a/b", true}, {"#", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true}, {"$SYS/#", "$SYS", true},
		{"+", "a", true}, {"+", "a/b", false}, {"+", "/a", false}, {"/+", "/a", true}, {"+/+", "/a", true},
		{"+/a", "$SYS/a", false}, {"a/+", "a/$b", true}, {"a/+", "a/", true}, {"a/+", "a", false},
		{"a/b", "a/b", true}, {"a/b", "a/B", false}, {"a/+/b/#", "a//b", true}, {"a/+/#", "a", false},
	} {
		require.Equal(t, c.want, matches(c.filter, c.topic), "%s on %s", c.filter, c.topic)
	}
}

// model is who subscribed to what: filter, then Subscriber.ID.
type model map[string]map[uint64]subscription

func (m model) subscribe(filter string, s Subscriber, qos codec.QoS) (added bool) {
	if m[filter] == nil {
		m[filter] = make(map[uint64]subscription)
	}
	_, known := m[filter][s.ID]
	m[filter][s.ID] = subscription{s, qos}
	return !known
}

func (m model) unsubscribe(filter string, id uint64) (removed bool) {
	_, removed = m[filter][id]
	if delete(m[filter], id); len(m[filter]) == 0 {
		delete(m, filter)
	}
	return removed
}

func (m model) len() (n int) {
	for _, subs := range m {
		n += len(subs)
	}
	return n
}

// route returns who gets a message to topic: each client once, at its highest QoS.
func (m model) route(topic string) map[uint64]subscription {
	all := make(map[uint64]subscription)
	for filter, subs := range m {
		if !matches(filter, topic) {
			continue
		}
		for id, s := range subs {
			s.qos = max(s.qos, all[id].qos)
			all[id] = s
		}
	}
	return all
}

// targetsOf reads all of a Route through its methods and checks its invariants.
func targetsOf(t testing.TB, r *Route) map[uint64]subscription {
	t.Helper()
	all := make(map[uint64]subscription, r.Len())
	deliveries := 0
	for i := range r.Groups() {
		group := r.Group(i)
		if i > 0 && r.Group(i-1) >= group || len(r.Targets(group)) == 0 {
			require.Fail(t, "groups are not in ascending order, or one is empty")
		}
		for _, target := range r.Targets(group) {
			all[target.ID] = subscription{Subscriber{target.ID, group}, target.QoS}
			deliveries++
		}
	}
	if deliveries != len(all) || deliveries != r.Len() {
		require.Fail(t, "a client stands in the route twice, or Len is wrong")
	}
	return all
}

// requireSound checks the structure behind r: no node without a purpose, no entry without a
// subscriber, counts that agree.
func requireSound(t testing.TB, r *Router) {
	t.Helper()
	total := 0
	for i := range r.shards {
		total += requireSoundShard(t, &r.shards[i])
	}
	total += requireSoundShard(t, &r.wild)
	require.Equal(t, r.Len(), total, "Len against subscriptions found")
}

func requireSoundShard(t testing.TB, s *shard) (subscriptions int) {
	t.Helper()
	check := func(e *entry, filter string) {
		if e == nil {
			return
		}
		require.NotEmpty(t, e.subs, "an entry without a subscriber: %s", filter)
		if e.where != nil {
			require.Len(t, e.where, len(e.subs))
		}
		for i := range e.subs {
			if at, ok := e.find(e.subs[i].ID); !ok || at != i {
				require.Fail(t, "a subscriber is not found where it is", filter)
			}
		}
		subscriptions += len(e.subs)
	}
	for filter, e := range s.exact {
		check(e, filter)
	}
	children := make(map[*node]int)
	edges := 0
	walkTrie(&s.wild, func(n *node, way string) {
		if n.parent != nil {
			children[n.parent]++
			if n.children == 0 && n.entry == nil && n.hash == nil {
				require.Fail(t, "a node without a purpose", way)
			}
			if n.parent.plus != n {
				edges++
			}
		}
		check(n.entry, strings.TrimSuffix(way, "/"))
		check(n.hash, way+"#")
	})
	walkTrie(&s.wild, func(n *node, way string) { require.Equal(t, children[n], n.children, way) })
	require.Len(t, s.wild.edges, edges, "edges that nothing leads to")
	return subscriptions
}

// walkTrie visits all nodes. The way to a node is its levels, each with a slash behind.
func walkTrie(t *trie, visit func(n *node, way string)) {
	type step struct {
		n   *node
		way string
	}
	below := make(map[*node][]*node)
	for e, n := range t.edges {
		below[e.parent] = append(below[e.parent], n)
	}
	steps := []step{{n: &t.root}}
	for len(steps) > 0 {
		s := steps[len(steps)-1]
		steps = steps[:len(steps)-1]
		visit(s.n, s.way)
		children := below[s.n]
		if s.n.plus != nil {
			children = append(children, s.n.plus)
		}
		for _, c := range children {
			steps = append(steps, step{c, s.way + c.level + "/"})
		}
	}
}

// requireEmpty checks that nothing is left of any subscription.
func requireEmpty(t testing.TB, r *Router) {
	t.Helper()
	require.Zero(t, r.Len())
	for i := range len(r.shards) + 1 {
		s := &r.wild
		if i < len(r.shards) {
			s = &r.shards[i]
		}
		require.Empty(t, s.exact)
		require.Empty(t, s.wild.edges)
		require.Equal(t, node{}, s.wild.root)
	}
}

// alphabet is what random topics and filters are made of: few levels, so that they meet.
type alphabet struct {
	levels    []string
	depth     int
	wildcards bool
}

func (a alphabet) pick(random *rand.Rand) string {
	for {
		levels := make([]string, 1+random.IntN(a.depth))
		for i := range levels {
			levels[i] = a.levels[random.IntN(len(a.levels))]
			if a.wildcards && random.IntN(3) == 0 {
				levels[i] = "+"
			}
		}
		if a.wildcards && random.IntN(4) == 0 {
			levels[len(levels)-1] = "#"
		}
		if s := strings.Join(levels, "/"); s != "" { // [MQTT-4.7.3-1]
			return s
		}
	}
}

// all returns every string of the alphabet, without wildcards.
func (a alphabet) all() (topics []string) {
	beginnings := a.levels
	for depth := 1; ; depth++ {
		for _, topic := range beginnings {
			if topic != "" {
				topics = append(topics, topic)
			}
		}
		if depth == a.depth {
			return topics
		}
		var next []string
		for _, b := range beginnings {
			for _, level := range a.levels {
				next = append(next, b+"/"+level)
			}
		}
		beginnings = next
	}
}

// seeds returns fixed seeds and a fresh one. The name of the subtest shows it: who sees it
// fail adds it to the list.
func seeds() []uint64 { return []uint64{1, 2, 3, 20_141_029, rand.Uint64()} }

package router

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// forks returns n filters of `depth` levels, each `a` or `+` by a bit of the filter's number:
// all match a/a/.../a, and a matcher that tries each way on its own walks 2^depth of them.
func forks(n, depth int) (filters []string) {
	for number := range n {
		levels := make([]string, depth)
		for i := range levels {
			levels[i] = "a"
			if number>>i&1 == 1 {
				levels[i] = "+"
			}
		}
		filters = append(filters, strings.Join(levels, "/"))
	}
	return filters
}

func TestForkingFilters(t *testing.T) {
	const n, depth = 10_000, 14
	topic := strings.Repeat("a/", depth-1) + "a"
	for _, clients := range []int{1, n} {
		t.Run(fmt.Sprintf("%d clients", clients), func(t *testing.T) {
			r := New()
			c := r.NewCache()
			filters := forks(n, depth)
			for i, filter := range filters {
				require.True(t, r.Subscribe(filter, Subscriber{uint64(i % clients), i % clients % 2}, codec.QoS(i%3)))
			}
			requireSound(t, r)
			assert.Equal(t, clients, routeTo(t, c, topic).Len())
			assert.Zero(t, routeTo(t, c, topic+"/a").Len())
			assert.Zero(t, routeTo(t, c, strings.TrimSuffix(topic, "/a")).Len())
			for i, filter := range filters {
				require.True(t, r.Unsubscribe(filter, uint64(i%clients)))
			}
			assert.Zero(t, routeTo(t, c, topic).Len())
			requireEmpty(t, r)
		})
	}
}

// Each node is reached at most once, so that the work is bounded by the nodes there are.
func TestMatchReachesEachNodeOnce(t *testing.T) {
	tree := newTrie()
	for _, filter := range forks(1<<10, 10) {
		for _, f := range []string{filter, filter + "/#"} {
			_, at := tree.entryAt(f)
			*at = new(entry)
		}
	}
	entries := tree.match([]byte(strings.Repeat("a/", 9)+"a"), nil, new(matchScratch))
	assert.Len(t, entries, 2<<10)
	seen := make(map[*entry]bool)
	for _, e := range entries {
		require.False(t, seen[e], "matched twice")
		seen[e] = true
	}
}

func TestDeepestFilters(t *testing.T) {
	const last = codec.MaxTopicLevels - 1
	slashes := strings.Repeat("/", last)
	pluses := strings.Repeat("+/", last)
	for _, c := range []struct {
		name, filter, topic string
		want                bool
	}{
		{"slashes", slashes, slashes, true},
		{"pluses", pluses + "+", slashes, true},
		{"pluses on words", pluses + "+", strings.Repeat("word/", last) + "word", true},
		{"pluses and a hash, with nothing for the hash", pluses + "#", strings.TrimSuffix(slashes, "/"), true},
		{"pluses and a hash", pluses + "#", slashes, true},
		{"pluses and a hash, one level short", pluses + "#", slashes[2:], false},
		{"one plus at the end", slashes + "+", slashes, true},
		{"one plus at the beginning", "+" + slashes, slashes, true},
		{"a hash behind the slashes", slashes + "#", slashes, true},
		{"one level too few", pluses + "+", strings.TrimSuffix(slashes, "/"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.NoError(t, codec.CheckTopicFilter([]byte(c.filter)))
			require.Equal(t, c.want, matches(c.filter, c.topic))
			r := New()
			r.Subscribe(c.filter, Subscriber{1, 0}, codec.QoS0)
			assert.Equal(t, c.want, routeTo(t, r.NewCache(), c.topic).Len() == 1)
			requireSound(t, r)
			r.Unsubscribe(c.filter, 1)
			requireEmpty(t, r)
		})
	}
}

// All prefixes of the deepest topic, each with `+` and `#` behind.
func TestDeepTopicOfManyFilters(t *testing.T) {
	slashes := strings.Repeat("/", codec.MaxTopicLevels-1)
	r := New()
	subscriptions := 0
	for n := range codec.MaxTopicLevels {
		for _, end := range []string{"", "+", "#"} {
			if filter := slashes[:n] + end; filter != "" {
				require.True(t, r.Subscribe(filter, Subscriber{uint64(subscriptions), 0}, codec.QoS0))
				subscriptions++
			}
		}
	}
	c := r.NewCache()
	assert.Equal(t, codec.MaxTopicLevels+2, routeTo(t, c, slashes).Len(), "all with a hash, the topic, a plus behind it")
	assert.Equal(t, subscriptions, r.Len())
	requireSound(t, r)
}

// A node may outlive the filter that made it, and must not keep all of it in memory.
func TestNodesCopyTheirLevel(t *testing.T) {
	r := New()
	filter := "dev/" + strings.Repeat("x", 4000) + "/+"
	r.Subscribe(filter, Subscriber{1, 0}, codec.QoS0)
	edges := r.shardOfFilter(filter).wild.edges
	assert.Len(t, edges, 2)
	for e, n := range edges {
		assert.Same(t, unsafe.StringData(e.level), unsafe.StringData(n.level), "one copy")
		offset := strings.Index(filter, e.level)
		assert.NotSame(t, unsafe.StringData(filter[offset:]), unsafe.StringData(e.level), "not the filter's bytes")
	}
}

func TestCutLevel(t *testing.T) {
	for _, c := range []struct {
		in, level, rest string
		more            bool
	}{
		{"a", "a", "", false}, {"a/b/c", "a", "b/c", true}, {"/", "", "", true}, {"", "", "", false}, {"/a", "", "a", true},
	} {
		level, rest, more := cutLevel([]byte(c.in))
		assert.Equal(t, c.level, string(level), c.in)
		assert.Equal(t, c.rest, string(rest), c.in)
		assert.Equal(t, c.more, more, c.in)
	}
}

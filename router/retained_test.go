package router

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// TestRandomRetained compares the store with a map and the naive matcher.
func TestRandomRetained(t *testing.T) {
	for _, seed := range seeds() {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			topics := alphabet{[]string{"", "a", "b", "$a"}, 4, false}
			filters := alphabet{topics.levels, topics.depth, true}
			r, model := newRetained(40, 1000), make(map[string]string)
			for step := range 1500 {
				topic := topics.pick(random)
				if random.IntN(3) == 0 {
					r.Clear(nil, []byte(topic))
					delete(model, topic)
				} else {
					packet := fmt.Sprintf("%s=%d%s", topic, step, strings.Repeat("x", random.IntN(50)))
					require.Equal(t, modelStore(model, topic, packet, 40, 1000), r.Store(nil, []byte(topic), []byte(packet)))
				}
				requireRetained(t, model, r, filters.pick(random))
				if step%50 == 0 {
					requireRetained(t, model, r, "#")
				}
			}
			for topic := range model {
				r.Clear(nil, []byte(topic))
			}
			requireNothingRetained(t, r)
		})
	}
}

// modelStore keeps the packet, unless that would pass a limit. The older one goes either way.
func modelStore(model map[string]string, topic, packet string, messagesMax, bytesMax int) bool {
	older, replaces := model[topic]
	delete(model, topic)
	smaller := replaces && len(packet) <= len(older)
	if !smaller && (len(model) >= messagesMax || modelBytes(model)+len(packet) > bytesMax) {
		return false
	}
	model[topic] = packet
	return true
}

// newRetained returns a store that counts the bytes of packets only.
func newRetained(messagesMax, bytesMax int) *Retained {
	r := NewRetained(messagesMax, bytesMax)
	r.nodeBytes = 0
	return r
}

// The tree counts as well: a topic of many levels cannot take more memory than the limit says.
func TestRetainedCountsItsTree(t *testing.T) {
	r := NewRetained(100, 20*topicNodeBytes)
	assert.True(t, r.Store(nil, []byte("a/b/c"), []byte("12345")))
	assert.Equal(t, 3*topicNodeBytes+5, r.Bytes())
	assert.True(t, r.Store(nil, []byte("a/b"), []byte("1")), "on the way of another")
	assert.Equal(t, 3*topicNodeBytes+6, r.Bytes())
	assert.True(t, r.Store(nil, []byte("a/b/d/e"), []byte("1")), "shares two levels")
	assert.Equal(t, 5*topicNodeBytes+7, r.Bytes())
	assert.False(t, r.Store(nil, []byte(strings.Repeat("/", 20)), []byte("1")), "too deep")
	for _, topic := range []string{"a/b/c", "a/b", "a/b/d/e"} {
		r.Clear(nil, []byte(topic))
	}
	requireNothingRetained(t, r)
}

// Who holds a message can tell that it was replaced or cleared, and holds its packet no longer.
func TestRetainedMessageThatIsGone(t *testing.T) {
	r := retainedOf(t, 9, 99, "a=1", "b=2", "c=3")
	a, b, c := matched(r, "a")[0], matched(r, "b")[0], matched(r, "c")[0]
	r.Store(nil, []byte("a"), []byte("4"))
	r.Clear(nil, []byte("b"))
	assert.Nil(t, a.Packet())
	assert.Nil(t, b.Packet())
	assert.Equal(t, "3", string(c.Packet()))
	assert.Equal(t, []string{"4"}, sortedPackets(matched(r, "a")))
}

func modelBytes(model map[string]string) (n int) {
	for _, packet := range model {
		n += len(packet)
	}
	return n
}

func requireRetained(t testing.TB, model map[string]string, r *Retained, filter string) {
	t.Helper()
	var want []string
	for topic, packet := range model {
		if matches(filter, topic) {
			want = append(want, packet)
		}
	}
	slices.Sort(want)
	if got := sortedPackets(matched(r, filter)); !slices.Equal(want, got) {
		require.Equal(t, want, got, "retained for %s", filter)
	}
	require.Equal(t, len(model), r.Len())
	require.Equal(t, modelBytes(model), r.Bytes())
}

// requireNothingRetained checks that no message, no node and no count is left.
func requireNothingRetained(t testing.TB, r *Retained) {
	t.Helper()
	require.Zero(t, r.Len())
	require.Zero(t, r.Bytes())
	for i := range r.shards {
		require.Empty(t, r.shards[i].edges)
		require.Equal(t, &topicNode{}, &r.shards[i].root)
	}
}

// matched returns the messages that match filter, found in several pieces.
func matched(r *Retained, filter string) (messages []*RetainedMessage) {
	c := r.Cursor(filter)
	for done := false; !done; {
		messages, done = c.Next(messages, 3)
	}
	return messages
}

// retainedOf stores what is written as "topic=packet".
func retainedOf(t testing.TB, messagesMax, bytesMax int, messages ...string) *Retained {
	t.Helper()
	r := newRetained(messagesMax, bytesMax)
	for _, m := range messages {
		topic, packet, _ := strings.Cut(m, "=")
		require.True(t, r.Store(nil, []byte(topic), []byte(packet)), m)
	}
	return r
}

func TestRetainedLimits(t *testing.T) {
	for _, c := range []struct {
		name                  string
		messagesMax, bytesMax int
		before                []string
		topic, packet         string
		stored                bool
		after                 []string // packets
	}{
		{"the last message that may be", 2, 99, []string{"a=1"}, "b", "2", true, []string{"1", "2"}},
		{"one message too many", 2, 99, []string{"a=1", "b=2"}, "c", "3", false, []string{"1", "2"}},
		{"a replacement when full", 2, 99, []string{"a=1", "b=2"}, "a", "333", true, []string{"2", "333"}},
		{"a deeper topic when full", 1, 99, []string{"a=1"}, "a/b", "2", false, []string{"1"}},
		{"a topic on the way of another when full", 1, 99, []string{"a/b=1"}, "a", "2", false, []string{"1"}},
		{"the last byte that may be", 9, 5, []string{"a=11"}, "b", "222", true, []string{"11", "222"}},
		{"one byte too many", 9, 5, []string{"a=11"}, "b", "2222", false, []string{"11"}},
		{"a larger replacement that fits", 9, 5, []string{"a=11", "b=22"}, "b", "333", true, []string{"11", "333"}},
		{"a larger replacement that does not", 9, 5, []string{"a=11", "b=22"}, "b", "3333", false, []string{"11"}},
		{"a smaller replacement when full", 9, 5, []string{"a=11", "b=222"}, "b", "3", true, []string{"11", "3"}},
		{"an equal replacement when full", 9, 5, []string{"a=11", "b=222"}, "b", "333", true, []string{"11", "333"}},
		{"nothing may be retained", 0, 99, nil, "a", "1", false, nil},
		{"no byte may be retained", 9, 0, nil, "a", "1", false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := retainedOf(t, c.messagesMax, c.bytesMax, c.before...)
			assert.Equal(t, c.stored, r.Store(nil, []byte(c.topic), []byte(c.packet)))
			assert.Equal(t, c.after, sortedPackets(matched(r, "#")))
			assert.Equal(t, len(c.after), r.Len())
			assert.Equal(t, len(strings.Join(c.after, "")), r.Bytes())
			for _, topic := range []string{"a", "b", "c", "a/b"} {
				r.Clear(nil, []byte(topic))
			}
			requireNothingRetained(t, r)
		})
	}
}

// At the limit of one thing the count of the other must not move.
func TestRetainedRefusalCountsNothing(t *testing.T) {
	r := retainedOf(t, 2, 10, "a=1", "b=2")
	for range 100 {
		assert.False(t, r.Store(nil, []byte("c"), []byte("3")), "too many messages")
		assert.False(t, r.Store(nil, []byte("d"), []byte("a packet of more than ten bytes")))
	}
	assert.Equal(t, 2, r.Len())
	assert.Equal(t, 2, r.Bytes())
	r.Clear(nil, []byte("a"))
	assert.True(t, r.Store(nil, []byte("c"), []byte("333")), "there is room again")
}

// Store keeps the packet, and of the topic nothing: it is lent for the call.
func TestStoreCopiesTheTopic(t *testing.T) {
	r := newRetained(9, 99)
	topic := []byte("a/b/c")
	require.True(t, r.Store(nil, topic, []byte("1")))
	for i := range topic {
		topic[i] = 'x'
	}
	assert.Len(t, matched(r, "a/b/c"), 1)
	assert.Empty(t, matched(r, "x/x/x"))
	r.Clear(nil, []byte("a/b/c"))
	requireNothingRetained(t, r)
}

// A topic as deep as may be, in every order of coming and going.
func TestRetainedDeepTopics(t *testing.T) {
	slashes := strings.Repeat("/", codec.MaxTopicLevels-1)
	r := newRetained(1000, 1<<20)
	for n := range codec.MaxTopicLevels - 1 {
		require.True(t, r.Store(nil, []byte(slashes[:n+1]), []byte("x")))
	}
	pluses := strings.Repeat("+/", codec.MaxTopicLevels-1) + "+"
	assert.Len(t, matched(r, "#"), codec.MaxTopicLevels-1)
	assert.Len(t, matched(r, pluses), 1)
	assert.Len(t, matched(r, pluses+"/+"), 0)
	assert.Len(t, matched(r, strings.Repeat("+/", codec.MaxTopicLevels-1)+"#"), 2, "the parent too")
	assert.Len(t, matched(r, "/"+strings.Repeat("+/", 60)+"#"), codec.MaxTopicLevels-60, "all with 61 levels or more")
	for n := codec.MaxTopicLevels - 2; n >= 0; n -= 2 {
		r.Clear(nil, []byte(slashes[:n+1]))
	}
	for n := range codec.MaxTopicLevels - 1 {
		r.Clear(nil, []byte(slashes[:n+1]))
	}
	requireNothingRetained(t, r)
}

// Each goroutine stores, replaces and clears topics of its own below shared parents; others
// read. A packet that is found is whole and belongs to its topic.
func TestRetainedConcurrently(t *testing.T) {
	const writers, topics, rounds = 4, 8, 60
	r := newRetained(writers*topics, 1<<20)
	var writing, reading sync.WaitGroup
	var done atomic.Bool
	for range 2 {
		reading.Go(func() {
			var messages []*RetainedMessage
			for !done.Load() {
				for _, filter := range []string{"#", "shared/#", "+/+/1", "shared/2/+"} {
					messages, _ = r.Cursor(filter).Next(messages[:0], 1<<20)
					for _, m := range messages {
						p := m.Packet()
						if p == nil {
							continue // replaced or cleared meanwhile
						}
						topic, text, _ := strings.Cut(string(p), "=")
						if !matches(filter, topic) || text != strings.Repeat(text[:1], len(text)) {
							t.Errorf("%s found %s", filter, p)
						}
					}
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 0))
			for i := range rounds * topics {
				topic := fmt.Appendf(nil, "shared/%d/%d", w, i%topics)
				text := bytes.Repeat([]byte{byte('a' + i%26)}, 1+random.IntN(50))
				if !r.Store(nil, topic, fmt.Appendf(nil, "%s=%s", topic, text)) {
					t.Error("refused below the limits")
				}
				if random.IntN(2) == 0 {
					r.Clear(nil, topic)
				}
			}
			for i := range topics {
				r.Clear(nil, fmt.Appendf(nil, "shared/%d/%d", w, i))
			}
		})
	}
	writing.Wait()
	done.Store(true)
	reading.Wait()
	requireNothingRetained(t, r)
}

// A message that does not fit must not make one refused that does: it never counts, not even
// for a moment.
func TestRetainedRefusalDisturbsNobody(t *testing.T) {
	r := newRetained(10, 100)
	small, large := make([]byte, 50), make([]byte, 101)
	var refused, stored sync.WaitGroup
	var done atomic.Bool
	for w := range 2 {
		refused.Go(func() {
			for topic := fmt.Appendf(nil, "large/%d", w); !done.Load(); {
				if r.Store(nil, topic, large) {
					t.Error("stored past the limit")
				}
			}
		})
		stored.Go(func() {
			topic := fmt.Appendf(nil, "small/%d", w)
			for range 50_000 {
				if !r.Store(nil, topic, small) {
					t.Error("refused below the limit")
					break
				}
				r.Clear(nil, topic)
			}
		})
	}
	stored.Wait()
	done.Store(true)
	refused.Wait()
	requireNothingRetained(t, r)
}

// All goroutines together fill the store to its limit exactly.
func TestRetainedFillsToTheLimit(t *testing.T) {
	r := newRetained(100, 1<<20)
	var stored atomic.Int64
	var wait sync.WaitGroup
	for w := range 4 {
		wait.Go(func() {
			for i := range 60 {
				if r.Store(nil, fmt.Appendf(nil, "%d/%d", i, w), []byte("x")) {
					stored.Add(1)
				}
			}
		})
	}
	wait.Wait()
	assert.EqualValues(t, 100, stored.Load())
	assert.Equal(t, 100, r.Len())
	assert.Equal(t, 100, r.Bytes())
	assert.Len(t, matched(r, "#"), 100)
}

// The tree is walked in any state, so that a list of children that lost a member shows.
func TestRetainedSiblings(t *testing.T) {
	for _, order := range [][]string{
		{"a/1", "a/2", "a/3"}, {"a/3", "a/2", "a/1"}, {"a/2", "a/1", "a/3"}, {"a/2", "a/3", "a/1"},
	} {
		r := retainedOf(t, 9, 99, "a/1=1", "a/2=2", "a/3=3")
		left := map[string]string{"a/1": "1", "a/2": "2", "a/3": "3"}
		for _, topic := range order {
			r.Clear(nil, []byte(topic))
			delete(left, topic)
			assert.Equal(t, slices.Sorted(maps.Values(left)), sortedPackets(matched(r, "a/+")), "%v", order)
		}
		requireNothingRetained(t, r)
	}
}

// Who is told of packets that are dropped is told of each once, whether it was replaced, cleared or refused its place.
func TestRetainedTellsWhatItDrops(t *testing.T) {
	var dropped []string
	r := NewRetained(10, 2000)
	r.Dropped = func(packet []byte) { dropped = append(dropped, string(packet)) }
	store := func(topic, packet string) bool { return r.Store(nil, []byte(topic), []byte(packet)) }
	require.True(t, store("a", "one"))
	require.True(t, store("b", "other"))
	require.Empty(t, dropped)
	require.True(t, store("a", "two"))
	require.Equal(t, []string{"one"}, dropped)
	require.False(t, store("a", strings.Repeat("x", 2000)))
	require.Equal(t, []string{"one", "two"}, dropped)
	r.Clear(nil, []byte("b"))
	r.Clear(nil, []byte("b"))
	require.Equal(t, []string{"one", "two", "other"}, dropped)
}

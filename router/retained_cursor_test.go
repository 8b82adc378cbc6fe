package router

import (
	"fmt"
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

// walker is a cursor and what the naive matcher says about it.
type walker struct {
	cursor *Cursor
	filter string
	stored map[string]string // topic -> packet, of what matched when the cursor was made
	got    map[string]bool   // packets
}

func newWalker(r *Retained, model map[string]string, filter string) *walker {
	w := &walker{cursor: r.Cursor(filter), filter: filter, stored: make(map[string]string), got: make(map[string]bool)}
	for topic, packet := range model {
		if matches(filter, topic) {
			w.stored[topic] = packet
		}
	}
	return w
}

// step takes a piece. All of it must have been there from the beginning, and still be there.
func (w *walker) step(t *testing.T, model map[string]string, nodes int) (done bool) {
	t.Helper()
	page, done := w.cursor.Next(nil, nodes)
	require.LessOrEqual(t, len(page), nodes)
	for _, m := range page {
		packet := string(m.Packet())
		topic, _, _ := strings.Cut(packet, "=")
		require.Equal(t, model[topic], packet, "%s found what is not retained", w.filter)
		require.Equal(t, w.stored[topic], packet, "%s found what is newer, or does not match", w.filter)
		require.False(t, w.got[packet], "%s found %s twice", w.filter, packet)
		w.got[packet] = true
	}
	return done
}

// end checks that the cursor has found all that was there all the time.
func (w *walker) end(t *testing.T, model map[string]string) {
	t.Helper()
	for topic, packet := range w.stored {
		if model[topic] == packet {
			require.True(t, w.got[packet], "%s did not find %s", w.filter, packet)
		}
	}
	page, done := w.cursor.Next(nil, 100)
	require.True(t, done && len(page) == 0)
}

// Cursors of random filters go through random trees in pieces of random size, while topics are stored,
// replaced and cleared.
func TestRandomCursors(t *testing.T) {
	for _, seed := range seeds() {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			topics := alphabet{[]string{"", "a", "b", "c", "$a"}, 4, false}
			filters := alphabet{topics.levels, 5, true}
			r, model := NewRetained(1000, 1<<20), make(map[string]string)
			var walkers []*walker
			var finished int
			for step := range 4000 {
				topic := topics.pick(random)
				switch n := random.IntN(10); {
				case n < 3:
					r.Clear(nil, []byte(topic))
					delete(model, topic)
				case n < 6 && step%1000 < 500: // grows at first, shrinks later
					model[topic] = fmt.Sprintf("%s=%d", topic, step)
					require.True(t, r.Store(nil, []byte(topic), []byte(model[topic])))
				case n < 7 && len(walkers) < 5:
					walkers = append(walkers, newWalker(r, model, filters.pick(random)))
				case len(walkers) > 0:
					i := random.IntN(len(walkers))
					w := walkers[i]
					done := w.step(t, model, 1+random.IntN(1+random.IntN(30)))
					if done {
						w.end(t, model)
						finished++
					}
					if done || random.IntN(20) == 0 {
						w.cursor.Close()
						walkers = slices.Delete(walkers, i, i+1)
					}
				}
				if len(walkers) == 0 {
					requireLikeFresh(t, model, r)
				}
			}
			assert.NotZero(t, finished)
			for _, w := range walkers {
				w.cursor.Close()
				page, done := w.cursor.Next(nil, 100)
				require.True(t, done && len(page) == 0, "closed")
				w.cursor.Close()
			}
			requireLikeFresh(t, model, r)
			for topic := range model {
				r.Clear(nil, []byte(topic))
			}
			requireNothingRetained(t, r)
		})
	}
}

// requireLikeFresh checks that the store holds no more than one into which nothing but the model's
// messages ever went.
func requireLikeFresh(t *testing.T, model map[string]string, r *Retained) {
	t.Helper()
	fresh := NewRetained(1000, 1<<20)
	for topic, packet := range model {
		require.True(t, fresh.Store(nil, []byte(topic), []byte(packet)))
	}
	require.Equal(t, fresh.Bytes(), r.Bytes())
	require.Equal(t, fresh.Len(), r.Len())
	require.Equal(t, nodes(fresh), nodes(r))
}

func nodes(r *Retained) (n int) {
	for i := range r.shards {
		n += len(r.shards[i].edges)
	}
	return n
}

// Every filter of a small alphabet on every topic of it, one node at a time.
func TestCursorAgreesWithTheModel(t *testing.T) {
	topics := alphabet{[]string{"", "a", "$a"}, 3, false}.all()
	r := NewRetained(1000, 1<<20)
	for _, topic := range topics {
		require.True(t, r.Store(nil, []byte(topic), []byte(topic)))
	}
	levels := []string{"", "a", "$a", "b", "+", "#"}
	filters := slices.Clone(levels[1:])
	for range 3 {
		for _, begin := range slices.Clone(filters) {
			for _, level := range levels {
				if !strings.HasSuffix(begin, "#") {
					filters = append(filters, begin+"/"+level)
				}
			}
		}
		slices.Sort(filters)
		filters = slices.Compact(filters)
	}
	for _, filter := range filters {
		if codec.CheckTopicFilter([]byte(filter)) != nil {
			continue
		}
		var want, got []string
		for _, topic := range topics {
			if matches(filter, topic) {
				want = append(want, topic)
			}
		}
		c := r.Cursor(filter)
		for done := false; !done; {
			var page []*RetainedMessage
			page, done = c.Next(nil, 1)
			got = append(got, sortedPackets(page)...)
		}
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, want, got, filter)
	}
}

// The work of a call is bounded also where nothing matches, by what is hidden and by what only begins
// as the filter does.
func TestCursorStopsWhereNothingMatches(t *testing.T) {
	for _, c := range []struct{ name, topic, filter string }{
		{"hidden from wildcards", "$%d", "#"},
		{"hidden with what is below", "$%d/a/b", "+/+/b"},
		{"another last level", "a/%d/b", "a/+/c"},
		{"one level too many", "a/%d/b", "a/+"},
		{"one level too few", "a/%d", "a/+/+"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewRetained(1000, 1<<20)
			storeNumbered(r, c.topic, 1000)
			cursor := r.Cursor(c.filter)
			for range 9 {
				page, done := cursor.Next(nil, 100)
				require.False(t, done)
				require.Empty(t, page)
			}
			page, done := cursor.Next(nil, 1000)
			require.True(t, done)
			require.Empty(t, page)
		})
	}
}

func TestCursorAppends(t *testing.T) {
	r := retainedOf(t, 9, 99, "a=1", "b=2")
	before := matched(r, "b")
	got, done := r.Cursor("a").Next(before, 10)
	assert.True(t, done)
	assert.Equal(t, []string{"1", "2"}, sortedPackets(got))
	c := r.Cursor("#")
	got, done = c.Next(before, 0)
	assert.False(t, done)
	assert.Equal(t, before, got)
}

// A filter without wildcards takes one step per level, however many topics there are.
func TestCursorOfALiteralFilter(t *testing.T) {
	r := NewRetained(1000, 1<<20)
	storeNumbered(r, "a/%d/b", 100)
	page, done := r.Cursor("a/7/b").Next(nil, 4) // the root, `a`, `7` and `b`
	assert.True(t, done)
	assert.Len(t, page, 1)
	page, done = r.Cursor("a/x/b").Next(nil, 2)
	assert.True(t, done)
	assert.Empty(t, page)
}

// The place of a cursor stays when all goes, the cursor finds its way on, and the place goes with it.
func TestCursorKeepsItsPlace(t *testing.T) {
	for _, leave := range []struct {
		name string
		how  func(c *Cursor)
	}{
		{"closed", (*Cursor).Close},
		{"walked to the end", func(c *Cursor) { c.Next(nil, 1000) }},
	} {
		t.Run(leave.name, func(t *testing.T) {
			r := NewRetained(1000, 1<<20)
			storeNumbered(r, "a/b/%d/c", 10)
			first, second := r.Cursor("a/#"), r.Cursor("a/b/+/c")
			page, _ := first.Next(nil, 9)
			require.Len(t, page, 3)
			page, _ = second.Next(nil, 9)
			require.Len(t, page, 3)
			for i := range 10 {
				r.Clear(nil, fmt.Appendf(nil, "a/b/%d/c", i))
			}
			assert.Zero(t, r.Len())
			assert.NotZero(t, r.Bytes(), "what leads to a place counts")
			require.True(t, r.Store(nil, []byte("a/b/6/c"), []byte("new")))
			r.Clear(nil, []byte("a/b/6/c"))
			leave.how(first)
			assert.NotZero(t, r.Bytes(), "the other is still there")
			leave.how(second)
			requireNothingRetained(t, r)
		})
	}
}

// Cursors walk while others store and clear: what nobody touches is found exactly once, and nothing is
// left in the end.
func TestCursorsConcurrently(t *testing.T) {
	const untouched, writers, topics, rounds = 50, 3, 20, 100
	r := NewRetained(1000, 1<<20)
	for i := range untouched {
		require.True(t, r.Store(nil, fmt.Appendf(nil, "shared/%d/kept", i), []byte("kept")))
	}
	var writing, walking sync.WaitGroup
	var stop atomic.Bool
	for w := range writers {
		writing.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for range rounds * topics {
				topic := fmt.Appendf(nil, "shared/%d/%d", random.IntN(untouched+topics), w)
				if random.IntN(2) == 0 {
					r.Clear(nil, topic)
				} else if !r.Store(nil, topic, []byte("changes")) {
					t.Error("refused below the limits")
				}
			}
			for i := range untouched + topics {
				r.Clear(nil, fmt.Appendf(nil, "shared/%d/%d", i, w))
			}
		})
	}
	for w := range 3 {
		walking.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 2))
			for !stop.Load() {
				filter := []string{"#", "shared/+/+", "shared/#", "+/+/kept"}[random.IntN(4)]
				c, kept := r.Cursor(filter), make(map[*RetainedMessage]int)
				for done := false; !done; {
					var page []*RetainedMessage
					page, done = c.Next(nil, 1+random.IntN(20))
					for _, m := range page {
						if string(m.Packet()) == "kept" {
							kept[m]++
						}
					}
					if random.IntN(100) == 0 {
						break // given up on the way
					}
					if done && len(kept) != untouched {
						t.Errorf("%s found %d of %d", filter, len(kept), untouched)
					}
				}
				c.Close()
				for _, times := range kept {
					if times != 1 {
						t.Errorf("%s found a message %d times", filter, times)
					}
				}
			}
		})
	}
	writing.Wait()
	stop.Store(true)
	walking.Wait()
	for i := range untouched {
		r.Clear(nil, fmt.Appendf(nil, "shared/%d/kept", i))
	}
	requireNothingRetained(t, r)
}

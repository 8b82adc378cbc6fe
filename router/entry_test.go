package router

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// An entry grows past the length at which it gets a map, and shrinks again.
func TestRandomEntry(t *testing.T) {
	for _, seed := range seeds() {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			var e entry
			want := make(map[uint64]subscription)
			for step := range 2000 {
				s := subscription{Subscriber{random.Uint64N(3 * entryScanMax), random.IntN(3)}, codec.QoS(random.IntN(3))}
				_, known := want[s.ID]
				grows := step/200%2 == 0
				if grows == (random.IntN(4) > 0) {
					require.Equal(t, !known, e.put(s.Subscriber, s.qos))
					want[s.ID] = s
				} else {
					require.Equal(t, known, e.remove(s.ID))
					delete(want, s.ID)
				}
				if got := targetsOf(t, e.compile()); !maps.Equal(want, got) {
					require.Equal(t, want, got)
				}
				if e.where != nil {
					require.Len(t, e.where, len(want))
				}
			}
			assert.NotNil(t, e.where, "it grew past entryScanMax")
		})
	}
}

func TestEntryKeepsItsRouteUntilAChange(t *testing.T) {
	var e entry
	e.put(Subscriber{1, 0}, codec.QoS0)
	route := e.compile()
	assert.Same(t, route, e.compile())
	assert.False(t, e.remove(2))
	assert.Same(t, route, e.compile(), "nothing was removed")
	e.put(Subscriber{1, 0}, codec.QoS1)
	assert.NotSame(t, route, e.compile())
	assert.Equal(t, codec.QoS0, route.Targets(0)[0].QoS, "the route handed out before does not change")
}

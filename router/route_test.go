package router

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"mqttd/codec"
)

func TestRouteListsGroupsInOrder(t *testing.T) {
	subscribers := []Subscriber{{1, 5}, {2, 0}, {3, 5}, {4, 2}}
	r := buildRoute(len(subscribers), func(yield func(int, Target)) {
		for _, s := range subscribers {
			yield(s.Group, Target{ID: s.ID})
		}
	})
	assert.Equal(t, 4, r.Len())
	assert.Equal(t, 3, r.Groups())
	assert.Equal(t, []int{0, 2, 5}, []int{r.Group(0), r.Group(1), r.Group(2)})
	assert.Equal(t, []Target{{ID: 1}, {ID: 3}}, r.Targets(5))
	assert.Nil(t, r.Targets(1))
	assert.Nil(t, r.Targets(6))

	// One group's list cannot grow into the next one's.
	_ = append(r.Targets(0), Target{ID: 9})
	assert.Equal(t, []Target{{ID: 4}}, r.Targets(2))
	assert.Same(t, emptyRoute, buildRoute(0, nil))
}

// routeOf returns the route of deliveries with the QoS given, each to the group of its index modulo groups.
func routeOf(groups int, granted ...codec.QoS) *Route {
	return buildRoute(len(granted), func(yield func(int, Target)) {
		for i, qos := range granted {
			yield(i%groups, Target{ID: uint64(i) + 1, QoS: qos})
		}
	})
}

func TestRouteInTwoParts(t *testing.T) {
	above, rest := routeOf(2, 0, 1, 2, 0, 0).Part()
	assert.Equal(t, []Target{{ID: 3, QoS: 2}, {ID: 2, QoS: 1}}, above, "of all groups")
	assert.Equal(t, 3, rest.Len())
	assert.Equal(t, []Target{{ID: 1}, {ID: 5}}, rest.Targets(0))
	assert.Equal(t, []Target{{ID: 4}}, rest.Targets(1))

	above, rest = routeOf(2, 1, 0, 2, 0).Part()
	assert.Len(t, above, 2)
	assert.Equal(t, 1, rest.Groups(), "no group is empty")
	assert.Equal(t, 1, rest.Group(0))

	above, rest = routeOf(3, 1, 2, 1).Part()
	assert.Len(t, above, 3)
	assert.Same(t, emptyRoute, rest)

	all := routeOf(2, 0, 0, 0)
	above, rest = all.Part()
	assert.Empty(t, above)
	assert.Same(t, all, rest, "nothing is built for it")

	above, rest = emptyRoute.Part()
	assert.Empty(t, above)
	assert.Same(t, emptyRoute, rest)
}

// The parts are worked out once, and the one for QoS 0 is in one part itself.
func TestRouteIsPartedOnce(t *testing.T) {
	r := routeOf(2, 0, 1, 2, 0)
	above, rest := r.Part()
	assert.Zero(t, testing.AllocsPerRun(100, func() { r.Part() }))
	again, restAgain := r.Part()
	assert.Same(t, &above[0], &again[0])
	assert.Same(t, rest, restAgain)
	none, same := rest.Part()
	assert.Empty(t, none)
	assert.Same(t, rest, same)
	assert.Equal(t, 4, r.Len(), "the route is as it was")
	assert.Equal(t, []Target{{ID: 1}, {ID: 3, QoS: 2}}, r.Targets(0))
}

// Several loops may ask for the parts of a route they share at the same time.
func TestRoutePartsConcurrently(t *testing.T) {
	for range 100 {
		r := routeOf(4, 0, 1, 2, 0, 1, 2, 0, 0)
		var working sync.WaitGroup
		for range 4 {
			working.Go(func() {
				if above, rest := r.Part(); len(above) != 4 || rest.Len() != 4 {
					t.Errorf("%d above QoS 0, %d at it", len(above), rest.Len())
				}
			})
		}
		working.Wait()
	}
}

// Whatever the route, each delivery is in one of its parts, in the order it had.
func TestRandomRouteParts(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			groups := 1 + random.IntN(5)
			granted := make([]codec.QoS, random.IntN(40))
			for i := range granted {
				granted[i] = codec.QoS(random.IntN(3))
			}
			r := routeOf(groups, granted...)
			above, rest := r.Part()
			assert.Equal(t, r.Len(), len(above)+rest.Len())
			var wantAbove []Target
			for group := range groups {
				var wantRest []Target
				for _, target := range r.Targets(group) {
					if target.QoS > codec.QoS0 {
						wantAbove = append(wantAbove, target)
					} else {
						wantRest = append(wantRest, target)
					}
				}
				assert.Equal(t, wantRest, rest.Targets(group))
			}
			assert.Equal(t, wantAbove, above)
		})
	}
}

package router

import (
	"testing"

	"github.com/stretchr/testify/assert"
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

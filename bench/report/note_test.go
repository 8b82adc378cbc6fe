package report

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"mqttd/bench/compare"
)

func TestWarningsThatDifferInNumbersAreOne(t *testing.T) {
	c := madeUp()
	floor := entries(c, &c.Scenarios[0])[0]
	found := floor.warnings()
	if assert.Len(t, found, 1) {
		assert.Equal(t, "2 of 3 runs, the first: the generator was saturated (its thread was 97 % busy): the broker may be faster than this", found[0].text)
		assert.True(t, found[0].touches(compare.Deliveries))
		assert.False(t, found[0].touches(compare.ResidentMiB))
	}
}

func TestAWarningThatIsNotKnownTouchesEverything(t *testing.T) {
	n := note{keys: touched("the moon was full")}
	assert.True(t, n.touches(compare.ResidentMiB))
	assert.True(t, n.touches(compare.Lost))
}

func TestOnlyASoleWinnerIsBest(t *testing.T) {
	c := madeUp()
	all := entries(c, &c.Scenarios[0])
	assert.Equal(t, 1, best(all, compare.Deliveries), "mqttd: the floor does not compete")
	assert.Equal(t, -1, best(all, compare.Lost), "several lost nothing")
	latency := entries(c, &c.Scenarios[5])
	assert.Equal(t, -1, best(latency, compare.Deliveries), "all but one read 100,000")
}

func TestEveryPeerWithoutFiguresHasAReason(t *testing.T) {
	c := madeUp()
	all := entries(c, &c.Scenarios[0])
	assert.Equal(t, "unable: has no wildcards "+hostile, all[5].absent)
	assert.Contains(t, all[6].absent, "failed in round 2: "+hostile)
	assert.Equal(t, "did not take part", absence(c, nil))
	assert.Equal(t, "not played", absence(c, &compare.Cell{}))
	c.Interrupted = true
	assert.Contains(t, absence(c, &compare.Cell{}), "interrupted")
}

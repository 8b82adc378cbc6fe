package reactor

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPatience(t *testing.T) {
	assert.EqualValues(t, 0, keepAlivePatience(0), "no Keep Alive")
	assert.EqualValues(t, 3, keepAlivePatience(1), "1.5 s fill two ticks, begun in a third")
	assert.EqualValues(t, 91, keepAlivePatience(60))
	assert.EqualValues(t, 98304, keepAlivePatience(65535))
}

// Random connections are heard of, closed and given new patience; the wheel reports each of them
// at exactly the tick that a naive look at all of them does.
func TestWheelAgreesWithNaiveClock(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := wheel{now: ^uint32(0) - 500} // the tick wraps around on the way
	live := map[*conn]bool{}
	for range 3000 {
		for range random.IntN(3) {
			c := &conn{seenTick: w.now, patienceTicks: random.Uint32N(400)}
			w.file(c)
			live[c] = true
		}
		for c := range live {
			switch random.IntN(400) {
			case 0:
				c.seenTick = w.now
			case 1:
				w.remove(c)
				delete(live, c)
			case 2:
				w.refile(c, random.Uint32N(300))
			}
		}
		expected := map[*conn]bool{}
		for c := range live {
			if c.patienceTicks > 0 && c.seenTick+c.patienceTicks == w.now+1 {
				expected[c] = true
			}
		}
		reported := map[*conn]bool{}
		w.advance(func(c *conn) {
			reported[c] = true
			w.remove(c)
			delete(live, c)
		})
		require.Equal(t, len(expected), len(reported))
		for c := range expected {
			require.True(t, reported[c])
		}
		seen := 0
		w.each(func(c *conn) { require.True(t, live[c]); seen++ })
		require.Equal(t, len(live), seen)
		require.Equal(t, len(live), w.size)
	}
}

package report

import (
	"math"

	"mqttd/bench"
)

// curve is the distribution of one run's latency.
type curve struct {
	Peer  int       `json:"peer"`  // index in Comparison.Peers
	Nines []rounded `json:"nines"` // see nines
	Ms    []rounded `json:"ms"`
}

// nineMax is where the largest latency stands, which belongs to no percentile.
const nineMax = 6

// nines is the place of a percentile: 90 % is at 1, 99 % at 2, 99.9 % at 3.
func nines(percent float64) float64 {
	if percent >= 100 {
		return nineMax
	}
	return -math.Log10(1 - percent/100)
}

// newCurve leaves out the percentiles beyond which there is less than one delivery: they would
// repeat the largest.
func newCurve(index int, l bench.Latency) curve {
	c := curve{Peer: index}
	for _, p := range l.Percentiles {
		beyond := float64(l.Count) * (1 - p.Percent/100)
		if p.Percent < 100 && beyond < 1-1e-9 {
			continue
		}
		c.Nines = append(c.Nines, rounded(nines(p.Percent)))
		c.Ms = append(c.Ms, rounded(max(float64(p.Ns), 1)/1e6))
	}
	return c
}

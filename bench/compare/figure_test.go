package compare

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench"
)

func cellOf(deliveriesPerSecond ...float64) Cell {
	var c Cell
	for _, rate := range deliveriesPerSecond {
		c.Runs = append(c.Runs, bench.Result{Throughput: bench.Rates{Deliveries: 1, DeliveriesPerSecond: rate}})
	}
	return c
}

func TestMedianRangeAndTypicalRun(t *testing.T) {
	tests := map[string]struct {
		rates                        []float64
		median, least, most, typical float64
	}{
		"one":   {[]float64{5}, 5, 5, 5, 5},
		"two":   {[]float64{9, 5}, 7, 5, 9, 5},
		"three": {[]float64{9, 1, 5}, 5, 1, 9, 5},
		"four":  {[]float64{9, 1, 5, 7}, 6, 1, 9, 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := cellOf(test.rates...)
			median, ok := c.Median(Deliveries)
			assert.True(t, ok)
			assert.InDelta(t, test.median, median, 1e-9)
			least, most, ok := c.Range(Deliveries)
			assert.True(t, ok)
			assert.InDelta(t, test.least, least, 1e-9)
			assert.InDelta(t, test.most, most, 1e-9)
			typical := c.Typical(Deliveries)
			require.NotNil(t, typical)
			assert.InDelta(t, test.typical, typical.Throughput.DeliveriesPerSecond, 1e-9)
			assert.InDelta(t, test.rates[0], c.Runs[0].Throughput.DeliveriesPerSecond, 1e-9, "the order of the runs stays")
		})
	}
}

// A figure that a run does not have is no zero.
func TestFiguresThatARunDoesNotHave(t *testing.T) {
	for _, f := range []Figure{Deliveries, CPUPerMillion, LatencyP50, LatencyP99, Lost, CPUPercent, ResidentMiB, ConnectsPerSecond, CPUPerConnect, BytesPerConnection} {
		c := Cell{Runs: []bench.Result{{}}}
		_, ok := c.Median(f)
		assert.False(t, ok, f.Key)
		assert.Nil(t, c.Typical(f), f.Key)
	}
}

func TestEveryScenarioHasFigures(t *testing.T) {
	first := map[bench.About]string{
		bench.AboutRest: "cpu_percent", bench.AboutThroughput: "deliveries_per_second", bench.AboutLatency: "cpu_seconds_per_million",
		bench.AboutMemory: "bytes_per_connection", bench.AboutConnections: "connects_per_second",
	}
	for _, s := range bench.Scenarios() {
		scenario := NewScenario(s, s.Config())
		require.NoError(t, s.Config().Validate(), s.Name)
		assert.Equal(t, first[s.About], scenario.Figures()[0].Key, s.Name)
	}
}

func TestATitleDoesNotClaimNumbersThatFlagsChanged(t *testing.T) {
	s, err := bench.FindScenario("pairs-50")
	require.NoError(t, err)
	c := s.Config()
	c.Duration *= 2
	assert.Equal(t, s.Title, NewScenario(s, c).Title)
	c.Publishers++
	assert.Contains(t, NewScenario(s, c).Title, "with numbers of its own instead of: ")
}

package soak

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench"
)

// faultless is a soak that passes, at the edge of its margins.
func faultless() *Soak {
	s := &Soak{Share: 0.7, Margins: DefaultMargins(), Config: bench.Config{RatePerSecond: 100}, Run: &bench.Result{
		Throughput: bench.Rates{Seconds: 60, Messages: 6000, MessagesPerSecond: 100},
	}}
	for range parts {
		s.Sixths = append(s.Sixths, Sixth{
			Seconds: 10, BrokerResidentBytesMax: 100 << 20, BrokerDescriptorsMin: 2010,
			Latency: bench.Latency{Count: 1, P99Ns: 4e6},
		})
	}
	last := &s.Sixths[parts-1]
	last.BrokerResidentBytesMax, last.Latency.P99Ns = 118<<20, 7e6
	return s
}

func TestADisturbedPeakIsSaid(t *testing.T) {
	for others, said := range map[float64]bool{0.19: false, 0.21: true} {
		s := faultless()
		s.Peak.Samples = []bench.Sample{
			{Phase: "warm-up", Seconds: 1, OthersCPUSeconds: 2},
			{Phase: bench.PhaseMeasure, Seconds: 1, OthersCPUSeconds: others},
		}
		var text strings.Builder
		require.NoError(t, s.WriteTable(&text))
		assert.Equal(t, said, strings.Contains(text.String(), "WARNING: meanwhile other programs used 21 % of a core"), text.String())
	}
}

func TestVerdict(t *testing.T) {
	tests := map[string]struct {
		change func(s *Soak, last *Sixth)
		unmet  string // a demand, or "" for none
	}{
		"at the edge of the margins":             {func(*Soak, *Sixth) {}, ""},
		"the first sixth is not judged":          {func(s *Soak, _ *Sixth) { s.Sixths[0] = Sixth{} }, ""},
		"the rate was not reached":               {func(s *Soak, _ *Sixth) { s.Run.Throughput.Messages = 5900 }, "load"},
		"messages could not be sent":             {func(s *Soak, _ *Sixth) { s.Run.Deliveries.MessagesUnsent = 1 }, "load"},
		"the generator was saturated":            {func(s *Soak, _ *Sixth) { s.Run.Saturated = true }, "load"},
		"one loss":                               {func(s *Soak, _ *Sixth) { s.Run.Deliveries.Lost = 1 }, "no loss"},
		"one duplicate":                          {func(s *Soak, _ *Sixth) { s.Run.Deliveries.Duplicated = 1 }, "no duplicate"},
		"one out of order":                       {func(s *Soak, _ *Sixth) { s.Run.Deliveries.OutOfOrder = 1 }, "no disorder"},
		"one that was not sent":                  {func(s *Soak, _ *Sixth) { s.Run.Deliveries.Unexpected = 1 }, "nothing unexpected"},
		"memory beyond the margin":               {func(_ *Soak, l *Sixth) { l.BrokerResidentBytesMax++ }, "memory"},
		"memory is not known":                    {func(_ *Soak, l *Sixth) { l.BrokerResidentBytesMax = 0 }, "memory"},
		"one descriptor more":                    {func(_ *Soak, l *Sixth) { l.BrokerDescriptorsMin++ }, "descriptors"},
		"one descriptor less":                    {func(_ *Soak, l *Sixth) { l.BrokerDescriptorsMin-- }, "descriptors"},
		"descriptors are not known":              {func(_ *Soak, l *Sixth) { l.BrokerDescriptorsMin = 0 }, "descriptors"},
		"p99 beyond the margin":                  {func(_ *Soak, l *Sixth) { l.Latency.P99Ns++ }, "p99 latency"},
		"no delivery in the last sixth":          {func(_ *Soak, l *Sixth) { l.Latency = bench.Latency{} }, "p99 latency"},
		"a sixth is missing":                     {func(s *Soak, _ *Sixth) { s.Sixths = s.Sixths[:parts-1] }, "six sixths"},
		"the run did not come to its end at all": {func(s *Soak, _ *Sixth) { s.Run, s.Failure = nil, "died" }, "connections"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := faultless()
			test.change(s, &s.Sixths[parts-1])
			s.Demands = s.judge()
			for _, d := range s.Demands {
				assert.Equal(t, d.Name != test.unmet, d.Met, "%s: %s", d.Name, d.Text)
				assert.NotEmpty(t, d.Text)
			}
			assert.Equal(t, test.unmet == "", s.Passed())
		})
	}
}

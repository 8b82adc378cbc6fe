package compare

import (
	"slices"

	"mqttd/bench"
)

// Figure is one quantity of a run that is compared.
type Figure struct {
	Key    string // for machines
	Title  string // for people, without the unit
	Unit   string
	Higher bool // is better; otherwise lower is
	// Of returns the figure of a run; ok is false when the run does not have it.
	Of func(r *bench.Result) (value float64, ok bool)
}

// The figures, in the order of a report's columns.
var (
	Deliveries = Figure{"deliveries_per_second", "deliveries", "/s", true, func(r *bench.Result) (float64, bool) {
		return r.Throughput.DeliveriesPerSecond, r.Throughput.Deliveries > 0
	}}
	CPUPerMillion = Figure{"cpu_seconds_per_million", "broker CPU per million deliveries", "s", false, func(r *bench.Result) (float64, bool) {
		if r.Broker == nil || r.Throughput.Deliveries == 0 {
			return 0, false
		}
		return r.Broker.CPUSecondsPerMillion, true
	}}
	LatencyP50 = Figure{"latency_p50_ms", "latency p50", "ms", false, func(r *bench.Result) (float64, bool) {
		return float64(r.Latency.P50Ns) / 1e6, r.Latency.Count > 0
	}}
	LatencyP99 = Figure{"latency_p99_ms", "latency p99", "ms", false, func(r *bench.Result) (float64, bool) {
		return float64(r.Latency.P99Ns) / 1e6, r.Latency.Count > 0
	}}
	Lost = Figure{"lost", "lost", "messages", false, func(r *bench.Result) (float64, bool) {
		return float64(r.Deliveries.Lost), r.Deliveries.Expected > 0
	}}
	CPUPercent = Figure{"cpu_percent", "broker CPU", "% of a core", false, func(r *bench.Result) (float64, bool) {
		if r.Broker == nil {
			return 0, false
		}
		return r.Broker.CorePercent, true
	}}
	ResidentMiB = Figure{"resident_mib", "broker memory, resident", "MiB", false, func(r *bench.Result) (float64, bool) {
		if r.Broker == nil {
			return 0, false
		}
		return float64(r.Broker.ResidentBytesMax) / (1 << 20), true
	}}
	ConnectsPerSecond = Figure{"connects_per_second", "connect, CONNACK, SUBSCRIBE, SUBACK", "/s", true, func(r *bench.Result) (float64, bool) {
		return r.Connections.PerSecond, r.Connections.Opened > 0
	}}
	CPUPerConnect = Figure{"cpu_us_per_connection", "broker CPU per connection opened", "µs", false, func(r *bench.Result) (float64, bool) {
		if r.Broker == nil || r.Connections.Opened == 0 {
			return 0, false
		}
		return r.Connections.BrokerCPUSeconds / float64(r.Connections.Opened) * 1e6, true
	}}
	BytesPerConnection = Figure{"bytes_per_connection", "resident memory per idle connection", "bytes", false, func(r *bench.Result) (float64, bool) {
		return r.Connections.ResidentBytesEach, r.Broker != nil && r.Connections.Opened > 0
	}}
)

// Figures returns what a scenario is about, the most important first.
func (s *Scenario) Figures() []Figure {
	switch s.About {
	case bench.AboutRest:
		figures := []Figure{CPUPercent, ResidentMiB}
		if s.Config.Publishers > 0 {
			figures = append(figures, LatencyP99, Lost)
		}
		return figures
	case bench.AboutMemory:
		return []Figure{BytesPerConnection, CPUPercent, ResidentMiB}
	case bench.AboutConnections:
		return []Figure{ConnectsPerSecond, CPUPerConnect, ResidentMiB}
	case bench.AboutLatency:
		return []Figure{CPUPerMillion, LatencyP99, LatencyP50, Deliveries, ResidentMiB, Lost}
	}
	return []Figure{Deliveries, CPUPerMillion, LatencyP99, ResidentMiB, Lost}
}

// Median returns the median of a figure over the cell's runs, of an even number the mean of the
// middle two; ok is false when no run has it.
func (c *Cell) Median(f Figure) (median float64, ok bool) {
	values := c.values(f)
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2, true
	}
	return values[middle], true
}

// Range returns the smallest and the largest of a figure over the cell's runs.
func (c *Cell) Range(f Figure) (least, most float64, ok bool) {
	values := c.values(f)
	if len(values) == 0 {
		return 0, 0, false
	}
	return slices.Min(values), slices.Max(values), true
}

// Typical returns the run whose figure is the median, or the lower of the middle two; nil without one.
// Its samples and latency stand for the cell where a picture shows a single run.
func (c *Cell) Typical(f Figure) *bench.Result {
	var order []*bench.Result
	for i := range c.Runs {
		if _, ok := f.Of(&c.Runs[i]); ok {
			order = append(order, &c.Runs[i])
		}
	}
	if len(order) == 0 {
		return nil
	}
	slices.SortStableFunc(order, func(a, b *bench.Result) int {
		x, _ := f.Of(a)
		y, _ := f.Of(b)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return order[(len(order)-1)/2]
}

func (c *Cell) values(f Figure) []float64 {
	var values []float64
	for i := range c.Runs {
		if v, ok := f.Of(&c.Runs[i]); ok {
			values = append(values, v)
		}
	}
	return values
}

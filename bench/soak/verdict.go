package soak

import (
	"fmt"
	"slices"
	"time"

	"mqttd/bench"
)

// Margins are what noise may add from the second sixth to the last.
type Margins struct {
	// Memory of the last sixth is at most the second's * MemoryFactor + MemoryBytes.
	MemoryFactor float64 `json:"memory_factor"`
	MemoryBytes  uint64  `json:"memory_bytes"`
	// P99 latency of the last sixth is at most the second's * LatencyFactor + LatencyNs.
	LatencyFactor float64 `json:"latency_factor"`
	LatencyNs     int64   `json:"latency_ns"`
}

// DefaultMargins returns margins that are chosen: a garbage collector lets memory swing by more than it
// holds, and a shared machine stalls a broker for a millisecond now and then.
func DefaultMargins() Margins {
	return Margins{MemoryFactor: 1.1, MemoryBytes: 8 << 20, LatencyFactor: 1.5, LatencyNs: time.Millisecond.Nanoseconds()}
}

// Demand is one line of the verdict.
type Demand struct {
	Name string `json:"name"`
	Met  bool   `json:"met"`
	Text string `json:"text"` // the figures it was judged by
}

// Passed reports whether the soak came to its end and every demand was met.
func (s *Soak) Passed() bool {
	return len(s.Demands) > 0 && !slices.ContainsFunc(s.Demands, func(d Demand) bool { return !d.Met })
}

func (s *Soak) judge() []Demand {
	if s.Run == nil {
		return []Demand{{"connections", false, s.Failure}}
	}
	demands := []Demand{
		{"connections", true, bench.Thousands(s.Run.Connections.Opened) + " open to the end"},
		s.judgeLoad(),
		s.none("no loss", s.Run.Deliveries.Lost),
		s.none("no duplicate", s.Run.Deliveries.Duplicated),
		s.none("no disorder", s.Run.Deliveries.OutOfOrder),
		s.none("nothing unexpected", s.Run.Deliveries.Unexpected),
	}
	if len(s.Sixths) < parts {
		return append(demands, Demand{"six sixths", false, "the collector fell behind: too few samples"})
	}
	second, last := s.Sixths[1], s.Sixths[parts-1]
	return append(demands, s.judgeMemory(second, last), judgeDescriptors(second, last), s.judgeLatency(second, last))
}

// judgeLoad looks at the generator: a load that was not there proves nothing.
func (s *Soak) judgeLoad() Demand {
	const rateReached = 0.99 // chosen, as in package bench
	r := s.Run
	due := s.Config.RatePerSecond * r.Throughput.Seconds
	met := float64(r.Throughput.Messages+1) >= rateReached*due && r.Deliveries.MessagesUnsent == 0 && !r.Saturated
	text := fmt.Sprintf("%s of %s messages/s, %s not sent; the generator's thread was %.0f %% busy, and %.0f %% ready "+
		"without a processor", bench.Decimal(r.Throughput.MessagesPerSecond), bench.Decimal(s.Config.RatePerSecond),
		bench.Thousands(r.Deliveries.MessagesUnsent), r.Generator.ThreadPercent, r.Generator.ThreadWaitPercent)
	if !met {
		text = fmt.Sprintf("this machine cannot hold %.0f %% of the peak it measured: ", 100*s.Share) + text
	}
	return Demand{"load", met, text}
}

func (s *Soak) none(name string, n uint64) Demand {
	text := fmt.Sprintf("%s of %s deliveries", bench.Thousands(n), bench.Thousands(s.Run.Deliveries.Expected))
	return Demand{name, n == 0, text}
}

func (s *Soak) judgeMemory(second, last Sixth) Demand {
	a, b := second.BrokerResidentBytesMax, last.BrokerResidentBytesMax
	if a == 0 || b == 0 {
		return Demand{"memory", false, notMeasured}
	}
	most := s.Margins.MemoryFactor*float64(a) + float64(s.Margins.MemoryBytes)
	text := fmt.Sprintf("%s MiB in the last sixth, %s MiB in the second; at most %g x + %s MiB",
		bench.Mebibytes(b), bench.Mebibytes(a), s.Margins.MemoryFactor, bench.Mebibytes(s.Margins.MemoryBytes))
	return Demand{"memory", float64(b) <= most, text}
}

func judgeDescriptors(second, last Sixth) Demand {
	a, b := second.BrokerDescriptorsMin, last.BrokerDescriptorsMin
	if a == 0 || b == 0 {
		return Demand{"descriptors", false, notMeasured}
	}
	text := fmt.Sprintf("%s in the last sixth, %s in the second", bench.Thousands(b), bench.Thousands(a))
	return Demand{"descriptors", a == b, text}
}

const notMeasured = "not measured: the broker's process is not known, or ended, or may not be looked at"

func (s *Soak) judgeLatency(second, last Sixth) Demand {
	a, b := second.Latency, last.Latency
	if a.Count == 0 || b.Count == 0 {
		return Demand{"p99 latency", false, "nothing arrived in one of the sixths"}
	}
	most := s.Margins.LatencyFactor*float64(a.P99Ns) + float64(s.Margins.LatencyNs)
	text := fmt.Sprintf("%s ms in the last sixth, %s ms in the second; at most %g x + %s ms",
		bench.Milliseconds(b.P99Ns), bench.Milliseconds(a.P99Ns), s.Margins.LatencyFactor,
		bench.Milliseconds(s.Margins.LatencyNs))
	return Demand{"p99 latency", float64(b.P99Ns) <= most, text}
}

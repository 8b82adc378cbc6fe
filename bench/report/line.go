package report

import (
	"strconv"
	"time"

	"mqttd/bench"
)

// Limits of the points of one line in a picture.
const (
	pointsMax    = 200                    // chosen: more than a picture has room to show
	intervalMin  = 0.05                   // s; chosen: in less, one turn of the scheduler decides
	gridInterval = 100 * time.Millisecond // times are rounded to it, so that peers share their times
)

// line is what one run cost over time. All slices that are set have one length.
type line struct {
	Peer     int       `json:"peer"`               // index in Comparison.Peers
	Seconds  []rounded `json:"seconds"`            // since the measurement began
	CPU      []rounded `json:"cpu,omitempty"`      // % of a core; not set when the broker was not measured
	Memory   []rounded `json:"memory,omitempty"`   // MiB, resident; like CPU
	Switches []rounded `json:"switches,omitempty"` // context switches per second; like CPU
	Network  []rounded `json:"network,omitempty"`  // MB/s over the loopback interface
}

// rounded has four significant digits in JSON: the page need not carry more.
type rounded float64

func (r rounded) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(r), 'g', 4, 64), nil
}

// newLine condenses a run's samples.
func newLine(index int, r *bench.Result) line {
	l := line{Peer: index}
	began := measurementBegan(r.Samples)
	for _, s := range condense(r.Samples) {
		at := (time.Duration((s.ElapsedSeconds - began) * float64(time.Second))).Round(gridInterval)
		l.Seconds = append(l.Seconds, rounded(at.Seconds()))
		l.Network = append(l.Network, rounded(float64(s.LoopbackBytes)/1e6/s.Seconds))
		if r.Broker == nil {
			continue
		}
		l.CPU = append(l.CPU, rounded(100*s.BrokerCPUSeconds/s.Seconds))
		l.Memory = append(l.Memory, rounded(float64(s.BrokerResidentBytes)/(1<<20)))
		l.Switches = append(l.Switches, rounded(float64(s.BrokerContextSwitches)/s.Seconds))
	}
	return l
}

// measurementBegan returns when the first sample of the measurement began, or 0.
func measurementBegan(samples []bench.Sample) float64 {
	for _, s := range samples {
		if s.Phase == "measure" {
			return s.ElapsedSeconds - s.Seconds
		}
	}
	return 0
}

// condense merges neighbours of one phase until each covers enough time for a picture of at most
// about pointsMax points. The rest of a phase is left out when it is shorter than half a sample.
func condense(samples []bench.Sample) []bench.Sample {
	if len(samples) == 0 {
		return nil
	}
	longest := 0.0
	for _, s := range samples {
		longest = max(longest, s.Seconds)
	}
	least := max(intervalMin, longest/2)
	interval := max(least, samples[len(samples)-1].ElapsedSeconds/pointsMax)
	var merged []bench.Sample
	var sum bench.Sample
	flush := func() {
		if sum.Seconds >= least {
			merged = append(merged, sum)
		}
		sum = bench.Sample{}
	}
	for _, s := range samples {
		if s.Phase != sum.Phase {
			flush()
		}
		sum = joined(sum, s)
		if sum.Seconds >= interval-1e-3 {
			flush()
		}
	}
	flush()
	return merged
}

// joined is the sample that two neighbours would have been, in what pictures show.
func joined(a, b bench.Sample) bench.Sample {
	b.Seconds += a.Seconds
	b.BrokerCPUSeconds += a.BrokerCPUSeconds
	b.BrokerContextSwitches += a.BrokerContextSwitches
	b.LoopbackBytes += a.LoopbackBytes
	return b
}

package soak

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"mqttd/bench"
)

// parts is how many parts of the run are told apart.
const parts = 6

// Sixth is a sixth of the measurement; the last one includes the drain. Deliveries and their faults
// belong to the sixth in which they were noticed. It is the sum of samples, of which there is none for
// less than 1 ms at the end of a phase.
type Sixth struct {
	Seconds    float64 `json:"seconds"`
	Messages   uint64  `json:"messages"`
	Deliveries uint64  `json:"deliveries"`
	// Lost can be negative: what an earlier sixth missed has come.
	Lost       int64         `json:"lost"`
	Duplicated uint64        `json:"duplicated"`
	OutOfOrder uint64        `json:"out_of_order"`
	Latency    bench.Latency `json:"latency"`
	// BrokerResidentBytesMax and BrokerThreadsMax are the largest of its samples, BrokerDescriptorsMin is
	// the smallest: a descriptor that comes and goes is no leak. 0: not measured.
	BrokerResidentBytesMax uint64  `json:"broker_resident_bytes_max"`
	BrokerThreadsMax       int     `json:"broker_threads_max"`
	BrokerDescriptorsMin   int     `json:"broker_descriptors_min"`
	BrokerCPUSeconds       float64 `json:"broker_cpu_seconds"`
	// OthersCPUSeconds is what neither the broker nor the generator used: it disturbs the figures.
	OthersCPUSeconds float64 `json:"others_cpu_seconds"`
}

// sixths gathers the samples of a run. For one goroutine.
type sixths struct {
	seconds float64 // of a sixth
	begun   float64 // seconds from the first connect to the measurement
	missing int64   // as of the last sample
	latency [parts]*hdrhistogram.Histogram
	sixth   [parts]Sixth
}

func newSixths(duration time.Duration) *sixths { return &sixths{seconds: duration.Seconds() / parts} }

// add takes the samples of a run in their order.
func (a *sixths) add(s bench.Sample) {
	newlyMissing := s.Missing - a.missing
	a.missing = s.Missing
	begin := s.ElapsedSeconds - s.Seconds
	switch s.Phase {
	case bench.PhaseMeasure:
		if a.begun == 0 {
			a.begun = begin
		}
	case bench.PhaseDrain:
	default:
		return
	}
	middle := begin + s.Seconds/2
	i := min(int((middle-a.begun)/a.seconds), parts-1)
	to := &a.sixth[i]
	to.Lost += newlyMissing
	to.add(s)
	if a.latency[i] == nil {
		h := s.Latencies
		a.latency[i] = hdrhistogram.New(h.LowestTrackableValue(), h.HighestTrackableValue(), int(h.SignificantFigures()))
	}
	a.latency[i].Merge(s.Latencies)
}

func (t *Sixth) add(s bench.Sample) {
	if t.Seconds == 0 {
		t.BrokerDescriptorsMin = s.BrokerDescriptors
	}
	t.Seconds += s.Seconds
	t.Messages += s.MessagesSent
	t.Deliveries += s.Deliveries
	t.Duplicated += s.Duplicated
	t.OutOfOrder += s.OutOfOrder
	t.BrokerResidentBytesMax = max(t.BrokerResidentBytesMax, s.BrokerResidentBytes)
	t.BrokerThreadsMax = max(t.BrokerThreadsMax, s.BrokerThreads)
	t.BrokerDescriptorsMin = min(t.BrokerDescriptorsMin, s.BrokerDescriptors)
	t.BrokerCPUSeconds += s.BrokerCPUSeconds
	t.OthersCPUSeconds += s.OthersCPUSeconds
}

// all returns the sixths that began, in their order.
func (a *sixths) all() []Sixth {
	begun := []Sixth{}
	for i, s := range a.sixth {
		if s.Seconds > 0 {
			s.Latency = bench.NewLatency(a.latency[i])
			begun = append(begun, s)
		}
	}
	return begun
}

package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// readingsMax bounds the readings that wait for the collector; chosen. Beyond it the load merges
// them, so a terminal that blocks OnSample costs resolution and never a message.
const readingsMax = 8

// Sample is what happened in one second, or in the shorter rest of a phase.
type Sample struct {
	// Phase is "warm-up", "measure" or "drain".
	Phase string `json:"phase"`
	// ElapsedSeconds is the time from the first message to the end of the sample.
	ElapsedSeconds float64 `json:"elapsed_seconds"`
	// Seconds is the sample's own length.
	Seconds float64 `json:"seconds"`
	// MessagesSent and Deliveries were counted within the sample; no duplicates.
	MessagesSent uint64 `json:"messages_sent"`
	Deliveries   uint64 `json:"deliveries"`
	// Missing is the number of messages since the beginning that a subscriber did not get although
	// it got a later one: the deliveries lost so far.
	Missing int64 `json:"missing"`
	// Latency of the deliveries within the sample; 0 when there were none.
	LatencyP50Ns int64 `json:"latency_p50_ns"`
	LatencyP99Ns int64 `json:"latency_p99_ns"`
	LatencyMaxNs int64 `json:"latency_max_ns"`
	// BrokerCPUSeconds and BrokerResidentBytes are 0 when the broker is not measured.
	BrokerCPUSeconds    float64 `json:"broker_cpu_seconds"`
	BrokerResidentBytes uint64  `json:"broker_resident_bytes"`
	// GeneratorCPUSeconds is the CPU time of this process.
	GeneratorCPUSeconds float64 `json:"generator_cpu_seconds"`
}

// collector turns readings into samples and totals, on its own goroutine, until its channel is
// closed. Its other fields may be read after that.
type collector struct {
	readings chan reading
	spare    chan *hdrhistogram.Histogram
	process  *process // nil: the broker is not measured
	onSample func(Sample)

	last        reading // of any phase
	begin, end  reading // of the measurement
	latency     *hdrhistogram.Histogram
	resident    uint64 // bytes, at the end of the measurement
	residentMax uint64 // bytes, of the measurement's samples
	samples     []Sample
}

func newCollector(broker *process, onSample func(Sample)) *collector {
	return &collector{
		readings: make(chan reading, readingsMax),
		spare:    make(chan *hdrhistogram.Histogram, 2),
		process:  broker,
		onSample: onSample,
		latency:  newHistogram(),
	}
}

func (c *collector) run() {
	for r := range c.readings {
		c.collect(r)
		r.latency.Reset()
		select {
		case c.spare <- r.latency:
		default:
		}
	}
}

func (c *collector) collect(r reading) {
	resident := uint64(0)
	if c.process != nil {
		resident = c.process.residentBytes()
	}
	switch r.phase {
	case warmup:
		c.begin, c.end = r, r
	case measurement:
		c.end = r
		c.resident, c.residentMax = resident, max(c.residentMax, resident)
		c.latency.Merge(r.latency)
	case drain:
		c.latency.Merge(r.latency)
	}
	s := newSample(c.last, r, resident)
	c.last = r
	c.last.latency = nil
	const secondsMin = 0.001 // less is the end of a phase that coincides with a sample's
	if s.Seconds < secondsMin {
		return
	}
	c.samples = append(c.samples, s)
	if c.onSample != nil {
		c.onSample(s)
	}
}

func newSample(from, to reading, resident uint64) Sample {
	return Sample{
		Phase:               to.phase.String(),
		ElapsedSeconds:      to.elapsed.Seconds(),
		Seconds:             (to.elapsed - from.elapsed).Seconds(),
		MessagesSent:        to.sent - from.sent,
		Deliveries:          to.delivered - from.delivered,
		Missing:             to.missing,
		LatencyP50Ns:        to.latency.ValueAtQuantile(50),
		LatencyP99Ns:        to.latency.ValueAtQuantile(99),
		LatencyMaxNs:        to.latency.Max(),
		BrokerCPUSeconds:    seconds(to.brokerCPU - from.brokerCPU),
		BrokerResidentBytes: resident,
		GeneratorCPUSeconds: seconds(to.processCPU - from.processCPU),
	}
}

// seconds rounds to microseconds, so that JSON has no digits without meaning.
func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }

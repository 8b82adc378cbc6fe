package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// readingsMax bounds the readings that wait for the collector; chosen. Beyond it the load merges
// them, so a terminal that blocks OnSample costs resolution and never a message. The ends of phases
// always have room.
const readingsMax = 8

// Sample is what happened in one Config.SampleInterval, or in the shorter rest of a phase.
type Sample struct {
	// Phase is "connect", "warm-up", "measure" or "drain".
	Phase string `json:"phase"`
	// ElapsedSeconds is the time from the first connect to the end of the sample.
	ElapsedSeconds float64 `json:"elapsed_seconds"`
	// Seconds is the sample's own length.
	Seconds float64 `json:"seconds"`
	// MessagesSent and Deliveries were counted within the sample; no duplicates.
	MessagesSent uint64 `json:"messages_sent"`
	Deliveries   uint64 `json:"deliveries"`
	// Missing is the number of messages since the beginning that a subscriber did not get although
	// it got a later one: the deliveries lost so far.
	Missing int64 `json:"missing"`
	// Duplicated and OutOfOrder are deliveries within the sample, see Accounts.
	Duplicated uint64 `json:"duplicated"`
	OutOfOrder uint64 `json:"out_of_order"`
	// Connections were opened within the sample.
	Connections uint64 `json:"connections"`
	// Latency of the deliveries within the sample; 0 when there were none.
	LatencyP50Ns int64 `json:"latency_p50_ns"`
	LatencyP99Ns int64 `json:"latency_p99_ns"`
	LatencyMaxNs int64 `json:"latency_max_ns"`
	// Latencies is what they were read from, in nanoseconds. It is lent to Config.OnSample until that
	// returns, and nil in a Result.
	Latencies *hdrhistogram.Histogram `json:"-"`
	// What begins with Broker is 0 when the broker is not measured. Memory, descriptors and threads are
	// those at the end of the sample.
	BrokerCPUSeconds    float64 `json:"broker_cpu_seconds"`
	BrokerResidentBytes uint64  `json:"broker_resident_bytes"`
	BrokerDescriptors   int     `json:"broker_descriptors"`
	BrokerThreads       int     `json:"broker_threads"`
	// BrokerContextSwitches are those of all its threads, voluntary and not.
	BrokerContextSwitches uint64 `json:"broker_context_switches"`
	// LoopbackBytes crossed the loopback interface, whoever sent them.
	LoopbackBytes uint64 `json:"loopback_bytes"`
	// OthersCPUSeconds is the CPU time of this machine that neither the broker nor the generator used.
	OthersCPUSeconds float64 `json:"others_cpu_seconds"`
	// GeneratorCPUSeconds is the CPU time of this process.
	GeneratorCPUSeconds float64 `json:"generator_cpu_seconds"`
}

// collector turns readings into samples and totals, on its own goroutine, until its channel is
// closed. Its other fields may be read after that.
type collector struct {
	readings chan reading
	spare    chan *hdrhistogram.Histogram
	process  *process // nil: the broker is not measured
	around   surroundings
	onSample func(Sample)

	last           reading // of any phase
	lastObserved   observed
	begin, end     reading // of the measurement
	latency        *hdrhistogram.Histogram
	residentBefore uint64        // bytes, before the first client
	resident       uint64        // bytes, at the end of the measurement
	residentMax    uint64        // bytes, of the measurement's samples
	switches       uint64        // of the broker's threads, within the measurement
	waitBegin      time.Duration // of the load's thread, at the ends of the measurement
	waitEnd        time.Duration
	samples        []Sample
}

// observed is what the collector looks at itself.
type observed struct {
	resident      uint64 // bytes
	threads       int
	descriptors   int
	switches      uint64 // since it was last observed
	loopbackBytes uint64
	busy          time.Duration // of all processors
}

func newCollector(broker *process, onSample func(Sample)) *collector {
	c := &collector{
		readings: make(chan reading, readingsMax+int(done)),
		spare:    make(chan *hdrhistogram.Histogram, 2),
		process:  broker,
		around:   newSurroundings(),
		onSample: onSample,
		latency:  newHistogram(),
	}
	c.lastObserved = c.observe()
	return c
}

func (c *collector) observe() observed {
	var o observed
	o.loopbackBytes, o.busy = c.around.read()
	if c.process != nil {
		o.resident, o.threads = c.process.size()
		o.descriptors, o.switches = c.process.descriptors(), c.process.contextSwitches()
	}
	return o
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
	o := c.observe()
	wait := max(c.waitEnd, waitTime(r.tid)) // it is 0 when the thread has ended
	switch r.phase {
	case warmup:
		c.begin, c.end = r, r
		c.waitBegin, c.waitEnd = wait, wait
		c.resident = o.resident
	case measurement:
		c.end, c.waitEnd = r, wait
		c.resident, c.residentMax = o.resident, max(c.residentMax, o.resident)
		c.switches += o.switches
		c.latency.Merge(r.latency)
	case drain:
		c.latency.Merge(r.latency)
	}
	const secondsMin = 0.001 // less is the end of a phase that coincides with a sample's
	if (r.elapsed - c.last.elapsed).Seconds() >= secondsMin {
		c.emit(newSample(c.last, r, c.lastObserved, o))
	}
	c.last, c.lastObserved = r, o
	c.last.latency = nil
}

func (c *collector) emit(s Sample) {
	if c.onSample != nil {
		c.onSample(s)
	}
	s.Latencies = nil
	c.samples = append(c.samples, s)
}

func newSample(from, to reading, before, after observed) Sample {
	broker, generator := to.brokerCPU-from.brokerCPU, to.processCPU-from.processCPU
	return Sample{
		Phase:                 to.phase.String(),
		ElapsedSeconds:        to.elapsed.Seconds(),
		Seconds:               (to.elapsed - from.elapsed).Seconds(),
		MessagesSent:          to.sent - from.sent,
		Deliveries:            to.delivered - from.delivered,
		Missing:               to.missing,
		Duplicated:            to.duplicated - from.duplicated,
		OutOfOrder:            to.outOfOrder - from.outOfOrder,
		Connections:           to.connections - from.connections,
		LatencyP50Ns:          to.latency.ValueAtQuantile(50),
		LatencyP99Ns:          to.latency.ValueAtQuantile(99),
		LatencyMaxNs:          to.latency.Max(),
		Latencies:             to.latency,
		BrokerCPUSeconds:      seconds(broker),
		BrokerResidentBytes:   after.resident,
		BrokerDescriptors:     after.descriptors,
		BrokerThreads:         after.threads,
		BrokerContextSwitches: after.switches,
		LoopbackBytes:         after.loopbackBytes - min(before.loopbackBytes, after.loopbackBytes),
		OthersCPUSeconds:      seconds(max(after.busy-before.busy-broker-generator, 0)),
		GeneratorCPUSeconds:   seconds(generator),
	}
}

// seconds rounds to microseconds, so that JSON has no digits without meaning.
func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }

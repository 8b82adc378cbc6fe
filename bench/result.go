package bench

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is everything known about one run. Its JSON form is what mqttbench -json writes.
type Result struct {
	Version     string    `json:"version"`
	Command     []string  `json:"command"`
	StartedAt   time.Time `json:"started_at"`
	Machine     Machine   `json:"machine"`
	Config      Config    `json:"config"`
	Interrupted bool      `json:"interrupted"` // before the measurement's time was over
	// Connections describe how the clients were connected, before any load.
	Connections Connections `json:"connections"`
	Throughput  Rates       `json:"throughput"`
	Latency     Latency     `json:"latency"`
	Deliveries  Accounts    `json:"deliveries"`
	Broker      *Usage      `json:"broker"` // nil when it was not measured, see BrokerUnknown
	// BrokerUnknown says why Broker is nil.
	BrokerUnknown string   `json:"broker_unknown,omitempty"`
	Generator     Usage    `json:"generator"`
	Saturated     bool     `json:"generator_saturated"` // the generator, not the broker, set the pace
	Warnings      []string `json:"warnings"`
	Samples       []Sample `json:"samples"`
}

// Connections describe the time from the first connect to the last SUBACK, or CONNACK of a publisher.
type Connections struct {
	Opened    int     `json:"opened"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
	// Latency of one connection: from connect to its last acknowledgement.
	Latency Latency `json:"latency"`
	// BrokerCPUSeconds is what the broker spent on it.
	BrokerCPUSeconds float64 `json:"broker_cpu_seconds"`
	// GeneratorThreadPercent is how busy the generator was.
	GeneratorThreadPercent float64 `json:"generator_thread_percent"`
	// ResidentBytesBefore is the broker's memory before the first client.
	ResidentBytesBefore uint64 `json:"resident_bytes_before"`
	// ResidentBytesEach is by how much the broker's memory had grown at the end of the measurement, for
	// each connection: the cost of a connection when there is no load.
	ResidentBytesEach float64 `json:"resident_bytes_each"`
	// GrantedQoS is the lowest that a subscriber was granted, at most Config.QoS.
	GrantedQoS int `json:"granted_qos"`
}

// Rates describe the measurement.
type Rates struct {
	Seconds             float64 `json:"seconds"`
	Messages            uint64  `json:"messages"`
	Deliveries          uint64  `json:"deliveries"` // received within the measurement, no duplicates
	BytesReceived       uint64  `json:"bytes_received"`
	MessagesPerSecond   float64 `json:"messages_per_second"`
	DeliveriesPerSecond float64 `json:"deliveries_per_second"`
	BytesPerSecond      float64 `json:"bytes_per_second"`
}

// Latency describes every delivery of a message sent within the measurement, whenever it arrived.
// In an open loop it counts from the intended send time.
type Latency struct {
	Count  int64   `json:"count"`
	P50Ns  int64   `json:"p50_ns"`
	P99Ns  int64   `json:"p99_ns"`
	P999Ns int64   `json:"p99_9_ns"`
	MaxNs  int64   `json:"max_ns"`
	MeanNs float64 `json:"mean_ns"`
	// Percentiles are the same distribution, from the median on, for a picture of it.
	Percentiles []Percentile `json:"percentiles"`
}

// Percentile says that Percent of all deliveries took at most Ns.
type Percentile struct {
	Percent float64 `json:"percent"`
	Ns      int64   `json:"ns"`
}

// Accounts cover every message sent in any phase.
//
//	Lost = Expected - (Received - Duplicated)
type Accounts struct {
	MessagesSent uint64 `json:"messages_sent"`
	// MessagesUnsent had their turn in an open loop, or were begun, but the broker did not take them.
	MessagesUnsent uint64 `json:"messages_unsent"`
	// Unacknowledged, above QoS 0, were sent and never acknowledged to their publisher.
	Unacknowledged uint64 `json:"unacknowledged"`
	Expected       uint64 `json:"expected"`
	Received       uint64 `json:"received"` // duplicates included
	Lost           uint64 `json:"lost"`
	// NotArrived are those of Lost after which nothing of their publisher arrived: the broker dropped
	// them, or still had them when the run ended.
	NotArrived uint64 `json:"not_arrived"`
	// DrainCut: deliveries still arrived when the drain had lasted as long as it may.
	DrainCut   bool   `json:"drain_cut"`
	Duplicated uint64 `json:"duplicated"`
	// OutOfOrder arrived after a later message of the same publisher and topic. Between connections, as
	// with Config.ConnectPerMessage, there is no order.
	OutOfOrder uint64 `json:"out_of_order"`
	// Unexpected are PUBLISH packets that this run did not send, or not to that subscriber.
	Unexpected uint64 `json:"unexpected"`
	// WindowTimeouts is how often a publisher's window moved on after 1 s without a delivery or acknowledgement.
	WindowTimeouts uint64 `json:"window_timeouts"`
	// Worst is the subscriber with the most deliveries lost, duplicated or out of order; nil when
	// there were none.
	Worst *SubscriberAccount `json:"worst_subscriber"`
}

// SubscriberAccount is one subscriber's part of Accounts.
type SubscriberAccount struct {
	Subscriber int    `json:"subscriber"` // index, from 0
	Expected   uint64 `json:"expected"`
	Received   uint64 `json:"received"`
	Lost       uint64 `json:"lost"`
	Duplicated uint64 `json:"duplicated"`
	OutOfOrder uint64 `json:"out_of_order"`
}

func (a SubscriberAccount) faults() uint64 { return a.Lost + a.Duplicated + a.OutOfOrder }

// Usage is what a process cost during the measurement.
type Usage struct {
	PID        int     `json:"pid"`
	Name       string  `json:"name"`
	CPUSeconds float64 `json:"cpu_seconds"`
	// CPUSecondsPerMillion is for a million deliveries.
	CPUSecondsPerMillion float64 `json:"cpu_seconds_per_million_deliveries"`
	CorePercent          float64 `json:"core_percent"` // 100: one core, all the time
	// ThreadPercent is that of the thread that carries the load, and ThreadWaitPercent how long that
	// thread was ready to run while no processor was free; known for the generator only.
	ThreadPercent     float64 `json:"thread_percent,omitempty"`
	ThreadWaitPercent float64 `json:"thread_wait_percent,omitempty"`
	ResidentBytes     uint64  `json:"resident_bytes"` // at the end
	// ResidentBytesMax is the largest sample; of the generator there is only the one at the end.
	ResidentBytesMax uint64 `json:"resident_bytes_max"`
	// ContextSwitches are those of all threads, voluntary and not; known for the broker only.
	ContextSwitches uint64 `json:"context_switches,omitempty"`
}

func newUsage(pid int, name string, cpu time.Duration, r Rates) Usage {
	u := Usage{PID: pid, Name: name, CPUSeconds: seconds(cpu)}
	if r.Seconds > 0 {
		u.CorePercent = 100 * u.CPUSeconds / r.Seconds
	}
	if r.Deliveries > 0 {
		u.CPUSecondsPerMillion = u.CPUSeconds / float64(r.Deliveries) * 1e6
	}
	return u
}

func newRates(begin, end reading) Rates {
	r := Rates{
		Seconds:       (end.elapsed - begin.elapsed).Seconds(),
		Messages:      end.sent - begin.sent,
		Deliveries:    end.delivered - begin.delivered,
		BytesReceived: end.bytes - begin.bytes,
	}
	if r.Seconds > 0 {
		r.MessagesPerSecond = float64(r.Messages) / r.Seconds
		r.DeliveriesPerSecond = float64(r.Deliveries) / r.Seconds
		r.BytesPerSecond = float64(r.BytesReceived) / r.Seconds
	}
	return r
}

// NewLatency reads a histogram of nanoseconds.
func NewLatency(h *hdrhistogram.Histogram) Latency {
	l := Latency{
		Count:  h.TotalCount(),
		P50Ns:  h.ValueAtQuantile(50),
		P99Ns:  h.ValueAtQuantile(99),
		P999Ns: h.ValueAtQuantile(99.9),
		MaxNs:  h.Max(),
		MeanNs: h.Mean(),
	}
	if l.Count > 0 {
		for _, percent := range percents {
			l.Percentiles = append(l.Percentiles, Percentile{percent, h.ValueAtQuantile(percent)})
		}
	}
	return l
}

// percents are the points of Latency.Percentiles.
var percents = [...]float64{50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100}

// newAccounts adds up what the flows sent and the subscribers received.
func newAccounts(p plan, flows []*flow, subscribers []*subscriber) Accounts {
	var total Accounts
	sentTo := make([]uint64, p.stride) // by class
	for _, f := range flows {
		total.MessagesSent += f.sent
		if f.class != classNone {
			sentTo[f.class] += f.sent
		}
	}
	for i, s := range subscribers {
		a := SubscriberAccount{
			Subscriber: i,
			Expected:   sentTo[s.class],
			Received:   s.account.received,
			Lost:       sentTo[s.class] - s.account.unique(),
			Duplicated: s.account.duplicated,
			OutOfOrder: s.account.outOfOrder,
		}
		total.add(a)
		total.Unexpected += s.account.unexpected
	}
	return total
}

func (t *Accounts) add(a SubscriberAccount) {
	t.Expected += a.Expected
	t.Received += a.Received
	t.Lost += a.Lost
	t.Duplicated += a.Duplicated
	t.OutOfOrder += a.OutOfOrder
	if a.faults() > 0 && (t.Worst == nil || a.faults() > t.Worst.faults()) {
		t.Worst = &a
	}
}

// Bounds of the warnings; chosen.
const (
	busyPercent       = 90
	rateReachedFactor = 0.99
)

// judge fills in Saturated and Warnings from the rest.
func (r *Result) judge() {
	r.Warnings = []string{}
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }

	busy, waiting := r.Generator.ThreadPercent, r.Generator.ThreadWaitPercent
	r.Saturated = busy+waiting > busyPercent
	if r.Saturated {
		warn("the generator was saturated (its thread was %.0f %% busy, and %.0f %% ready without a processor): the broker may be faster than this", busy, waiting)
	}
	const secondsMin = 0.1 // less says nothing
	if busy := r.Connections.GeneratorThreadPercent; busy > busyPercent && r.Connections.Seconds > secondsMin {
		warn("the generator was saturated while it connected (its thread was %.0f %% busy): the broker may be faster than this", busy)
	}
	if granted := r.Connections.GrantedQoS; granted < r.Config.QoS && r.Connections.Opened > 0 {
		warn("the broker granted QoS %d where %d was asked for", granted, r.Config.QoS)
	}
	if due := r.Config.RatePerSecond * r.Throughput.Seconds; r.Config.Open() && float64(r.Throughput.Messages+1) < rateReachedFactor*due {
		warn("the rate was not reached: %s of %s messages/s", Decimal(r.Throughput.MessagesPerSecond), Decimal(r.Config.RatePerSecond))
	}
	if n := r.Deliveries.Unacknowledged; n > 0 {
		warn("%s messages were not acknowledged to their publisher when the run ended", Thousands(n))
	}
	if n := r.Deliveries.WindowTimeouts; n > 0 {
		warn("a publisher's window moved on %s times after 1 s without a delivery or acknowledgement", Thousands(n))
	}
	if n := r.Deliveries.NotArrived; n > 0 {
		why := fmt.Sprintf("nothing had arrived for %v", stallAfter)
		if r.Deliveries.DrainCut {
			why = fmt.Sprintf("others still arrived after a drain of %v,", drainMax)
		}
		warn("%s of the lost deliveries may still be on their way: %s when the run ended", Thousands(n), why)
	}
	if n := r.Deliveries.Unexpected; n > 0 {
		warn("subscribers received %s PUBLISH packets that this run did not send them", Thousands(n))
	}
}

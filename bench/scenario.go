package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Scenario is a Config known by a name.
type Scenario struct {
	Name  string
	Title string // what it shows
	// About says which figure matters most.
	About  About
	change func(c *Config) // from DefaultConfig
}

// About is what a scenario measures.
type About string

// What scenarios measure.
const (
	AboutThroughput  About = "throughput"  // closed loop: deliveries per second
	AboutLatency     About = "latency"     // open loop: CPU and latency at a given rate
	AboutRest        About = "rest"        // CPU and memory over time, while little or nothing happens
	AboutMemory      About = "memory"      // of idle connections
	AboutConnections About = "connections" // opened per second
)

// Group is what scenarios have in common that stand together in a report, in words.
type Group string

// Groups, in the order of Scenarios.
const (
	GroupQoS0       Group = "QoS 0"
	GroupHandshakes Group = "QoS 1 and 2"
	GroupPersistent Group = "Persistent sessions"
)

// Group returns where a configuration stands in a report.
func (c Config) Group() Group {
	switch {
	case c.Persistent:
		return GroupPersistent
	case c.QoS > 0:
		return GroupHandshakes
	}
	return GroupQoS0
}

// DefaultScenario is what DefaultConfig describes.
const DefaultScenario = "fanout-50-50"

// scenarioTime is a scenario's duration unless it says otherwise; chosen.
const (
	scenarioTime   = 4 * time.Second
	scenarioWarmup = time.Second
)

// Scenarios returns all scenarios in the order of a report. seed-* are three pictures that a broker's
// CPU, memory and network are usually shown by: nobody, a pair, 100 clients. In the literal form a
// publisher connects for each message, as a shell script with mosquitto_pub does.
//
// Above QoS 0 the window is also what a broker has to queue for a subscriber at most, beyond the messages in
// flight: 100 in the fan-outs, 20 in the pairs, where brokers drop beyond 1000. The rates are such that
// mosquitto and mochi hold them with half of two cores.
func Scenarios() []Scenario { return slices.Clone(scenarios) }

var scenarios = []Scenario{
	{"seed-0", "no clients", AboutRest, func(c *Config) {
		c.Publishers, c.Subscribers = 0, 0
	}},
	{"seed-2", "1 publisher and 1 subscriber, 100 messages/s", AboutRest, func(c *Config) {
		c.Publishers, c.Subscribers, c.RatePerSecond = 1, 1, 100
	}},
	{"seed-2-literal", "the same, a connection for each message", AboutRest, func(c *Config) {
		c.Publishers, c.Subscribers, c.RatePerSecond, c.ConnectPerMessage = 1, 1, 100, true
	}},
	{"seed-100", "50 publishers and 50 subscribers, 500 messages/s", AboutRest, func(c *Config) {
		c.RatePerSecond = 500
	}},
	{"seed-100-literal", "the same, a connection for each message", AboutRest, func(c *Config) {
		c.RatePerSecond, c.ConnectPerMessage = 500, true
	}},
	{DefaultScenario, "50 publishers, 50 subscribers, one topic: 2 messages of each publisher on their way", AboutThroughput, func(*Config) {}},
	{"fanout-50-50-w2000", "the same with 40 messages of each publisher on their way", AboutThroughput, func(c *Config) {
		c.Window = 2000
	}},
	{"fanout-1-1000", "1 publisher, 1,000 subscribers, 64 bytes", AboutThroughput, func(c *Config) {
		c.Publishers, c.Subscribers = 1, 1000
	}},
	{"fanout-1-1000-1k", "1 publisher, 1,000 subscribers, 1 KiB", AboutThroughput, func(c *Config) {
		c.Publishers, c.Subscribers, c.PayloadBytes = 1, 1000, 1024
	}},
	{"pairs-50", "50 publishers with a subscriber each", AboutThroughput, func(c *Config) {
		c.Topic = "bench/%i"
	}},
	{"fanin-200-1", "200 publishers with a topic each, 1 subscriber to all", AboutThroughput, func(c *Config) {
		c.Publishers, c.Subscribers, c.Topic, c.Filter, c.Window = 200, 1, "bench/%i", "bench/#", 200
	}},
	{"topics-10k", "10,000 topics in 50 pairs, a subscription for each", AboutThroughput, func(c *Config) {
		c.Topic, c.Topics = "bench/%i/%j", 200
	}},
	{"wild-1k", "1,000 topics in 50 pairs, a filter with a leading wildcard for each", AboutThroughput, func(c *Config) {
		c.Topic, c.Filter, c.Topics = "bench/%i/%j", "+/%i/%j", 20
	}},
	{"latency-20k", "50 publishers, 50 subscribers, 20,000 deliveries/s", AboutLatency, func(c *Config) {
		c.RatePerSecond = 400
	}},
	{"latency-100k", "50 publishers, 50 subscribers, 100,000 deliveries/s", AboutLatency, func(c *Config) {
		c.RatePerSecond = 2000
	}},
	{"latency-1m", "50 publishers, 50 subscribers, 1,000,000 deliveries/s", AboutLatency, func(c *Config) {
		c.RatePerSecond = 20_000
	}},
	{"fanout-5-1000-250k", "5 publishers, 1,000 subscribers, 250,000 deliveries/s", AboutLatency, func(c *Config) {
		c.Publishers, c.Subscribers, c.RatePerSecond = 5, 1000, 250
	}},
	{"idle-10k", "10,000 clients with a subscription each, at rest", AboutMemory, func(c *Config) {
		c.Publishers, c.Subscribers, c.Topic = 0, 10_000, "bench/%i"
	}},
	{"connect-10k", "10,000 clients connect and subscribe to one topic", AboutConnections, func(c *Config) {
		c.Publishers, c.Subscribers, c.Duration = 0, 10_000, time.Second
	}},
	{"fanout-50-50-qos1", "50 publishers, 50 subscribers, one topic, QoS 1: 2 messages of each publisher on their way", AboutThroughput, atQoS(1)},
	{"fanout-50-50-qos2", "the same at QoS 2", AboutThroughput, atQoS(2)},
	{"pairs-50-w1000-qos1", "50 publishers with a subscriber each, QoS 1: 20 messages of each on their way", AboutThroughput, atQoS(1, inPairs)},
	{"pairs-50-w1000-qos2", "the same at QoS 2", AboutThroughput, atQoS(2, inPairs)},
	{"latency-20k-qos1", "50 publishers, 50 subscribers, 20,000 deliveries/s, QoS 1", AboutLatency, atQoS(1, atRate(400))},
	{"latency-20k-qos2", "the same at QoS 2", AboutLatency, atQoS(2, atRate(400))},
	{"pairs-50-10k-qos1", "50 publishers with a subscriber each, 10,000 deliveries/s, QoS 1", AboutLatency, atQoS(1, inPairs, atRate(10_000))},
	{"pairs-50-10k-qos2", "the same at QoS 2", AboutLatency, atQoS(2, inPairs, atRate(10_000))},
	{"fanout-50-50-qos1-kept", "fanout-50-50-qos1, subscribers with Clean Session 0", AboutThroughput, atQoS(1, persistent)},
	{"pairs-50-w1000-qos1-kept", "pairs-50-w1000-qos1, subscribers with Clean Session 0", AboutThroughput, atQoS(1, inPairs, persistent)},
	{"pairs-50-w1000-qos2-kept", "the same at QoS 2", AboutThroughput, atQoS(2, inPairs, persistent)},
	{"pairs-50-1k-qos1-kept", "50 publishers with a subscriber each, Clean Session 0, 1,000 deliveries/s, QoS 1", AboutLatency, atQoS(1, inPairs, atRate(1000), persistent)},
}

// atQoS returns a change to a QoS, and others beside it.
func atQoS(qos int, others ...func(*Config)) func(*Config) {
	return func(c *Config) {
		c.QoS = qos
		for _, change := range others {
			change(c)
		}
	}
}

func inPairs(c *Config) { c.Topic, c.Window = "bench/%i", 1000 }

func persistent(c *Config) { c.Persistent = true }

func atRate(messagesPerSecond float64) func(*Config) {
	return func(c *Config) { c.RatePerSecond = messagesPerSecond }
}

// FindScenario returns the scenario of a name; the error names all there are.
func FindScenario(name string) (Scenario, error) {
	names := make([]string, len(scenarios))
	for i, s := range scenarios {
		if s.Name == name {
			return s, nil
		}
		names[i] = s.Name
	}
	return Scenario{}, fmt.Errorf("%w: scenario %q is not known, it is one of %s", ErrConfig, clip(name), strings.Join(names, ", "))
}

// Config returns the scenario's configuration.
func (s Scenario) Config() Config {
	c := DefaultConfig()
	c.Scenario, c.Duration, c.Warmup = s.Name, scenarioTime, scenarioWarmup
	s.change(&c)
	return c
}

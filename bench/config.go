package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Limits of a Config; all chosen.
const (
	connectionsMax    = 60_000  // publishers and subscribers together; a source address has 64 Ki ports
	payloadBytesMax   = 1 << 20 // 1 MiB
	windowMax         = 10_000_000
	rateMaxPerSecond  = 1e9
	topicBytesMax     = 65_535    // [MQTT-1.5.3]: a string's length has two bytes
	topicsMax         = 1_000_000 // of all publishers together
	connectsMax       = 4096      // under way at once; more than a listen backlog only makes them wait
	sampleIntervalMin = 10 * time.Millisecond
	timeMax           = 24 * time.Hour // of duration and warm-up
)

// ErrConfig is wrapped by every error that Config.Validate returns.
var ErrConfig = errors.New("bench: invalid configuration")

// Config describes one run. Start from DefaultConfig; the zero value is not valid.
type Config struct {
	// Scenario is the name under which the numbers below are known, recorded in the Result. Default: empty.
	Scenario string
	// Host is the broker's name or address. Default 127.0.0.1.
	Host string
	// Port is the broker's TCP port, 1 to 65535. Default 1883.
	Port int
	// Sources are the local IP addresses that connections come from, in turn; when the ports of one
	// run out, about 28,000, more help: 127.0.0.2 and so on. Default: none, the kernel chooses.
	Sources []string
	// Connects is the number of connections being opened at the same time. Default 64.
	Connects int
	// ConnectsPerSecond bounds the pace at which connections are opened. 0, the default: no bound.
	ConnectsPerSecond float64
	// Publishers is the number of publishing connections. Default 50; 0: nothing is published.
	Publishers int
	// ConnectPerMessage makes publishers connect, publish one message and disconnect, each time.
	ConnectPerMessage bool
	// Subscribers is the number of subscribing connections. Default 50. Publishers and subscribers
	// together are at most 60,000.
	Subscribers int
	// Topic is the Topic Name published to. "%i" becomes the publisher's index, from 0; subscriber
	// i then reads what publisher i modulo Publishers writes (when nothing is published, "%i" is the
	// subscriber's own index). "%j" becomes the topic's index, see Topics. Default "bench/fanout".
	Topic string
	// Topics is the number of topics that each publisher takes in turn; above 1 the Topic needs "%j",
	// written with leading zeros. Default 1.
	Topics int
	// Filter is what subscribers subscribe to, with "%i" and "%j" as in Topic; with "%j" a subscriber
	// has one filter for each of the Topics. Empty, the default: the topic (or topics) published to.
	Filter string
	// PayloadBytes is the payload's size, from PayloadBytesMin to 1 MiB. Default 64.
	PayloadBytes int
	// RatePerSecond is the number of messages published per second, over all publishers. Above 0
	// the loop is open: messages have a send time whatever the broker does, and latency counts
	// from that time. 0, the default: closed loop, see Window.
	RatePerSecond float64
	// Window is the number of messages outstanding in a closed loop, over all publishers; each has
	// an equal share. A message is outstanding until every subscriber of its topic received it or
	// a later one of the same publisher and, above QoS 0, its publisher received the last acknowledgement. At least
	// Publishers. Default 100.
	Window int
	// Duration is the length of the measurement. Default 10 s.
	Duration time.Duration
	// Warmup is the load's length before the measurement. Default 2 s; 0: none.
	Warmup time.Duration
	// SampleInterval is the time from one Sample to the next, at least 10 ms. Default 1 s.
	SampleInterval time.Duration
	// QoS is what publishers publish at and subscribers ask for, 0 to 2. Default 0. A broker may grant
	// less, which the Result warns of.
	QoS int
	// Persistent makes subscribers connect with Clean Session 0, so that the broker keeps their sessions. They
	// unsubscribe at the end; an empty session for each stays behind. Default false.
	Persistent bool
	// PID is the broker's process, for CPU and memory. 0, the default: the process that listens on
	// the broker's port, when it runs on this machine. Its children are not counted.
	PID int
	// Command is recorded in the Result. Default: empty.
	Command []string
	// OnSample, unless nil, is called from one goroutine with each Sample as it is taken. It may
	// block: the load goes on, but later samples cover more time.
	OnSample func(Sample)
}

// DefaultConfig returns the 50/50 benchmark: 50 publishers, 50 subscribers, one topic, 64 bytes.
func DefaultConfig() Config {
	return Config{
		Host:           "127.0.0.1",
		Port:           1883,
		Connects:       64,
		Publishers:     50,
		Subscribers:    50,
		Topic:          "bench/fanout",
		Topics:         1,
		PayloadBytes:   64,
		Window:         100,
		Duration:       10 * time.Second,
		Warmup:         2 * time.Second,
		SampleInterval: time.Second,
	}
}

// Address returns host and port as the net package writes them.
func (c Config) Address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// Open reports whether the load is open loop: at a given rate, with no window.
func (c Config) Open() bool { return c.RatePerSecond > 0 }

// Validate returns nil or one error, of one line, that names every fault and wraps ErrConfig.
func (c Config) Validate() error {
	var faults []string
	require := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	require(c.Host != "", "host is empty")
	require(c.Port >= 1 && c.Port <= 65535, "port %d is not within 1 to 65535", c.Port)
	for _, source := range c.Sources {
		require(net.ParseIP(source) != nil, "source %q is not an IP address", clip(source))
	}
	require(c.Connects >= 1 && c.Connects <= connectsMax, "connects is %d, not within 1 to %d", c.Connects, connectsMax)
	require(c.ConnectsPerSecond >= 0 && c.ConnectsPerSecond <= rateMaxPerSecond, "connect rate %g is not within 0 to %g connections/s", c.ConnectsPerSecond, rateMaxPerSecond)
	require(c.Publishers >= 0, "publishers is %d, below 0", c.Publishers)
	require(c.Subscribers >= 0, "subscribers is %d, below 0", c.Subscribers)
	require(c.Publishers <= connectionsMax && c.Subscribers <= connectionsMax &&
		c.Publishers+c.Subscribers <= connectionsMax,
		"%d publishers and %d subscribers are more than %d connections", c.Publishers, c.Subscribers, connectionsMax)
	require(c.PayloadBytes >= PayloadBytesMin && c.PayloadBytes <= payloadBytesMax,
		"payload of %d bytes is not within %d to %d", c.PayloadBytes, PayloadBytesMin, payloadBytesMax)
	require(c.RatePerSecond >= 0 && c.RatePerSecond <= rateMaxPerSecond, "rate %g is not within 0 to %g messages/s", c.RatePerSecond, rateMaxPerSecond)
	require(!c.Open() || c.Publishers > 0, "rate %g needs a publisher", c.RatePerSecond)
	require(c.Open() || c.Window >= c.Publishers, "window of %d is smaller than one message for each of %d publishers", c.Window, c.Publishers)
	require(c.Window <= windowMax, "window of %d is larger than %d", c.Window, windowMax)
	require(c.Duration > 0 && c.Duration <= timeMax, "duration %v is not within 0 to %v, 0 excluded", c.Duration, timeMax)
	require(c.Warmup >= 0 && c.Warmup <= timeMax, "warmup %v is not within 0 to %v", c.Warmup, timeMax)
	require(c.SampleInterval >= sampleIntervalMin && c.SampleInterval <= timeMax, "sample interval %v is not within %v to %v", c.SampleInterval, sampleIntervalMin, timeMax)
	require(c.QoS >= 0 && c.QoS <= 2, "qos %d is not within 0 to 2", c.QoS)
	require(c.PID >= 0, "pid %d is below 0", c.PID)
	faults = append(faults, c.topicFaults()...)
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrConfig, strings.Join(faults, "; "))
}

func (c Config) topicFaults() []string {
	var faults []string
	if fault := topicFault(c.Topic); fault != "" {
		faults = append(faults, fault)
	}
	if fault := filterFault(c.Filter); c.Filter != "" && fault != "" {
		faults = append(faults, fault)
	}
	each := max(c.Publishers, 1)
	if c.Publishers == 0 {
		each = max(c.Subscribers, 1) // they may have topics of their own
	}
	if c.Topics < 1 || c.Topics > topicsMax || c.Topics > topicsMax/each {
		faults = append(faults, fmt.Sprintf("topics is %d for each of %d clients, not within 1 to %d together", c.Topics, each, topicsMax))
	} else if c.Topics > 1 && !strings.Contains(c.Topic, topicPattern) {
		faults = append(faults, fmt.Sprintf("%d topics need %s in the topic %q", c.Topics, topicPattern, clip(c.Topic)))
	}
	if len(faults) > 0 || c.Publishers < 0 || c.Publishers > connectionsMax || c.Subscribers < 0 || c.Subscribers > connectionsMax {
		return faults
	}
	p := newPlan(c)
	if unread := p.unread(); unread > 0 && !c.Open() {
		faults = append(faults, fmt.Sprintf("%d of %d publishers have no subscriber, which only an open loop (rate above 0) allows", unread, c.Publishers))
	}
	return faults
}

// configJSON is Config's form in JSON: times in seconds, and nothing that a reader cannot use.
type configJSON struct {
	Scenario              string   `json:"scenario,omitempty"`
	Host                  string   `json:"host"`
	Port                  int      `json:"port"`
	Sources               []string `json:"sources,omitempty"`
	Connects              int      `json:"connects"`
	ConnectsPerSecond     float64  `json:"connects_per_second"`
	Publishers            int      `json:"publishers"`
	ConnectPerMessage     bool     `json:"connect_per_message"`
	Subscribers           int      `json:"subscribers"`
	Topic                 string   `json:"topic"`
	Topics                int      `json:"topics"`
	Filter                string   `json:"filter"`
	PayloadBytes          int      `json:"payload_bytes"`
	RatePerSecond         float64  `json:"rate_per_second"`
	Window                int      `json:"window"`
	DurationSeconds       float64  `json:"duration_seconds"`
	WarmupSeconds         float64  `json:"warmup_seconds"`
	SampleIntervalSeconds float64  `json:"sample_interval_seconds"`
	QoS                   int      `json:"qos"`
	Persistent            bool     `json:"persistent,omitempty"`
	PID                   int      `json:"pid"`
}

// MarshalJSON writes times as seconds, and leaves out what a reader cannot use.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(configJSON{
		c.Scenario, c.Host, c.Port, c.Sources, c.Connects, c.ConnectsPerSecond, c.Publishers, c.ConnectPerMessage,
		c.Subscribers, c.Topic, c.Topics, c.Filter, c.PayloadBytes, c.RatePerSecond, c.Window,
		c.Duration.Seconds(), c.Warmup.Seconds(), c.SampleInterval.Seconds(), c.QoS, c.Persistent, c.PID,
	})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Config) UnmarshalJSON(text []byte) error {
	var j configJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*c = Config{
		Scenario: j.Scenario, Host: j.Host, Port: j.Port, Sources: j.Sources, Connects: j.Connects,
		ConnectsPerSecond: j.ConnectsPerSecond, Publishers: j.Publishers, ConnectPerMessage: j.ConnectPerMessage,
		Subscribers: j.Subscribers, Topic: j.Topic, Topics: j.Topics, Filter: j.Filter, PayloadBytes: j.PayloadBytes,
		RatePerSecond: j.RatePerSecond, Window: j.Window, Duration: fromSeconds(j.DurationSeconds),
		Warmup: fromSeconds(j.WarmupSeconds), SampleInterval: fromSeconds(j.SampleIntervalSeconds), QoS: j.QoS, Persistent: j.Persistent, PID: j.PID,
	}
	return nil
}

func fromSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

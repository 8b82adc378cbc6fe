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
	topicBytesMax     = 65_535 // [MQTT-1.5.3]: a string's length has two bytes
	topicIndexPattern = "%i"
)

// ErrConfig is wrapped by every error that Config.Validate returns.
var ErrConfig = errors.New("bench: invalid configuration")

// Config describes one run. Start from DefaultConfig; the zero value is not valid.
type Config struct {
	// Host is the broker's name or address. Default 127.0.0.1.
	Host string
	// Port is the broker's TCP port, 1 to 65535. Default 1883.
	Port int
	// Publishers is the number of publishing connections, at least 1. Default 50.
	Publishers int
	// Subscribers is the number of subscribing connections, at least 1. Default 50.
	// Publishers and subscribers together are at most 60,000.
	Subscribers int
	// Topic is the Topic Name published to. "%i" becomes the publisher's index, from 0; subscriber
	// i then reads topic i modulo Publishers. Default "bench/fanout".
	Topic string
	// Filter is the Topic Filter of every subscriber. Empty: the topic (or topics) published to.
	Filter string
	// PayloadBytes is the payload's size, from PayloadBytesMin to 1 MiB. Default 64.
	PayloadBytes int
	// RatePerSecond is the number of messages published per second, over all publishers. Above 0
	// the loop is open: messages have a send time whatever the broker does, and latency counts
	// from that time. 0, the default: closed loop, see Window.
	RatePerSecond float64
	// Window is the number of messages outstanding in a closed loop, over all publishers; each has
	// an equal share. A message is outstanding until every subscriber of its topic received it or
	// a later one of the same publisher. At least Publishers. Default 2000.
	Window int
	// Duration is the length of the measurement. Default 10 s.
	Duration time.Duration
	// Warmup is the load's length before the measurement. Default 2 s; 0: none.
	Warmup time.Duration
	// QoS is the quality of service. Only 0 is supported.
	QoS int
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
		Host:         "127.0.0.1",
		Port:         1883,
		Publishers:   50,
		Subscribers:  50,
		Topic:        "bench/fanout",
		PayloadBytes: 64,
		Window:       2000,
		Duration:     10 * time.Second,
		Warmup:       2 * time.Second,
	}
}

// Address returns host and port as the net package writes them.
func (c Config) Address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// Open reports whether the load is open loop: at a given rate, with no window.
func (c Config) Open() bool { return c.RatePerSecond > 0 }

// timeMax bounds the duration and the warm-up; chosen.
const timeMax = 24 * time.Hour

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
	require(c.Publishers >= 1, "publishers is %d, at least 1 is needed", c.Publishers)
	require(c.Subscribers >= 1, "subscribers is %d, at least 1 is needed", c.Subscribers)
	require(c.Publishers <= connectionsMax && c.Subscribers <= connectionsMax &&
		c.Publishers+c.Subscribers <= connectionsMax,
		"%d publishers and %d subscribers are more than %d connections", c.Publishers, c.Subscribers, connectionsMax)
	require(c.PayloadBytes >= PayloadBytesMin && c.PayloadBytes <= payloadBytesMax,
		"payload of %d bytes is not within %d to %d", c.PayloadBytes, PayloadBytesMin, payloadBytesMax)
	require(c.RatePerSecond >= 0 && c.RatePerSecond <= rateMaxPerSecond, "rate %g is not within 0 to %g messages/s", c.RatePerSecond, rateMaxPerSecond)
	require(c.Open() || c.Window >= c.Publishers, "window of %d is smaller than one message for each of %d publishers", c.Window, c.Publishers)
	require(c.Window <= windowMax, "window of %d is larger than %d", c.Window, windowMax)
	require(c.Duration > 0 && c.Duration <= timeMax, "duration %v is not within 0 to %v, 0 excluded", c.Duration, timeMax)
	require(c.Warmup >= 0 && c.Warmup <= timeMax, "warmup %v is not within 0 to %v", c.Warmup, timeMax)
	require(c.QoS == 0, "qos %d is not supported, only 0 is for now", c.QoS)
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
	if len(faults) > 0 || c.Publishers < 1 || c.Publishers > connectionsMax || c.Subscribers < 1 {
		return faults
	}
	p := newPlan(c)
	if unread := p.unread(); unread > 0 && !c.Open() {
		faults = append(faults, fmt.Sprintf("%d of %d publishers have no subscriber, which only an open loop (rate above 0) allows", unread, c.Publishers))
	}
	return faults
}

// MarshalJSON writes durations as seconds, and leaves out what a reader cannot use.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Host            string  `json:"host"`
		Port            int     `json:"port"`
		Publishers      int     `json:"publishers"`
		Subscribers     int     `json:"subscribers"`
		Topic           string  `json:"topic"`
		Filter          string  `json:"filter"`
		PayloadBytes    int     `json:"payload_bytes"`
		RatePerSecond   float64 `json:"rate_per_second"`
		Window          int     `json:"window"`
		DurationSeconds float64 `json:"duration_seconds"`
		WarmupSeconds   float64 `json:"warmup_seconds"`
		QoS             int     `json:"qos"`
		PID             int     `json:"pid"`
	}{
		c.Host, c.Port, c.Publishers, c.Subscribers, c.Topic, c.Filter, c.PayloadBytes, c.RatePerSecond,
		c.Window, c.Duration.Seconds(), c.Warmup.Seconds(), c.QoS, c.PID,
	})
}

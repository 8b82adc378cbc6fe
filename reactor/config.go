package reactor

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/rs/zerolog"

	"mqttd/codec"
	"mqttd/router"
	"mqttd/session"
	"mqttd/session/store"
)

// Config says how a Server behaves. Start from DefaultConfig: the zero value is not valid.
type Config struct {
	// Host is the address or host name to listen on. Empty: all addresses.
	Host string
	// Port is the TCP port, 0 to 65535. 0: one that is free, see Server.Addr.
	Port int
	// Loops is the number of event loops, 1 to LoopsMax. More loops than CPUs cost
	// throughput.
	Loops int
	// MaxClients is the number of client slots, at least 1. New lowers it when the
	// descriptor limit of the process is smaller; Server.Limits tells.
	MaxClients int
	// MaxPacketBytes is the largest packet accepted of a connected client, in bytes with
	// its fixed header, PacketBytesMin to PacketBytesMax. A larger one closes the connection
	// as soon as its fixed header announces it.
	MaxPacketBytes int
	// ConnectTimeout is how long a connection may take to send its CONNECT, 1 s to 1 h,
	// kept to within 2 s.
	ConnectTimeout time.Duration
	// ConnectRate is how many connections are accepted per second, 0 to ConnectRateMax; 0: as many
	// as come. Those above it wait in the kernel's backlog; when that fills up or the wait
	// would exceed ConnectTimeout, the oldest is closed and counted.
	ConnectRate int
	// ConnectBurst is how many are accepted at once after a quiet time, 1 to ConnectBurstMax.
	ConnectBurst int
	// ConnectBytesMax is the largest CONNECT accepted, PacketBytesMin to 1 MiB, and how much input is
	// held for a connection that waits for the end of another.
	ConnectBytesMax int
	// ClientIDBytesMax is the longest Client Identifier, 23 [MQTT-3.1.3-5] to 65,535 bytes; a longer one
	// is refused with 0x02.
	ClientIDBytesMax int
	// WillBytesMax is the largest payload of a Will, 0 to 64 KiB; a larger one closes the connection.
	WillBytesMax int

	// ClientBufferBytes bounds what waits for one slow reader, at least ClientBufferBytesMin. Beyond it
	// SlowPolicy decides.
	ClientBufferBytes int
	// TotalBufferBytes bounds what waits for all readers together, at least ClientBufferBytesMin; 0: a
	// quarter of the memory, at most 1 GiB. At the limit the connection for which most waits is closed.
	TotalBufferBytes int
	// SlowPolicy says which messages a reader loses that is behind.
	SlowPolicy SlowPolicy
	// StallTimeout is how long a reader for which something waits may take nothing, 1 s to 1 h, until
	// its connection is closed, kept to within 2 s.
	StallTimeout time.Duration

	// Topics bounds Topic Names and Topic Filters. A PUBLISH beyond it closes the connection, a filter is
	// answered with 0x80.
	Topics codec.TopicLimits
	// FiltersMax is how many filters a client may have, SubscribeFiltersMax how many of a SUBSCRIBE are
	// looked at, at least 1 each. Those beyond are answered with 0x80.
	FiltersMax, SubscribeFiltersMax int
	// RetainedMessagesMax and RetainedBytesMax bound the retained messages, 0: none. Those beyond are
	// delivered but not retained.
	RetainedMessagesMax, RetainedBytesMax int

	// MaxInflight is how many QoS 1 and 2 messages may be on their way to a client, sent and not acknowledged to
	// the end, 1 to MaxInflightMax. Those beyond wait in the client's queue.
	MaxInflight int
	// QueuedMessagesMax, 1 to QueuedMessagesLimit, bounds what waits behind that for one client, connected or not,
	// QueuedBytesMax, 1 to 1 GiB, all of it with what keeps the books; one message at least has room. The newest is
	// dropped.
	QueuedMessagesMax, QueuedBytesMax int
	// TotalQueueBytes bounds the memory of the messages in all queues, one in several counted once, at least
	// ClientBufferBytesMin; 0: a quarter of the memory, at most 1 GiB. The newest message is dropped at the limit, and
	// at seven eighths of it when it cannot be sent at once: who is away or slow leaves the others room.
	TotalQueueBytes int
	// SessionsMax is how many Sessions are kept of clients that are away, at most as many as MaxClients may be;
	// 0: half of MaxClients. At the limit the one that has been away longest ends.
	SessionsMax int
	// SessionExpiry is how long the Session of a client that is away is kept, 1 s to SessionExpiryMax.
	SessionExpiry time.Duration
	// DataDir is the directory in which Sessions and retained messages outlive the process. Empty: they do not.
	DataDir string
	// Sync says when what DataDir is to hold reaches the disk: "always", before it is acknowledged, or "interval",
	// every SyncInterval, of which the end of the process may take the last. Without DataDir it must be the default.
	Sync string
	// SyncInterval is the time between two writes to the disk with Sync "interval", SyncIntervalMin to TimeoutMax.
	// Without DataDir it must be the default.
	SyncInterval time.Duration

	// LogLinesPerSecond bounds the log lines of each kind whose number clients decide, at least 1. Those
	// beyond are collapsed to a count.
	LogLinesPerSecond int
	// SysInterval is the time between two rounds of $SYS messages, 1 s to 1 h. 0: there are none.
	SysInterval time.Duration
	// Version is what $SYS/broker/version tells after the broker's name.
	Version string
	// Authenticate, when set, decides on every CONNECT that is otherwise acceptable; nil
	// accepts all. It runs on an event loop and must not block; p is borrowed for the call.
	Authenticate func(p *codec.Connect) codec.ConnackCode
	// Log gets the server's events. Its writer should not block.
	Log zerolog.Logger
}

// Bounds of Config.
const (
	LoopsMax             = 256
	PacketBytesMin       = 128
	PacketBytesMax       = 268_435_460 // the protocol's: four length bytes of seven bits, and a header of five
	ClientBufferBytesMin = 1 << 10
	TimeoutMin           = time.Second
	TimeoutMax           = time.Hour
	ConnectRateMax       = 1_000_000
	ConnectBurstMax      = 1_000_000
	MaxInflightMax       = 1000
	QueuedMessagesLimit  = session.QueueMax
	SessionExpiryMax     = 10 * 365 * 24 * time.Hour
	SyncIntervalMin      = store.IntervalMin
)

// Fixed settings of sockets. (chosen)
const (
	// A peer that lost its power is found out after two minutes, whatever its Keep Alive.
	tcpKeepAliveIdle     = time.Minute
	tcpKeepAliveInterval = 12 * time.Second
	tcpKeepAliveProbes   = 5

	sendBufferBytes = 256 << 10 // per socket: or the kernel hides a slow reader behind megabytes of stale data
)

// DefaultConfig returns the defaults: port 1883 on all addresses, a loop per CPU.
func DefaultConfig() Config {
	return Config{
		Port:                1883,
		Loops:               runtime.NumCPU(),
		MaxClients:          10_000,
		MaxPacketBytes:      1 << 20,
		ConnectTimeout:      10 * time.Second,
		ConnectRate:         1000,
		ConnectBurst:        5000,
		ConnectBytesMax:     64 << 10,
		ClientIDBytesMax:    256,
		WillBytesMax:        64 << 10,
		ClientBufferBytes:   1 << 20,
		StallTimeout:        10 * time.Second,
		Topics:              codec.DefaultTopicLimits,
		FiltersMax:          10_000,
		SubscribeFiltersMax: 1000,
		RetainedMessagesMax: router.RetainedMessagesMax,
		RetainedBytesMax:    router.RetainedBytesMax,
		MaxInflight:         20,
		QueuedMessagesMax:   1000,
		QueuedBytesMax:      16 << 20,
		SessionExpiry:       24 * time.Hour,
		Sync:                "interval",
		SyncInterval:        time.Second,
		LogLinesPerSecond:   100,
		SysInterval:         10 * time.Second,
		Version:             "dev",
		Log:                 zerolog.Nop(),
	}
}

// Validate returns every fault of the configuration at once, nil if there is none.
func (c *Config) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	between := func(flag string, n, least, most int, unit string) {
		check(n >= least && n <= most, "%s %d: want %d to %d%s", flag, n, least, most, unit)
	}
	lasts := func(flag string, d, least, most time.Duration) {
		check(d >= least && d <= most, "%s %v: want %v to %v", flag, d, least, most)
	}
	between("port", c.Port, 0, 65535, "")
	between("loops", c.Loops, 1, LoopsMax, "")
	between("max-clients", c.MaxClients, 1, clientsMax, "")
	between("max-packet-size", c.MaxPacketBytes, PacketBytesMin, PacketBytesMax, " bytes")
	lasts("connect-timeout", c.ConnectTimeout, TimeoutMin, TimeoutMax)
	between("connect-rate", c.ConnectRate, 0, ConnectRateMax, "")
	between("connect-burst", c.ConnectBurst, 1, ConnectBurstMax, "")
	between("max-connect-size", c.ConnectBytesMax, PacketBytesMin, 1<<20, " bytes")
	between("max-client-id", c.ClientIDBytesMax, 23, stringBytesMax, " bytes")
	between("max-will-size", c.WillBytesMax, 0, 64<<10, " bytes")
	between("client-buffer", c.ClientBufferBytes, ClientBufferBytesMin, bufferBytesMax, " bytes")
	check(c.TotalBufferBytes == 0 || c.TotalBufferBytes >= ClientBufferBytesMin,
		"total-buffer %d: want %d bytes at least, or 0", c.TotalBufferBytes, ClientBufferBytesMin)
	check(c.SlowPolicy < slowPolicies, "slow-policy %v: want one that is known", c.SlowPolicy)
	lasts("stall-timeout", c.StallTimeout, TimeoutMin, TimeoutMax)
	between("max-topic-length", c.Topics.Bytes, 1, stringBytesMax, " bytes")
	between("max-topic-levels", c.Topics.Levels, 1, topicLevelsMax, "")
	between("max-filters", c.FiltersMax, 1, filtersMax, "")
	between("max-subscribe-filters", c.SubscribeFiltersMax, 1, filtersMax, "")
	between("max-retained", c.RetainedMessagesMax, 0, math.MaxInt32, "")
	check(c.RetainedBytesMax >= 0, "max-retained-bytes %d: want 0 at least", c.RetainedBytesMax)
	between("max-inflight", c.MaxInflight, 1, MaxInflightMax, "")
	between("max-queued-messages", c.QueuedMessagesMax, 1, QueuedMessagesLimit, "")
	between("max-queued-bytes", c.QueuedBytesMax, 1, bufferBytesMax, " bytes")
	check(c.TotalQueueBytes == 0 || c.TotalQueueBytes >= ClientBufferBytesMin,
		"total-queue %d: want %d bytes at least, or 0", c.TotalQueueBytes, ClientBufferBytesMin)
	between("max-sessions", c.SessionsMax, 0, clientsMax, "")
	lasts("session-expiry", c.SessionExpiry, time.Second, SessionExpiryMax)
	_, err := store.ParseSync(c.Sync)
	check(err == nil, "sync %q: want always or interval", c.Sync)
	lasts("sync-interval", c.SyncInterval, SyncIntervalMin, TimeoutMax)
	if c.DataDir == "" { // whoever asks for one of these counts on something being kept
		check(c.Sync != "always", "sync %s: nothing is kept without -data-dir", c.Sync)
		check(c.SyncInterval == DefaultConfig().SyncInterval,
			"sync-interval %v: nothing is kept without -data-dir", c.SyncInterval)
	}
	between("log-rate", c.LogLinesPerSecond, 1, math.MaxInt32, "")
	check(c.SysInterval == 0 || c.SysInterval >= TimeoutMin && c.SysInterval <= TimeoutMax,
		"sys-interval %v: want %v to %v, or 0", c.SysInterval, TimeoutMin, TimeoutMax)
	return errors.Join(faults...)
}

// packetBytesMax is the largest packet that a connection may send in a state.
func (c *Config) packetBytesMax(state session.State) int {
	if state == session.AwaitConnect {
		return min(c.ConnectBytesMax, c.MaxPacketBytes)
	}
	return c.MaxPacketBytes
}

// repliesBytesMax is how much may wait for a client that is sent a reply.
func (c *Config) repliesBytesMax() int {
	return max(c.ClientBufferBytes, c.MaxPacketBytes+flushBytes) + repliesRoom
}

const (
	clientsMax     = 1 << 24
	bufferBytesMax = 1 << 30
	stringBytesMax = 65_535 // the protocol's [MQTT-1.5.3]
	topicLevelsMax = 4096   // chosen: a walk through the subscriptions may take as many steps
	filtersMax     = 1 << 24
)

package reactor

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/rs/zerolog"

	"mqttd/codec"
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
	// ClientBufferBytes bounds what waits for one slow reader, at least ClientBufferBytesMin.
	// Beyond it QoS 0 messages for that reader are dropped and counted.
	ClientBufferBytes int
	// ConnectTimeout is how long a connection may take to send its CONNECT, 1 s to 1 h,
	// kept to within 2 s.
	ConnectTimeout time.Duration
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
	ConnectTimeoutMin    = time.Second
	ConnectTimeoutMax    = time.Hour
)

// Fixed limits; what happens at each is said where it is used. (chosen)
const (
	connectBytesMax     = 64 << 10 // first packet, and input held for a parked connection
	clientIDBytesMax    = 256
	filtersPerSubscribe = 1000

	// A peer that lost its power is found out after two minutes, whatever its Keep Alive.
	tcpKeepAliveIdle     = time.Minute
	tcpKeepAliveInterval = 12 * time.Second
	tcpKeepAliveProbes   = 5

	sendBufferBytes = 256 << 10 // per socket: or the kernel hides a slow reader behind megabytes of stale data
)

// DefaultConfig returns the defaults: port 1883 on all addresses, a loop per CPU.
func DefaultConfig() Config {
	return Config{
		Port:              1883,
		Loops:             runtime.NumCPU(),
		MaxClients:        10_000,
		MaxPacketBytes:    1 << 20,
		ClientBufferBytes: 1 << 20,
		ConnectTimeout:    10 * time.Second,
		Log:               zerolog.Nop(),
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
	check(c.Port >= 0 && c.Port <= 65535, "port %d: want 0 to 65535", c.Port)
	check(c.Loops >= 1 && c.Loops <= LoopsMax, "loops %d: want 1 to %d", c.Loops, LoopsMax)
	check(c.MaxClients >= 1 && c.MaxClients <= clientsMax, "max-clients %d: want 1 to %d", c.MaxClients, clientsMax)
	check(c.MaxPacketBytes >= PacketBytesMin && c.MaxPacketBytes <= PacketBytesMax,
		"max-packet-size %d: want %d to %d bytes", c.MaxPacketBytes, PacketBytesMin, PacketBytesMax)
	check(c.ClientBufferBytes >= ClientBufferBytesMin && c.ClientBufferBytes <= clientBufferBytesMax,
		"client-buffer %d: want %d to %d bytes", c.ClientBufferBytes, ClientBufferBytesMin, clientBufferBytesMax)
	check(c.ConnectTimeout >= ConnectTimeoutMin && c.ConnectTimeout <= ConnectTimeoutMax,
		"connect-timeout %v: want %v to %v", c.ConnectTimeout, ConnectTimeoutMin, ConnectTimeoutMax)
	return errors.Join(faults...)
}

const (
	clientsMax           = 1 << 24
	clientBufferBytesMax = 1 << 30
)

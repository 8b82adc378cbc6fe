package main_test

import (
	"flag"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var idleConnections = flag.Int("idle-connections", 1000, "idle connections that TestIdleConnections holds, more than 100")

// idleBytesMax is the resident memory that an idle connection with one subscription may cost. It is
// a multiple of what is measured, to catch a buffer per connection and not the garbage collector's
// mood.
const idleBytesMax = 8 << 10

// TestIdleConnections measures the broker's resident memory per idle connection with a
// subscription of its own.
func TestIdleConnections(t *testing.T) {
	b := startBroker(t)
	requireOwnBroker(t)
	hold := func(from, to int) {
		for i := from; i < to; i++ {
			// Loopback addresses in turn, so that no pair of addresses runs out of ports.
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%8))}}
			c, err := dialer.Dial("tcp", net.JoinHostPort(b.host, b.port))
			require.NoError(t, err)
			t.Cleanup(func() { c.Close() })
			topic := fmt.Sprintf("idle/%05d", i)
			raw(t, c, "\x10\x11\x00\x04MQTT\x04\x02\x00\x00\x00\x05"+topic[5:]+
				"\x82\x0f\x00\x01\x00\x0a"+topic+"\x00")
			require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
			answer := make([]byte, 9)
			for n := 0; n < len(answer); {
				more, err := c.Read(answer[n:])
				require.NoError(t, err)
				n += more
			}
			require.Equal(t, "\x20\x02\x00\x00\x90\x03\x00\x01\x00", string(answer))
		}
	}
	const first = 100 // what the first ones cost is the process's own warming up
	hold(0, first)
	before := residentBytes(t, b)
	hold(first, *idleConnections)
	after := residentBytes(t, b)
	perConnection := (after - before) / (*idleConnections - first)
	t.Logf("%d idle connections with a subscription each: resident %d KiB -> %d KiB, %d bytes per connection",
		*idleConnections, before>>10, after>>10, perConnection)
	if !raceDetector() {
		assert.Less(t, perConnection, idleBytesMax)
	}
}

func residentBytes(t *testing.T, b *broker) int {
	t.Helper()
	p, err := procfs.NewProc(b.cmd.Process.Pid)
	require.NoError(t, err)
	status, err := p.NewStatus()
	require.NoError(t, err)
	return int(status.VmRSS)
}

package reactor

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mqttd/reactor/conformance"
)

// TestConformance holds the broker to MQTT 3.1.1 at all QoS, with one loop and with several, and over a restart.
func TestConformance(t *testing.T) {
	for loops, sync := range map[int]string{1: "interval", 2: "always", 8: "interval"} {
		t.Run(fmt.Sprint(loops, " loops, -sync ", sync), func(t *testing.T) {
			directory, port := t.TempDir(), 0
			configure := func(c *Config) {
				c.Loops, c.ConnectTimeout, c.DataDir, c.Sync, c.Port = loops, 2*time.Second, directory, sync, port
				c.ClientBufferBytes = 64 << 20 // some subscribe to #: they get what all cases send, at the pace of a busy machine
			}
			s, stop := startUntil(t, configure)
			t.Run("rules", func(t *testing.T) { // ends when all of its parallel cases have
				conformance.Run(t, conformance.Target{
					Address:            s.Addr(),
					MaxQoS:             2,
					PersistentSessions: true,
					MaxInflight:        s.config.MaxInflight,
					MaxPacketBytes:     s.config.MaxPacketBytes,
					ConnectTimeout:     s.config.ConnectTimeout,
					KeepAliveSlack:     10 * time.Second, // on a machine that has much else to do
					Restart: func() error {
						_, text, err := net.SplitHostPort(s.Addr())
						require.NoError(t, err)
						port, err = strconv.Atoi(text)
						require.NoError(t, err)
						stop()
						s, stop = startUntil(t, configure)
						return nil
					},
				})
			})
		})
	}
}

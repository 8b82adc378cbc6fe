package reactor

import (
	"fmt"
	"testing"
	"time"

	"mqttd/reactor/conformance"
)

// TestConformance holds the broker to MQTT 3.1.1, with one loop and with several.
func TestConformance(t *testing.T) {
	for _, loops := range []int{1, 4} {
		t.Run(fmt.Sprint(loops, " loops"), func(t *testing.T) {
			s := start(t, func(c *Config) { c.Loops, c.ConnectTimeout = loops, 2*time.Second })
			t.Run("rules", func(t *testing.T) { // ends when all of its parallel cases have
				conformance.Run(t, conformance.Target{
					Address:        s.Addr(),
					MaxPacketBytes: s.config.MaxPacketBytes,
					MaxQoS:         2, PersistentSessions: true,
					ConnectTimeout: s.config.ConnectTimeout,
					KeepAliveSlack: 10 * time.Second, // on a machine that has much else to do
				})
			})
		})
	}
}

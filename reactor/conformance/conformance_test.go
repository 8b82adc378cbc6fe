package conformance

import (
	"flag"
	"testing"
	"time"
)

var (
	brokerFlag = flag.String("broker", "",
		"address (host:port) of the broker to test; without it, Debian's mosquitto is started")
	mosquittoFlag = flag.Bool("mosquitto", false,
		"the broker at -broker is mosquitto: expect its deviations")
	maxQoSFlag = flag.Uint("max-qos", 2,
		"highest QoS that the broker at -broker grants")
	sessionsFlag = flag.Bool("sessions", true,
		"the broker at -broker keeps Sessions with Clean Session 0")
	maxInflightFlag = flag.Int("max-inflight", 0,
		"how many unacknowledged messages the broker at -broker sends to a client; 0 is unknown")
	maxPacketBytesFlag = flag.Int("max-packet-bytes", 0,
		"largest packet that the broker at -broker takes; 0 is unknown")
	connectTimeoutFlag = flag.Duration("connect-timeout", 0,
		"how long the broker at -broker waits for CONNECT; 0 is unknown")
)

// TestBroker runs the suite against the broker at -broker, or else against a mosquitto of its own.
func TestBroker(t *testing.T) {
	target := Target{
		Address: *brokerFlag, MaxQoS: byte(*maxQoSFlag), PersistentSessions: *sessionsFlag, MaxInflight: *maxInflightFlag,
		MaxPacketBytes: *maxPacketBytesFlag, ConnectTimeout: *connectTimeoutFlag,
	}
	if *brokerFlag == "" || *mosquittoFlag {
		target.MaxInflight = mosquittoMaxInflight
		target.KeepAliveSlack = mosquittoKeepAliveSlack
		target.Deviations = mosquittoDeviations
	}
	if *brokerFlag == "" {
		broker := startMosquitto(t, "persistence true")
		target.Address, target.Restart = broker.address, broker.restart
	}
	start := time.Now()
	Run(t, target)
	t.Logf("%d cases in %v", len(allCases()), time.Since(start).Round(time.Millisecond))
}

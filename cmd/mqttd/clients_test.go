// The end-to-end test: the broker as built, and the clients that people have, unmodified.
//
// Every test starts its own broker on a free port of the loopback address, and expects it to stop
// cleanly. With MQTTD_TEST_BROKER=host:port the tests aim at the broker that listens there instead.
// A client that is not installed fails the test, so that nothing is left out unseen; with -short it
// is left out.
package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// patience is how long a test waits for anything that should happen at once (chosen: far above
	// what a loaded machine needs).
	patience = time.Minute
	// attempts is how often a test may try what a machine that stands still for seconds spoils (chosen).
	attempts = 3
)

func TestMain(m *testing.M) {
	os.Exit(runWithBroker(m))
}

// client is a tool under test.
type client struct {
	name string
	// require fails the test when the tool is not installed.
	require func(t *testing.T)
	// publish sends the messages in order over one connection (mosquitto_pub: one each), ends with
	// DISCONNECT, and returns when each message is complete at its QoS.
	publish func(on connection, messages ...message) error
	// subscribe connects, sends one SUBSCRIBE and returns after the SUBACK.
	subscribe func(t *testing.T, on connection, qos byte, filters ...string) *subscription
}

var clients = []client{mosquitto, paho, mqttjs}

// forEachClient runs the story with each client, side by side.
func forEachClient(t *testing.T, story func(t *testing.T, c client)) {
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.require(t)
			story(t, c)
		})
	}
}

// message is an Application Message, as it is published and as a client reports it.
type message struct {
	Topic   string `json:"topic"`
	Payload string `json:"payload"`
	QoS     byte   `json:"qos"`
	Retain  byte   `json:"retain"` // the RETAIN flag as it is on the wire: 0 or 1
}

// connection is what a client puts into its CONNECT. Used twice, it is a takeover.
type connection struct {
	host, port       string
	clientID         string
	version          byte // the Protocol Level: 3 is MQTT 3.1, 4 is MQTT 3.1.1
	keepAliveSeconds int  // 0 turns the Keep Alive off
	will             *message
}

// freshTopic returns a topic of the test's own, also when many runs aim at one broker.
func freshTopic(t *testing.T) string {
	return fmt.Sprint(t.Name(), "/", os.Getpid())
}

var connectionCount atomic.Uint32

// connect returns a connection with a Client Identifier of its own.
func (b *broker) connect() connection {
	return connection{
		host:             b.host,
		port:             b.port,
		clientID:         fmt.Sprintf("client-%d-%d", os.Getpid(), connectionCount.Add(1)),
		version:          4,
		keepAliveSeconds: 60,
	}
}

// await returns the next value and fails the test when none comes.
func await[T any](t *testing.T, values <-chan T, what string) T {
	t.Helper()
	select {
	case value := <-values:
		return value
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

// requireProgram fails the test, with what to do about it, when a program is not installed.
func requireProgram(t *testing.T, name, debianPackage string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		missing(t, fmt.Sprintf("%s is not installed: apt-get install %s", name, debianPackage))
	}
}

func missing(t *testing.T, why string) {
	t.Helper()
	if testing.Short() {
		t.Skip(why)
	}
	t.Fatal(why)
}

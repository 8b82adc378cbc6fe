package main_test

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sysFormat matches the payloads that Mosquitto writes.
var sysFormat = regexp.MustCompile(`^(\d+|\d+\.\d\d|\d+ seconds|\S+ version \S+)$`)

// A monitor made for Mosquitto finds the same topics here, in the same format.
func TestSysTreeIsLikeMosquittos(t *testing.T) {
	mosquitto.require(t)
	requireProgram(t, "mosquitto", "mosquitto")
	requireOwnBroker(t)
	ours := sysTree(t, startBroker(t))
	theirs := sysTree(t, startMosquitto(t))
	for topic, payload := range theirs {
		if _, both := ours[topic]; both {
			assert.Equal(t, shape(payload), shape(ours[topic]), topic)
			continue
		}
		t.Logf("only mosquitto: %s = %s", topic, payload)
		assert.Contains(t, notServed, topic)
	}
	for topic, payload := range ours {
		if _, both := theirs[topic]; !both {
			t.Logf("only mqttd: %s = %s", topic, payload)
		}
		if strings.HasPrefix(topic, "$SYS/broker/") {
			assert.Regexp(t, sysFormat, payload, topic)
		}
	}
}

// notServed are the topics of Mosquitto's that there are not.
var notServed = []string{"$SYS/broker/publish/bytes/sent"}

// shape is a payload with its digits made alike, and the name of the broker.
func shape(payload string) string {
	payload = regexp.MustCompile(`^\S+ version \S+`).ReplaceAllString(payload, "broker version")
	return regexp.MustCompile(`\d+`).ReplaceAllString(payload, "0")
}

// sysTree returns what a new subscriber to $SYS/# gets at once: topic -> payload.
func sysTree(t *testing.T, b *broker) map[string]string {
	t.Helper()
	tree := map[string]string{}
	s := mosquittoSubscribe(t, b.connect(), 0, "$SYS/#", "end/of/tree")
	for ended := false; !ended; { // the first round may still be on its way
		select {
		case m := <-s.messages:
			tree[m.Topic] = m.Payload
		case <-time.After(patience):
			t.Fatalf("waited %v for $SYS, got %v", patience, slices.Sorted(maps.Keys(tree)))
		}
		_, ended = tree["$SYS/broker/load/connections/15min"]
	}
	end := message{Topic: "end/of/tree", Payload: "x"}
	require.NoError(t, mosquitto.publish(b.connect(), end))
	for m := s.next(t); m != end; m = s.next(t) {
		tree[m.Topic] = m.Payload
	}
	s.stop()
	return tree
}

// startMosquitto starts the peer on a free port.
func startMosquitto(t *testing.T) *broker {
	t.Helper()
	b := &broker{host: "127.0.0.1", port: freePort(t)}
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	config := fmt.Sprintf("listener %s %s\nallow_anonymous true\nsys_interval 1\n", b.port, b.host)
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	b.process = startProcess(t, nil, "mosquitto", "-c", file)
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", net.JoinHostPort(b.host, b.port))
		return err == nil && c.Close() == nil
	}, patience, 10*time.Millisecond)
	t.Cleanup(func() { b.terminate(t) })
	return b
}

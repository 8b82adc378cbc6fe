package main_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An idle client stays connected, by its pings or because it asked for no Keep Alive
// [MQTT-3.1.2-24], [MQTT-3.12.4-1].
func TestClientsIdle(t *testing.T) {
	b := startBroker(t)
	const keepAliveSeconds, idle = 5, 8 * time.Second // more than one and a half times that
	tests := []struct {
		client           client
		keepAliveSeconds int
	}{
		{mosquitto, keepAliveSeconds}, // it refuses less and has no 0
		{paho, keepAliveSeconds},
		{mqttjs, keepAliveSeconds},
		{paho, 0},
		{mqttjs, 0},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.client.name, " ", test.keepAliveSeconds), func(t *testing.T) {
			t.Parallel()
			test.client.require(t)
			on := b.connect()
			on.keepAliveSeconds = test.keepAliveSeconds
			var s *subscription
			require.True(t, once(func() bool { // a client may come too late with its ping, by its own fault
				s = test.client.subscribe(t, on, 0, t.Name())
				select {
				case <-s.lost:
					return false
				case <-time.After(idle): // the time is what is tested
					return true
				}
			}), "the client lost its connection")
			require.NoError(t, test.client.publish(b.connect(), message{Topic: t.Name(), Payload: "still there?"}))
			require.Equal(t, "still there?", s.next(t).Payload)
			s.requireAlive(t)
		})
	}
}

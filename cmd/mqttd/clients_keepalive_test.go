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
	tests := []struct {
		client           client
		keepAliveSeconds int
		idle             time.Duration // more than one and a half times the Keep Alive
	}{
		{mosquitto, 5, 8 * time.Second}, // mosquitto_sub refuses less than 5 and has no 0
		{paho, 2, 4 * time.Second},
		{mqttjs, 2, 4 * time.Second},
		{paho, 0, 4 * time.Second},
		{mqttjs, 0, 4 * time.Second},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.client.name, " ", test.keepAliveSeconds), func(t *testing.T) {
			t.Parallel()
			test.client.require(t)
			on := b.connect()
			on.keepAliveSeconds = test.keepAliveSeconds
			s := test.client.subscribe(t, on, 0, t.Name())
			select {
			case <-s.lost:
				t.Fatal("the client lost its connection")
			case <-time.After(test.idle): // the time is what is tested
			}
			require.NoError(t, test.client.publish(b.connect(), message{Topic: t.Name(), Payload: "still there?"}))
			require.Equal(t, "still there?", s.next(t).Payload)
			s.requireAlive(t)
		})
	}
}

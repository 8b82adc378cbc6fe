package main_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The benchmark that this broker was first asked for, as a test: everybody hears everybody, with
// Mosquitto's tools and one process for each message.
const (
	fanoutPublishers  = 50
	fanoutSubscribers = 50
	fanoutMessages    = 10 // of each publisher
)

func TestClientsFanOut(t *testing.T) {
	mosquitto.require(t)
	b := startBroker(t)
	tests := []struct {
		name    string
		publish func(on connection, messages []message) error
		qos     byte
		ordered bool
	}{
		// A QoS 0 mosquitto_pub ends before the broker has read its message, and another connection
		// can be read first: the order of one publisher's processes is nobody's promise.
		{"one process for each message", publishEach, 0, false},
		{"one process for each message, acknowledged", publishEach, 1, true},
		{"one process for each publisher", publishLines, 0, true}, // [MQTT-4.6.0-6]
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			topic := freshTopic(t)
			end := message{Topic: topic + "/end"}
			var subscriptions []*subscription
			for range fanoutSubscribers {
				subscriptions = append(subscriptions, mosquitto.subscribe(t, b.connect(), 0, topic, end.Topic))
			}
			var publishers sync.WaitGroup
			for publisher := range fanoutPublishers {
				publishers.Go(func() {
					messages := fanoutOf(topic, publisher, test.qos)
					assert.NoError(t, test.publish(b.connect(), messages), "publisher %d", publisher)
				})
			}
			publishers.Wait()
			require.False(t, t.Failed())
			for number, s := range subscriptions {
				heard := s.nextPayloads(t, fanoutPublishers*fanoutMessages)
				requireFanout(t, heard, test.ordered, number)
			}
			requireNothingBefore(t, mosquitto, b, end, subscriptions)
		})
	}
}

// publishEach starts a mosquitto_pub for each message, one after another.
func publishEach(on connection, messages []message) error {
	return mosquittoPublish(on, messages...)
}

// publishLines gives all messages to one mosquitto_pub.
func publishLines(on connection, messages []message) error {
	var lines strings.Builder
	for _, m := range messages {
		fmt.Fprintln(&lines, m.Payload)
	}
	return mosquittoPub(on, lines.String(), "-t", messages[0].Topic, "-l")
}

// fanoutOf returns what one publisher says: "publisher sequence".
func fanoutOf(topic string, publisher int, qos byte) []message {
	var messages []message
	for sequence := range fanoutMessages {
		messages = append(messages, message{Topic: topic, Payload: fmt.Sprint(publisher, " ", sequence), QoS: qos})
	}
	return messages
}

// requireFanout checks that a subscriber heard each publisher's every message once.
func requireFanout(t *testing.T, heard []string, ordered bool, subscriber int) {
	t.Helper()
	byPublisher := make(map[string][]string)
	for _, payload := range heard {
		publisher, _, _ := strings.Cut(payload, " ")
		byPublisher[publisher] = append(byPublisher[publisher], payload)
	}
	for publisher := range fanoutPublishers {
		var want []string
		for _, m := range fanoutOf("", publisher, 0) {
			want = append(want, m.Payload)
		}
		got := byPublisher[fmt.Sprint(publisher)]
		if ordered {
			require.Equal(t, want, got, "subscriber %d", subscriber)
		} else {
			require.ElementsMatch(t, want, got, "subscriber %d", subscriber)
		}
	}
}

package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is asked for is granted, and a delivery has the lower QoS of the grant and of the publish
// [MQTT-3.8.4-6].
func TestClientsDeliverAtEveryQoS(t *testing.T) {
	b := startBroker(t)
	for name, version := range map[string]byte{"MQTT 3.1": 3, "MQTT 3.1.1": 4} {
		t.Run(name, func(t *testing.T) {
			forEachClient(t, func(t *testing.T, c client) { deliverAtEveryQoS(t, b, c, version) })
		})
	}
}

func deliverAtEveryQoS(t *testing.T, b *broker, c client, version byte) {
	connect := func() connection {
		on := b.connect()
		on.version = version
		return on
	}
	topic := freshTopic(t)
	var subscriptions []*subscription
	for qos := range byte(3) {
		s := c.subscribe(t, connect(), qos, topic+"/+")
		require.Equal(t, []byte{qos}, s.granted)
		subscriptions = append(subscriptions, s)
	}
	var published []message
	for qos := range byte(3) {
		published = append(published, message{Topic: fmt.Sprint(topic, "/", qos), Payload: "whole", QoS: qos})
	}
	require.NoError(t, c.publish(connect(), published...))
	for granted, s := range subscriptions {
		delivered := []message{s.next(t), s.next(t), s.next(t)} // a client may hold a QoS 2 message until PUBREL
		slices.SortFunc(delivered, func(x, y message) int { return strings.Compare(x.Topic, y.Topic) })
		for i, m := range published {
			m.QoS = min(m.QoS, byte(granted))
			require.Equal(t, m, delivered[i], "granted %d", granted)
		}
	}
}

// More messages than either side may have in flight: each comes once, in order [MQTT-4.6.0-6].
func TestClientsDeliverABurst(t *testing.T) {
	const burst = 300
	b := startBroker(t)
	for qos := range byte(3) {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			forEachClient(t, func(t *testing.T, c client) {
				topic := freshTopic(t)
				messages, end := burstOf(topic, burst, qos)
				s := c.subscribe(t, b.connect(), 2, topic, end.Topic)
				require.NoError(t, publishBurst(c, b.connect(), messages))
				for _, m := range messages {
					require.Equal(t, m, s.next(t))
				}
				requireNothingBefore(t, c, b, end, []*subscription{s})
			})
		})
	}
}

// burstOf returns numbered messages to a topic, and one that comes after them.
func burstOf(topic string, count int, qos byte) (messages []message, end message) {
	for i := range count {
		messages = append(messages, message{Topic: topic, Payload: fmt.Sprint(i), QoS: qos})
	}
	return messages, message{Topic: topic + "/end", QoS: qos}
}

// publishBurst publishes messages to one topic over one connection.
func publishBurst(c client, on connection, messages []message) error {
	if c.name == mosquitto.name {
		return publishLines(on, messages)
	}
	return c.publish(on, messages...)
}

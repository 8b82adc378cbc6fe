package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A grant may be lower than what was asked for, and a delivery no higher than the grant or the
// publish [MQTT-3.8.4-6]; a publisher is acknowledged in full whatever the subscribers got.
func TestClientsPublishAtEveryQoS(t *testing.T) {
	b := startBroker(t)
	forEachClient(t, func(t *testing.T, c client) {
		topic := freshTopic(t)
		wanted := []byte{1, 2}
		var subscriptions []*subscription
		for _, qos := range wanted {
			subscriptions = append(subscriptions, c.subscribe(t, b.connect(), qos, topic+"/+"))
		}
		var published []message
		for qos := range byte(3) {
			published = append(published, message{Topic: fmt.Sprint(topic, "/", qos), Payload: "whole", QoS: qos})
		}
		require.NoError(t, c.publish(b.connect(), published...))
		for i, s := range subscriptions {
			require.Len(t, s.granted, 1)
			require.LessOrEqual(t, s.granted[0], wanted[i])
			delivered := []message{s.next(t), s.next(t), s.next(t)}
			slices.SortFunc(delivered, func(x, y message) int { return strings.Compare(x.Topic, y.Topic) })
			for qos, m := range delivered {
				require.LessOrEqual(t, m.QoS, min(s.granted[0], byte(qos)))
				m.QoS = byte(qos)
				require.Equal(t, published[qos], m)
			}
		}
	})
}

func TestClientsSpeakMQTT31(t *testing.T) {
	b := startBroker(t)
	forEachClient(t, func(t *testing.T, c client) {
		old := func() connection {
			on := b.connect()
			on.version = 3
			return on
		}
		m := message{Topic: t.Name(), Payload: "from 2010"}
		s := c.subscribe(t, old(), 0, m.Topic)
		require.NoError(t, c.publish(old(), m))
		require.Equal(t, m, s.next(t))
	})
}

func TestClientsCarryLargePayloads(t *testing.T) {
	b := startBroker(t)
	payload := strings.Repeat("0123456789abcdef", 512<<10/16)
	forEachClient(t, func(t *testing.T, c client) {
		topic := freshTopic(t)
		s := c.subscribe(t, b.connect(), 0, topic)
		require.NoError(t, c.publish(b.connect(), message{Topic: topic, Payload: payload}))
		received := s.next(t).Payload
		require.Len(t, received, len(payload))
		require.True(t, payload == received, "the payload changed on its way")
	})
}

// Home Assistant sends SUBSCRIBE packets of this kind when it starts.
func TestPahoSubscribesManyFiltersAtOnce(t *testing.T) {
	const filterCount = 200
	b := startBroker(t)
	var filters []string
	var messages []message
	for i := range filterCount {
		m := message{Topic: fmt.Sprintf("%s/%d/state", t.Name(), i), Payload: fmt.Sprint(i)}
		filters = append(filters, m.Topic)
		messages = append(messages, m)
	}
	s := paho.subscribe(t, b.connect(), 0, filters...)
	require.Equal(t, make([]byte, filterCount), s.granted)
	require.NoError(t, paho.publish(b.connect(), messages...))
	for _, m := range messages {
		require.Equal(t, m, s.next(t))
	}
}

// People's scripts read one message and go on: mosquitto_sub -C 1 -W seconds.
func TestMosquittoSubEndsAfterItsMessage(t *testing.T) {
	mosquitto.require(t)
	b := startBroker(t)
	topic := freshTopic(t)
	_, sub := mosquittoSub(t, b.connect(), "-C", "1", "-W", fmt.Sprint(2*patience/time.Second), "-t", topic)
	require.NoError(t, mosquitto.publish(b.connect(), message{Topic: topic, Payload: "the only one"}))
	await(t, sub.exited, "mosquitto_sub to end, long before its own time-out")
	require.Equal(t, 0, sub.cmd.ProcessState.ExitCode())
}

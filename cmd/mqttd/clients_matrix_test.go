package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The four behaviours that people try first, each seen through each client.
func TestClientsSee(t *testing.T) {
	b := startBroker(t)
	behaviours := []struct {
		name  string
		story func(t *testing.T, b *broker, c client)
	}{
		{"a retained message", seeRetainedMessage},
		{"a Will", seeWill},
		{"a wildcard subscription", seeWildcards},
		{"a takeover", seeTakeover},
	}
	for _, behaviour := range behaviours {
		t.Run(behaviour.name, func(t *testing.T) {
			forEachClient(t, func(t *testing.T, c client) { behaviour.story(t, b, c) })
		})
	}
}

// [MQTT-3.3.1-5], [MQTT-3.3.1-8], [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11]
func seeRetainedMessage(t *testing.T, b *broker, c client) {
	topic := freshTopic(t)
	early := c.subscribe(t, b.connect(), 0, topic)
	require.NoError(t, c.publish(b.connect(), message{Topic: topic, Payload: "on", Retain: 1}))
	require.Equal(t, message{Topic: topic, Payload: "on"}, early.next(t), "to who subscribed before")

	late := c.subscribe(t, b.connect(), 0, topic)
	require.Equal(t, message{Topic: topic, Payload: "on", Retain: 1}, late.next(t), "to who subscribes later")

	require.NoError(t, c.publish(b.connect(), message{Topic: topic, Retain: 1}))
	require.Equal(t, message{Topic: topic}, early.next(t), "an empty payload is delivered too")

	last := c.subscribe(t, b.connect(), 0, topic)
	require.NoError(t, c.publish(b.connect(), message{Topic: topic, Payload: "not retained"}))
	require.Equal(t, message{Topic: topic, Payload: "not retained"}, last.next(t), "an empty payload clears")
}

// [MQTT-3.1.2-8], [MQTT-3.1.2-10]
func seeWill(t *testing.T, b *broker, c client) {
	topic := freshTopic(t)
	watcher := c.subscribe(t, b.connect(), 0, topic)

	polite := b.connect()
	polite.will = &message{Topic: topic, Payload: "said goodbye"}
	c.subscribe(t, polite, 0, topic+"/unused").stop()

	doomed := b.connect()
	doomed.will = &message{Topic: topic, Payload: "was cut off"}
	c.subscribe(t, doomed, 0, topic+"/unused").cut()

	require.Equal(t, *doomed.will, watcher.next(t))
}

// [MQTT-4.7.1-2], [MQTT-4.7.1-3]
func seeWildcards(t *testing.T, b *broker, c client) {
	root := freshTopic(t)
	end := message{Topic: root + "/end"}
	var messages []message
	for _, topic := range []string{"sport", "sport/tennis", "sport/tennis/player1", "sports", "sport/", "finance/tennis"} {
		messages = append(messages, message{Topic: root + "/" + topic, Payload: topic})
	}
	tests := []struct {
		filter  string
		matches []string
	}{
		{"sport/#", []string{"sport", "sport/tennis", "sport/tennis/player1", "sport/"}},
		{"sport/+", []string{"sport/tennis", "sport/"}},
		{"+/tennis/#", []string{"sport/tennis", "sport/tennis/player1", "finance/tennis"}},
	}
	var subscriptions []*subscription
	for _, test := range tests {
		subscriptions = append(subscriptions, c.subscribe(t, b.connect(), 0, root+"/"+test.filter, end.Topic))
	}
	require.NoError(t, c.publish(b.connect(), messages...))
	for i, test := range tests {
		matched := subscriptions[i].nextPayloads(t, len(test.matches))
		require.ElementsMatch(t, test.matches, matched, test.filter)
	}
	requireNothingBefore(t, c, b, end, subscriptions)
}

// [MQTT-3.1.4-2]
func seeTakeover(t *testing.T, b *broker, c client) {
	topic := freshTopic(t)
	watcher := c.subscribe(t, b.connect(), 0, topic)
	shared := b.connect()
	first := c.subscribe(t, shared, 0, topic+"/unused")
	first.requireAlive(t)

	require.NoError(t, c.publish(shared, message{Topic: topic, Payload: "from the second"}))
	await(t, first.lost, "the first connection to end")
	require.Equal(t, "from the second", watcher.next(t).Payload)
	watcher.requireAlive(t)
}

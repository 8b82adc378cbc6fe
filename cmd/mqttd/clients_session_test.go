package main_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A session outlives its connection, however that ends, and keeps what comes meanwhile for its
// subscriptions at QoS 1 and 2, in order [MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-4.6.0-6].
func seePersistentSession(t *testing.T, b *broker, c client) {
	topic := freshTopic(t)
	filters := []string{topic + "/+"}
	on := b.connect()
	on.persistent = true

	c.subscribe(t, on, 2, filters...).stop()
	first := publishWhileAway(t, b, c, topic, "first")
	back := c.resume(t, on, 2, filters...)
	for _, m := range first {
		require.Equal(t, m, back.next(t))
	}

	back.cut()
	second := publishWhileAway(t, b, c, topic, "second")
	again := c.resume(t, on, 2, filters...)
	for _, m := range second {
		next := again.next(t)
		for slices.Contains(first, next) { // the cut may have come before its acknowledgement
			next = again.next(t)
		}
		require.Equal(t, m, next)
	}

	live := message{Topic: topic + "/live", Payload: "live", QoS: 2}
	require.NoError(t, c.publish(b.connect(), live))
	require.Equal(t, live, again.next(t))
}

// Clean Session 1 ends the session that there was [MQTT-3.1.2-6].
func seeCleanSession(t *testing.T, b *broker, c client) {
	topic := freshTopic(t)
	on := b.connect()
	on.persistent = true
	c.subscribe(t, on, 2, topic).stop()

	on.persistent = false
	clean := c.subscribe(t, on, 2, topic+"/unused")
	require.False(t, clean.sessionPresent)
	clean.stop()
	require.NoError(t, c.publish(b.connect(), message{Topic: topic, Payload: "to nobody", QoS: 2}))

	on.persistent = true
	end := message{Topic: topic + "/end", QoS: 2}
	anew := c.subscribe(t, on, 2, end.Topic)
	require.False(t, anew.sessionPresent)
	requireNothingBefore(t, c, b, end, []*subscription{anew})
}

// publishWhileAway publishes under the topic at every QoS, and returns what a session has to keep:
// the QoS 1 and 2 messages. Those are of one QoS after the other, for a client may hold a QoS 2
// message until PUBREL while QoS 1 messages pass it.
func publishWhileAway(t *testing.T, b *broker, c client, topic, name string) []message {
	t.Helper()
	const each = 5
	var published, kept []message
	for qos := range byte(3) {
		for i := range each {
			m := message{Topic: fmt.Sprint(topic, "/", i), Payload: fmt.Sprint(name, " ", i), QoS: qos}
			published = append(published, m)
			if qos > 0 {
				kept = append(kept, m)
			}
		}
	}
	require.NoError(t, c.publish(b.connect(), published...))
	return kept
}

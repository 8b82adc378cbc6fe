package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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

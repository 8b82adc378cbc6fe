package session

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mqttd/session/store"
)

// A record that the broker cannot have written is told from one that it has.
func TestRestoredRefusesNonsense(t *testing.T) {
	var q Queues
	m := q.RestoredMessage(7, packetOf("x"))
	for _, c := range []struct {
		name    string
		record  store.Queued
		message *Message
		want    bool
	}{
		{"a message", store.Queued{Flow: live, Seq: 9, MessageID: 7, QoS: 1}, m, true},
		{"one after others that are gone", store.Queued{Flow: live, Seq: 19, MessageID: 7, QoS: 2}, m, true},
		{"one that was released", store.Queued{Flow: live, Seq: 9, QoS: 2, Released: true}, nil, true},
		{"one of the other flow", store.Queued{Flow: replayed, Seq: 0, MessageID: 7, QoS: 1, Retain: true}, m, true},
		{"a place that is taken", store.Queued{Flow: live, Seq: 8, MessageID: 7, QoS: 1}, m, false},
		{"a flow that there is not", store.Queued{Flow: flowCount, Seq: 9, MessageID: 7, QoS: 1}, m, false},
		{"a message that there is not", store.Queued{Flow: live, Seq: 9, MessageID: 8, QoS: 1}, nil, false},
		{"released, with a message", store.Queued{Flow: live, Seq: 9, MessageID: 7, QoS: 2, Released: true}, m, false},
		{"released at QoS 1", store.Queued{Flow: live, Seq: 9, QoS: 1, Released: true}, nil, false},
		{"QoS 0", store.Queued{Flow: live, Seq: 9, MessageID: 7}, m, false},
		{"QoS 3", store.Queued{Flow: live, Seq: 9, MessageID: 7, QoS: 3}, m, false},
	} {
		o := q.NewOutbox(1)
		require.True(t, o.Restored(store.Queued{Flow: live, Seq: 8, MessageID: 7, QoS: 1}, m))
		before := q.Entries()
		require.Equal(t, c.want, o.Restored(c.record, c.message), c.name)
		if !c.want {
			require.Equal(t, before, q.Entries(), c.name)
		}
		o.Close(nil)
	}
	m.Release(nil)
	require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
}

// What is sent after a restart has the Packet Identifiers that it had [MQTT-2.3.1-4], and new messages those that
// follow: after a kill, too. But then all that was there may have been sent before, so it has DUP [MQTT-3.3.1-1].
func TestRestoredIdentifiers(t *testing.T) {
	for _, c := range []struct {
		name   string
		killed bool
		want   []string
	}{
		{"stopped properly", false, []string{"PUBLISH 41 x DUP", "PUBREL 43", "PUBLISH 44 x", "PUBLISH 45 new"}},
		{"killed", true, []string{"PUBLISH 41 x DUP", "PUBREL 43", "PUBLISH 44 x DUP", "PUBLISH 45 new"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var q Queues
			m := q.RestoredMessage(7, packetOf("x"))
			o := q.NewOutbox(1)
			const round = 3 * (1<<15 - 1) // the identifiers have come round some times
			require.True(t, o.Restored(store.Queued{Flow: live, Seq: round + 40, MessageID: 7, QoS: 2}, m))
			require.True(t, o.Restored(store.Queued{Flow: live, Seq: round + 42, QoS: 2, Released: true}, nil))
			require.True(t, o.Restored(store.Queued{Flow: live, Seq: round + 43, MessageID: 7, QoS: 1}, m))
			o.Resumed(c.killed)
			require.Equal(t, 2, o.Inflight(), "up to the last that must have been sent")
			messages, _ := o.Waiting()
			require.Equal(t, 2, messages)
			require.Equal(t, Book{Matched: 2}, o.Book())
			o.Attach()
			addTo(o, "new", 1, roomy)
			require.Equal(t, c.want, sendAll(t, o, 4))
		})
	}
}

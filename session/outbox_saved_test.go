package session

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/session/store"
)

// savedOutbox is an outbox of a session that is kept, with a connection, and its store.
type savedOutbox struct {
	*Outbox
	t     *testing.T
	store *store.Store
}

// withEachSync runs a test with each way of saving. An interval never comes to its end.
func withEachSync(t *testing.T, test func(t *testing.T, o *savedOutbox)) {
	for _, sync := range []store.Sync{store.Interval, store.Always} {
		t.Run("sync "+sync.String(), func(t *testing.T) {
			s, err := store.Open(t.TempDir(), store.Options{Sync: sync, Interval: store.IntervalMax})
			require.NoError(t, err)
			require.NoError(t, s.Load(store.Visitor{}))
			var q Queues
			o := &savedOutbox{q.NewOutbox(1), t, s}
			o.Attach()
			test(t, o)
			require.NoError(t, s.Close())
		})
	}
}

// change has f note something for the store, and returns the batch to wait for.
func (o *savedOutbox) change(f func(tx *store.Tx)) (batch uint64) {
	tx := o.store.Begin()
	f(tx)
	return tx.End()
}

func (o *savedOutbox) add(tx *store.Tx, payload string, qos codec.QoS) {
	m := o.queues.NewMessage(packetOf(payload))
	v, _ := o.Add(tx, m, qos, roomy)
	require.Equal(o.t, Queued, v)
	m.Release(tx)
}

// saved waits until a batch is on disk: there is one.
func (o *savedOutbox) saved(batch uint64) {
	o.t.Helper()
	require.NotZero(o.t, batch)
	require.Eventually(o.t, func() bool { return o.store.Committed() >= batch }, 20*time.Second, time.Millisecond)
}

// send returns what is sent with what is on disk now, in words.
func (o *savedOutbox) send() (list []string, unsaved bool) {
	s := o.Next(nil, roomyBytes, 20, o.store.Committed(), false)
	for _, p := range parseOutgoing(o.t, s.Packets) {
		list = append(list, p.String())
	}
	return list, s.Unsaved
}

// requireSent requires what is sent, and whether more waits for the disk.
func (o *savedOutbox) requireSent(unsaved bool, want ...string) {
	o.t.Helper()
	got, waits := o.send()
	require.Equal(o.t, want, got)
	require.Equal(o.t, unsaved, waits)
}

// A QoS 2 message is saved at once, and waits until it is; what comes behind it waits too, for the sake of order.
// Else another message might have its Packet Identifier after a crash.
func TestQoS2WaitsForTheStore(t *testing.T) {
	withEachSync(t, func(t *testing.T, o *savedOutbox) {
		tx := o.store.Begin() // as long as it lasts, nothing of it is saved
		for _, qos := range []codec.QoS{codec.QoS1, codec.QoS2, codec.QoS1} {
			o.add(tx, "x", qos)
		}
		o.requireSent(true, "PUBLISH 1 x")
		o.requireSent(true)
		o.saved(tx.End())
		o.requireSent(false, "PUBLISH 2 x", "PUBLISH 3 x")
	})
}

// Retained messages are no exception.
func TestRetainedQoS2WaitsForTheStore(t *testing.T) {
	withEachSync(t, func(t *testing.T, o *savedOutbox) {
		tx := o.store.Begin()
		require.True(t, o.AddRetained(tx, packetOf("x"), codec.QoS1, roomy))
		require.True(t, o.AddRetained(tx, packetOf("y"), codec.QoS2, roomy))
		o.requireSent(true, "PUBLISH 32768 x")
		o.saved(tx.End())
		o.requireSent(false, "PUBLISH 32769 y")
	})
}

// A QoS 1 message may come twice: it waits for nothing, and who publishes it waits with -sync always only.
func TestQoS1DoesNotWaitForTheStore(t *testing.T) {
	withEachSync(t, func(t *testing.T, o *savedOutbox) {
		tx := o.store.Begin()
		always := tx.Batch() > 0
		o.add(tx, "x", codec.QoS1)
		o.requireSent(false, "PUBLISH 1 x")
		require.Equal(t, always, tx.End() > 0)
		batch := o.change(func(tx *store.Tx) {
			p, _ := o.Acknowledge(tx, codec.PUBACK, 1)
			require.Equal(t, Done, p)
		})
		require.Equal(t, always, batch > 0)
	})
}

// PUBREL must not be sent before PUBREC is on disk: after a crash PUBLISH would follow it. A new connection waits,
// and what was sent after the message waits behind it; when PUBREC comes again, the same.
func TestPubrelWaitsForTheStore(t *testing.T) {
	withEachSync(t, func(t *testing.T, o *savedOutbox) {
		o.saved(o.change(func(tx *store.Tx) {
			o.add(tx, "a", codec.QoS1)
			o.add(tx, "b", codec.QoS2)
			o.add(tx, "c", codec.QoS1)
		}))
		o.requireSent(false, "PUBLISH 1 a", "PUBLISH 2 b", "PUBLISH 3 c")
		for _, want := range []Progress{Received, Repeated} {
			tx := o.store.Begin()
			p, _ := o.Acknowledge(tx, codec.PUBREC, 2)
			require.Equal(t, want, p)
			o.Detach()
			o.Attach()
			o.requireSent(true, "PUBLISH 1 a DUP")
			o.requireSent(true)
			o.saved(tx.End())
			o.requireSent(false, "PUBREL 2", "PUBLISH 3 c DUP")
		}
	})
}

// A session that is not kept waits for nothing.
func TestPassingOutboxDoesNotWaitForTheStore(t *testing.T) {
	withEachSync(t, func(t *testing.T, o *savedOutbox) {
		o.Outbox = o.queues.NewOutbox(0)
		o.Attach()
		tx := o.store.Begin()
		o.add(tx, "x", codec.QoS2)
		o.requireSent(false, "PUBLISH 1 x")
		p, _ := o.Acknowledge(tx, codec.PUBREC, 1)
		require.Equal(t, Received, p)
		o.Attach()
		o.requireSent(false, "PUBREL 1")
		require.Zero(t, tx.End(), "there was nothing to note")
	})
}

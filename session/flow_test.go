package session

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// Packet Identifiers are taken in turn, all of a range and none else, so that one comes again as late as possible.
func TestIdentifiersAreTakenInTurn(t *testing.T) {
	for which, want := range map[int][2]uint16{live: {1, 32_767}, replayed: {32_768, 65_535}} {
		ids := flowIdentifiers[which]
		require.Equal(t, want[0], ids.of(0))
		require.Equal(t, want[1], ids.of(ids.count-1))
		require.Equal(t, want[0], ids.of(ids.count))
		require.Equal(t, want[0]+1, ids.of(5*ids.count+1))
	}
}

// Messages go through a flow until its Packet Identifiers have come round several times, acknowledged in another
// order than sent.
func TestFlowComesRound(t *testing.T) {
	f := flow{ids: identifiers{100, 7}, next: 5}
	for range 50 {
		for range 3 {
			f.add(entry{qos: codec.QoS1})
			f.sent++
			f.resent++
		}
		sequences := []uint64{f.next - 2, f.next - 1, f.next - 3}
		for _, sequence := range sequences {
			i := f.find(f.ids.of(sequence))
			require.GreaterOrEqual(t, i, 0)
			require.Equal(t, sequence, f.entries[i].sequence)
			f.remove(i)
			require.Equal(t, -1, f.find(f.ids.of(sequence)))
		}
		require.Nil(t, f.entries, "a client that has had its messages costs nothing")
		require.Zero(t, f.sent+f.resent+f.queued())
	}
}

// Only what was sent can be found: nobody can acknowledge what is still queued.
func TestFlowFindsWhatWasSent(t *testing.T) {
	f := flow{ids: identifiers{100, 50}}
	for range 10 {
		f.add(entry{qos: codec.QoS1})
	}
	for id := range uint16(200) {
		require.Equal(t, -1, f.find(id), "nothing was sent")
	}
	f.sent, f.resent = 4, 1
	for id := range uint16(200) {
		want := -1
		if id >= 100 && id < 104 {
			want = int(id) - 100
		}
		require.Equal(t, want, f.find(id))
	}
	require.Equal(t, 6, f.queued())
	f.remove(2)
	require.Equal(t, []int{3, 1}, []int{f.sent, f.resent}, "it was not sent again yet")
	f.remove(0)
	require.Equal(t, []int{2, 0}, []int{f.sent, f.resent})
	require.Equal(t, []int{-1, 0, -1, 1}, []int{f.find(100), f.find(101), f.find(102), f.find(103)})
}

// Messages that are not acknowledged keep their Packet Identifiers: when the turn comes to these, others are taken
// [MQTT-2.3.1-2] [MQTT-2.3.1-4].
func TestFlowLeavesOutWhatIsInUse(t *testing.T) {
	var q Queues
	o := q.NewOutbox(0)
	o.Attach()
	stuck, inUse, last := []uint16{1, 2, 5, 32_767}, map[uint16]bool{}, uint16(0)
	for range 2*32_767 + 100 {
		v, _ := addTo(o, "x", codec.QoS1, roomy)
		require.Equal(t, Queued, v)
		got := parseOutgoing(t, o.Next(nil, roomyBytes, 20, 0, false).Packets)
		require.Len(t, got, 1)
		for next := true; next; next = inUse[last] {
			last = 1 + last%32_767
		}
		require.Equal(t, last, got[0].id)
		if slices.Contains(stuck, last) {
			inUse[last] = true
			continue
		}
		p, _ := o.Acknowledge(nil, codec.PUBACK, last)
		require.Equal(t, Done, p)
	}
	require.Equal(t, len(stuck), o.Inflight())
	o.Detach()
	o.Attach()
	require.Equal(t, []string{"PUBLISH 1 x DUP", "PUBLISH 2 x DUP", "PUBLISH 5 x DUP", "PUBLISH 32767 x DUP"}, sendAll(t, o, 20))
}

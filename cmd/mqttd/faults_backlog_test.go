package main_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	backlogPayload  = 32 << 10
	backlogMessages = 64 // for each reader: three times what sockets hold
	backlogBuffer   = 128 << 10
)

// Stalled readers of topics of their own, whose messages no two share, cost a buffer each.
func TestFaultStalledApart(t *testing.T) {
	readers := sized(50, 1000)
	f := beginFault(t, "stalled-apart", "-client-buffer", strconv.Itoa(backlogBuffer), "-stall-timeout", neverTimeout)
	stalled := stallApart(t, f, readers)
	f.growsAtMost(readers * backlogBuffer * 3 / 2)
	f.releases(readers + 1)
	assert.GreaterOrEqual(t, f.footprint(t).descriptors, f.before.descriptors+readers+1, "nobody was cut off")
	for _, p := range stalled {
		p.reset()
	}
	f.end()
}

// What waits for all readers together is bounded, where that is less than their buffers: some are cut off.
func TestFaultTotalBuffer(t *testing.T) {
	const total = 8 << 20
	readers := sized(50, 1000)
	port := freePort(t)
	f := beginFault(t, "total-buffer", "-total-buffer", strconv.Itoa(total), "-stall-timeout", neverTimeout,
		"-admin", "127.0.0.1:"+port)
	stalled := stallApart(t, f, readers)
	const handedOver = 2 * (4<<20 + 192<<10) // what may wait between the two loops
	f.growsAtMost(4*(total+handedOver) + readers*32<<10)
	cuts := metric(t, port, `mqttd_connections_closed_total{reason="memory"}`)
	t.Logf("%s: %d of %d stalled readers were cut off", f.name, cuts, readers)
	assert.Positive(t, cuts, "cut off for want of memory")
	assert.LessOrEqual(t, cuts, readers)
	for _, p := range stalled {
		p.reset()
	}
	f.end()
}

// Readers that take nothing for the stall timeout are cut off.
func TestFaultStallTimeout(t *testing.T) {
	f := beginFault(t, "stall-timeout", "-stall-timeout", sized("3s", "2s"))
	var stalled []*peer
	for range sized(50, 1000) {
		stalled = append(stalled, newPeer(t, f.broker, tinyReceiveBytes, "stall"))
	}
	healthy := newPeer(t, f.broker, 0, "stall")
	flood := startFlood(t, f.broker, 50, backlogPayload, to("stall"), healthy)
	numbers, err := healthy.readNumbered(backlogPayload, func(n int) bool { return n >= backlogMessages })
	require.NoError(t, err)
	assert.Equal(t, backlogMessages+1, len(numbers), "a healthy reader beside them misses nothing")
	flood.stop(t)
	f.releases(1) // the healthy one, for which nothing waits
	require.NoError(t, healthy.ping(), "a healthy reader is not cut off")
	healthy.Close()
	for _, p := range stalled {
		assert.NoError(t, p.awaitClosed(faultPatience))
		p.Close()
	}
	f.end()
}

// stallApart connects readers that read nothing, publishes to each more than buffers hold, and returns them. One more
// reader of everything, which must miss nothing, stays connected until the test ends.
func stallApart(t *testing.T, f *fault, readers int) (stalled []*peer) {
	t.Helper()
	for i := range readers {
		stalled = append(stalled, newPeer(t, f.broker, tinyReceiveBytes, fmt.Sprint("apart/", i)))
	}
	healthy := newPeer(t, f.broker, 0, "apart/#")
	last := readers*backlogMessages - 1
	begun := time.Now()
	topic := func(n int) string { return fmt.Sprint("apart/", n%readers) }
	flood := startFlood(t, f.broker, 3200, backlogPayload, topic, healthy)
	numbers, err := healthy.readNumbered(backlogPayload, func(n int) bool { return n >= last })
	require.NoError(t, err)
	assert.Equal(t, last+1, len(numbers), "a healthy reader beside them misses nothing")
	t.Logf("%s: %d MiB published in %v", f.name, last*backlogPayload>>20, time.Since(begun))
	flood.stop(t)
	return append(stalled, healthy)
}

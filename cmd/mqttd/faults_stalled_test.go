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
	tinyReceiveBytes  = 4 << 10  // receive buffer of a reader that never reads: its window is shut at once
	smallReceiveBytes = 64 << 10 // of one that will
)

// Readers with small windows that read nothing cost the broker their buffers and no more. One that reads again gets
// whole messages in order, and new ones.
func TestFaultZeroWindow(t *testing.T) {
	const buffer, payload = 128 << 10, 4096
	f := beginFault(t, "zero-window", "-client-buffer", strconv.Itoa(buffer), "-stall-timeout", neverTimeout)
	stalled := sized(20, 200)
	var peers []*peer
	for range stalled {
		peers = append(peers, newPeer(t, f.broker, tinyReceiveBytes, "window"))
	}
	resuming := newPeer(t, f.broker, smallReceiveBytes, "window")
	flood := startFlood(t, f.broker, 500, payload, to("window"))
	flood.reach(t, sized(1500, 3000))
	f.growsAtMost(2 * (stalled + 1) * buffer)

	resumed := int(flood.sent.Load())
	numbers, err := resuming.readNumbered(payload, func(n int) bool { return n >= resumed })
	require.NoError(t, err)
	assert.Zero(t, numbers[0])
	assert.Less(t, len(numbers), resumed, "some were dropped, or the test is about nothing")
	flood.stop(t)
	resuming.Close()
	for _, p := range peers {
		p.reset()
	}
	f.end()
}

// One reader stalls for long while much is published to it.
func TestFaultStalledReader(t *testing.T) {
	const payload = 16 << 10
	perSecond := sized(1024, 64)          // 16 MiB/s for a moment, or 1 MiB/s for long
	messages := perSecond * sized(2, 60)  // 32 MiB, 60 MiB
	const allowed = 2 * (1<<20 + 256<<10) // its buffer and a log, and what growing costs
	f := beginFault(t, "stalled-reader", "-stall-timeout", neverTimeout)
	stalled := newPeer(t, f.broker, 0, "deaf")
	healthy := newPeer(t, f.broker, 0, "deaf")
	flood := startFlood(t, f.broker, perSecond, payload, to("deaf"), healthy)
	numbers, err := healthy.readNumbered(payload, func(n int) bool { return n >= messages })
	require.NoError(t, err)
	assert.Equal(t, messages, numbers[len(numbers)-1])
	assert.Equal(t, messages+1, len(numbers), "a healthy reader beside it misses nothing")
	f.growsAtMost(allowed)
	flood.stop(t)
	healthy.Close()
	stalled.reset()
	f.end()
}

// reach waits until the flood has sent so many messages.
func (f *flood) reach(t *testing.T, messages int) {
	t.Helper()
	require.Eventually(t, func() bool { return int(f.sent.Load()) >= messages }, 4*faultPatience, 10*time.Millisecond)
}

// readNumbered reads messages of a flood, which must be whole and in order, until enough says so of one.
func (p *peer) readNumbered(payloadBytes int, enough func(n int) bool) (numbers []int, err error) {
	for {
		_, n, err := p.nextNumbered(payloadBytes)
		if err != nil {
			return numbers, fmt.Errorf("after %d messages: %w", len(numbers), err)
		}
		if last := len(numbers) - 1; last >= 0 && n <= numbers[last] {
			return numbers, fmt.Errorf("message %d came after %d", n, numbers[last])
		}
		numbers = append(numbers, n)
		if enough(n) {
			return numbers, nil
		}
	}
}

// contiguous returns how many numbers at the start follow one another.
func contiguous(numbers []int) int {
	for i, n := range numbers {
		if n != numbers[0]+i {
			return i
		}
	}
	return len(numbers)
}

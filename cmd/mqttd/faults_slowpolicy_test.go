package main_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	policyBuffer  = 256 << 10 // the client buffer
	policyTopics  = 50
	policyPayload = 4096
	policyResumed = 5 // stalled readers that read again
)

// A thousand readers stall, a few read again. The broker's memory stays within their buffers, healthy readers of the
// same topics miss nothing, and who reads again gets what the policy for slow readers promises.
func TestFaultStalledReaders(t *testing.T) {
	for _, policy := range []struct {
		name   string
		flags  []string
		resume func(t *testing.T, f *fault, p *peer, flood *flood, sent int)
	}{
		{"default", nil, expectOldest},
		{"drop-newest", []string{"-slow-policy", "drop-newest"}, expectOldest},
		{"drop-oldest", []string{"-slow-policy", "drop-oldest"}, expectNewest},
		{"conflate", []string{"-slow-policy", "conflate"}, expectNewestOfEachTopic},
		{"disconnect", []string{"-slow-policy", "disconnect"}, expectCut},
	} {
		t.Run(policy.name, func(t *testing.T) {
			f := beginFault(t, "stalled-readers-"+policy.name,
				append([]string{"-client-buffer", strconv.Itoa(policyBuffer), "-stall-timeout", neverTimeout}, policy.flags...)...)
			readers := stallReaders(t, f, sized(100, 1000))
			flood, sent := readers.flood(t, f)
			for _, p := range readers.resuming {
				policy.resume(t, f, p, flood, sent)
			}
			readers.leave()
			flood.peer.Close()
			f.end()
		})
	}
}

// stalledReaders are the readers of one test.
type stalledReaders struct {
	stalled, resuming, healthy []*peer
}

func stallReaders(t *testing.T, f *fault, n int) (r stalledReaders) {
	t.Helper()
	for range n - policyResumed {
		r.stalled = append(r.stalled, newPeer(t, f.broker, tinyReceiveBytes, "stall/#"))
	}
	for range policyResumed {
		r.resuming = append(r.resuming, newPeer(t, f.broker, smallReceiveBytes, "stall/#"))
	}
	for range 4 {
		r.healthy = append(r.healthy, newPeer(t, f.broker, 0, "stall/#"))
	}
	return r
}

// flood publishes more than buffers hold, and checks the healthy readers and the broker's memory. The flood that it
// returns has ended, but its connection is open.
func (r *stalledReaders) flood(t *testing.T, f *fault) (flood *flood, sent int) {
	t.Helper()
	const messages = 1000
	perSecond := sized(600, 80) // 4 MiB in 2 s or 12 s: sockets take a while to fill
	flood = startFlood(t, f.broker, perSecond, policyPayload, policyTopic, r.healthy...)
	var all sync.WaitGroup
	for i, p := range r.healthy {
		all.Go(func() {
			numbers, err := p.readNumbered(policyPayload, func(n int) bool { return n >= messages })
			assert.NoError(t, err, "healthy reader %d", i)
			assert.Equal(t, messages+1, len(numbers), "healthy reader %d misses nothing", i)
		})
	}
	all.Wait()
	close(flood.stopping)
	<-flood.done
	require.NoError(t, flood.err)
	require.NoError(t, flood.peer.ping())
	f.growsAtMost(2 * policyBuffer * (len(r.stalled) + len(r.resuming)))
	return flood, int(flood.sent.Load())
}

func policyTopic(n int) string { return fmt.Sprint("stall/", n%policyTopics) }

func (r *stalledReaders) leave() {
	for _, peers := range [][]*peer{r.stalled, r.resuming, r.healthy} {
		for _, p := range peers {
			p.reset()
		}
	}
}

// expectOldest: what came when the buffer was full was dropped. What comes when there is room again arrives.
func expectOldest(t *testing.T, _ *fault, p *peer, flood *flood, sent int) {
	t.Helper()
	more, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-more:
				return
			case <-time.After(10 * time.Millisecond):
				assert.NoError(t, flood.sendNext())
			}
		}
	}()
	read, err := p.readNumbered(policyPayload, func(n int) bool { return n >= sent })
	close(more)
	<-ended
	require.NoError(t, err)
	assert.Zero(t, read[0])
	assert.Greater(t, contiguous(read)*policyPayload, policyBuffer, "the oldest ones, without a gap")
	assert.Less(t, contiguous(read), sent, "some were dropped, or the test is about nothing")
}

// expectNewest: room was made for what came last.
func expectNewest(t *testing.T, _ *fault, p *peer, _ *flood, sent int) {
	t.Helper()
	numbers, err := p.readNumbered(policyPayload, func(n int) bool { return n == sent-1 })
	require.NoError(t, err)
	assert.Less(t, len(numbers), sent, "some were dropped, or the test is about nothing")
	assert.Less(t, contiguous(numbers), len(numbers), "what was dropped is older than some that came")
}

// expectNewestOfEachTopic: after what the kernel had, and what was under way already, each topic comes once.
func expectNewestOfEachTopic(t *testing.T, _ *fault, p *peer, _ *flood, sent int) {
	t.Helper()
	const staleBytesMax = 1 << 20 // the kernel's buffers at both ends, which it counts in its own way
	latest := make(map[string]int)
	stale := 0
	for newest := 0; newest < policyTopics; {
		topic, n, err := p.nextNumbered(policyPayload)
		require.NoError(t, err, "the newest of %d of %d topics came, after %d stale messages", newest, policyTopics, stale)
		require.Equal(t, policyTopic(n), topic)
		if before, known := latest[topic]; known {
			require.Greater(t, n, before, "in order on %s", topic)
		}
		latest[topic] = n
		if n >= sent-policyTopics {
			newest++
		} else {
			stale++
			assert.Zero(t, newest, "message %d of %s is stale and comes after newest ones", n, topic)
		}
	}
	t.Logf("conflate: %d KiB stale, then the newest of each topic", stale*policyPayload>>10)
	assert.Less(t, stale*policyPayload, staleBytesMax, "stale bytes")
}

// expectCut: the connection is closed, whether or not the client reads.
func expectCut(t *testing.T, f *fault, p *peer, _ *flood, _ int) {
	t.Helper()
	f.releases(4 + 1) // the healthy readers and the flood
	assert.NoError(t, p.awaitClosed(faultPatience))
}

// sendNext publishes one more message of a flood that has ended.
func (f *flood) sendNext() error {
	n := int(f.sent.Add(1)) - 1
	return f.peer.send(publishPacket(policyTopic(n), numbered(n, policyPayload)))
}

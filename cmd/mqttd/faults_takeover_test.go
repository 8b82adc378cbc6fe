package main_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	takeoverClientID = "the-same"
	takeoverSockets  = 50
)

// The same Client Identifier connects from many sockets in a loop. When the last of them have connected at once,
// one of them lives and is served, and the others are closed.
func TestFaultSameClientID(t *testing.T) {
	f := beginFault(t, "same-client-id", "-connect-rate", "0")
	flood := startFlood(t, f.broker, 500, 64, to("same"))
	var lives atomic.Int64
	var all sync.WaitGroup
	busy := busyFor(sized(2*time.Second, 30*time.Second), func() bool { return lives.Load() > 100 })
	for range takeoverSockets {
		all.Go(func() {
			for busy() && assert.NoError(t, liveOnce(f.broker, &lives)) {
			}
		})
	}
	all.Wait()
	t.Logf("%s: %d lives", f.name, lives.Load())
	assert.Greater(t, lives.Load(), int64(100), "lives that had their CONNACK")
	f.releases(1) // the flood

	survivor := lastOnes(t, f)
	_, err := survivor.subscribe(1, "same")
	require.NoError(t, err)
	from := int(flood.sent.Load())
	numbers, err := survivor.readNumbered(64, func(n int) bool { return n > from+100 })
	require.NoError(t, err)
	assert.Equal(t, len(numbers), contiguous(numbers), "the survivor gets all, once")
	flood.stop(t)
	survivor.Close()
	f.end()
}

// liveOnce connects, reads for a moment if it may, and leaves in one of three ways. That another one takes over is no
// error.
func liveOnce(b *broker, lives *atomic.Int64) error {
	p, err := dialPeer(b, 0)
	if err != nil {
		return err
	}
	defer p.Close()
	if p.connect(takeoverClientID) != nil {
		return nil
	}
	lives.Add(1)
	_ = p.send(subscribePacket(1, "same")) // fails when taken over, as does the reading
	_ = p.SetReadDeadline(time.Now().Add(rand.N(20 * time.Millisecond)))
	for err == nil {
		_, err = p.next()
	}
	switch rand.N(3) {
	case 0:
		_ = p.send([]byte{byteDisconnect, 0}) // fails when taken over
	case 1:
		p.reset()
	}
	return nil
}

// lastOnes connects the sockets at once and returns the one that lives, when all others are closed.
func lastOnes(t *testing.T, f *fault) *peer {
	t.Helper()
	var closed atomic.Int64
	peers := make([]*peer, takeoverSockets)
	for i := range peers {
		peers[i] = newStranger(t, f.broker, 0)
	}
	var ready, all sync.WaitGroup
	ready.Add(takeoverSockets)
	alive := make(chan *peer, takeoverSockets)
	for _, p := range peers {
		all.Go(func() {
			ready.Done()
			ready.Wait()
			err := p.connect(takeoverClientID)
			for deadline := time.Now().Add(faultPatience); err == nil && time.Now().Before(deadline); {
				if closed.Load() == takeoverSockets-1 {
					err = p.ping()
					break
				}
				_ = p.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				if _, e := p.in.Peek(1); e != nil && !isTimeout(e) {
					err = e
				}
			}
			if err != nil {
				closed.Add(1)
				return
			}
			alive <- p
		})
	}
	all.Wait()
	require.EqualValues(t, takeoverSockets-1, closed.Load(), "all but one are closed")
	require.Len(t, alive, 1)
	f.releases(2) // the flood and the survivor
	survivor := <-alive
	_ = survivor.SetReadDeadline(time.Time{})
	return survivor
}

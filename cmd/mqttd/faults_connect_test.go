package main_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Connections that never send a CONNECT, or send it a byte a second, are closed when the time to connect is over. It
// counts from the open: a byte now and then does not prolong it.
func TestFaultNoConnect(t *testing.T) {
	timeout := "3s" // the witness connects within it, too
	f := beginFault(t, "no-connect", "-connect-timeout", timeout)
	limit, err := time.ParseDuration(timeout)
	require.NoError(t, err)
	// In all it takes longer than this test waits.
	connect := connectPacket("slow-" + strings.Repeat("x", 195))
	var all sync.WaitGroup
	for i := range sized(100, 2000) {
		opened := time.Now()
		p := newStranger(t, f.broker, 0)
		all.Go(func() {
			if i%2 == 0 {
				go trickle(p, connect, time.Second)
			}
			assert.NoError(t, p.awaitClosed(limit+faultPatience), "bytes trickle: %v", i%2 == 0)
			assert.Greater(t, time.Since(opened), limit/2, "closed too early")
		})
	}
	all.Wait()
	f.end()
}

// trickle sends a byte at a time until the connection ends.
func trickle(p *peer, bytes []byte, pause time.Duration) {
	for i := range bytes {
		if p.send(bytes[i:i+1]) != nil {
			return
		}
		time.Sleep(pause)
	}
}

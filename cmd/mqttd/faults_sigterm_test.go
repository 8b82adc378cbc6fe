package main_test

import (
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// SIGTERM while much is queued for readers that read as fast as they can, which is not very fast: what was
// acknowledged arrives, and the broker ends in time.
func TestFaultSIGTERM(t *testing.T) {
	const payload = 1024
	messages := sized(4000, 16_000)
	f := beginFault(t, "sigterm", "-client-buffer", strconv.Itoa(64<<20))
	publisher := newPeer(t, f.broker, 0)
	acknowledged := make(chan error, 1)
	go func() { acknowledged <- readPubacks(publisher, messages) }()

	counts := make([]int, sized(4, 16))
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range counts {
		p := newPeer(t, f.broker, smallReceiveBytes, "queued")
		all.Go(func() {
			<-begin
			counts[i] = readUnhurried(t, p, payload)
		})
	}
	for n := range messages {
		require.NoError(t, publisher.send(publishPacketQoS1(uint16(n%65535+1), "queued", numbered(n, payload))))
	}
	require.NoError(t, await(t, acknowledged, "the PUBACKs"))
	f.report() // and end the witness: what it published now would be thrown away

	close(begin)
	require.NoError(t, f.cmd.Process.Signal(syscall.SIGTERM))
	begun := time.Now()
	await(t, f.exited, "the broker to end")
	took := time.Since(begun)
	all.Wait()
	t.Logf("%s: ended after %v", f.name, took)
	assert.Less(t, took, 5*time.Second)
	assert.Equal(t, 0, f.cmd.ProcessState.ExitCode())
	assert.Contains(t, f.log.String(), `"unsent_bytes":0`)
	for i, n := range counts {
		assert.Equal(t, messages, n, "messages that came to reader %d", i)
	}
}

func readPubacks(p *peer, n int) error {
	for range n {
		if _, err := p.await(bytePuback); err != nil {
			return err
		}
	}
	return nil
}

// readUnhurried reads messages, which must come without a gap, until the connection ends, with a pause after each
// 64 KiB or so: about 30 MB/s.
func readUnhurried(t *testing.T, p *peer, payloadBytes int) (count int) {
	for {
		_, n, err := p.nextNumbered(payloadBytes)
		if err != nil {
			return count
		}
		if !assert.Equal(t, count, n, "the next message") {
			return count
		}
		count++
		if count%64 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

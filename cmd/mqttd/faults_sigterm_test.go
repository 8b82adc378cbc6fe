package main_test

import (
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const queuedPayload = 1024

// SIGTERM while much is queued for readers that read as fast as they can, which is not very fast: what was
// acknowledged arrives, and the broker ends in time.
func TestFaultSIGTERM(t *testing.T) {
	readers, messages := sized(4, 16), sized(1500, 16_000) // of each reader, more than sockets hold
	flags := []string{brokerProgram, "-client-buffer", strconv.Itoa(64 << 20)}
	f := beginFaultWith(t, "sigterm", flags...)
	var took time.Duration
	var counts []int
	for attempt := range sized(attempts, 1) {
		if attempt > 0 { // the broker has a time to drain: a machine that stood still for it spoiled that one
			f.broker = startBrokerWith(t, "0", flags...)
		}
		begin, count := queueUp(t, f.broker, readers, messages)
		if attempt == 0 {
			f.report() // and end the witness: what it published now would be thrown away
		}
		close(begin)
		begun := time.Now()
		require.NoError(t, f.cmd.Process.Signal(syscall.SIGTERM))
		await(t, f.exited, "the broker to end")
		took = time.Since(begun)
		counts = count()
		t.Logf("%s: ended after %v", f.name, took)
		if strings.Contains(f.log.String(), `"unsent_bytes":0`) {
			break
		}
	}
	if *faultSizes == "full" {
		assert.Less(t, took, 5*time.Second)
	}
	assert.Equal(t, 0, f.cmd.ProcessState.ExitCode())
	assert.Contains(t, f.log.String(), `"unsent_bytes":0`)
	for i, n := range counts {
		assert.Equal(t, messages, n, "messages that came to reader %d", i)
	}
}

// queueUp publishes messages, which are acknowledged, to readers that read from when begin is closed. The function that
// it returns waits until their connections have ended, and tells what each one got.
func queueUp(t *testing.T, b *broker, readers, messages int) (begin chan struct{}, count func() []int) {
	t.Helper()
	publisher := newPeer(t, b, 0)
	acknowledged := make(chan error, 1)
	go func() { acknowledged <- readPubacks(publisher, messages) }()
	begin = make(chan struct{})
	counts := make([]int, readers)
	var all sync.WaitGroup
	for i := range counts {
		p := newPeer(t, b, smallReceiveBytes, "queued")
		all.Go(func() {
			<-begin
			counts[i] = readUnhurried(t, p, queuedPayload)
		})
	}
	for n := range messages {
		packet := publishPacketQoS1(uint16(n%65535+1), "queued", numbered(n, queuedPayload))
		require.NoError(t, publisher.send(packet))
	}
	require.NoError(t, await(t, acknowledged, "the PUBACKs"))
	return begin, func() []int {
		all.Wait()
		return counts
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

package main_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Clients connect, subscribe, publish and leave in every way there is, for long. Then memory, descriptors and
// threads are back where they were.
func TestFaultChurn(t *testing.T) {
	f := beginFault(t, "churn", "-connect-rate", "0")
	churn(t, f, sized(time.Second, 5*time.Second), 100) // what the first ones cost is the process's own warming up
	f.releases(0)
	f.resetPeak(t)
	f.before = f.footprint(t)

	lives := churn(t, f, sized(2*time.Second, 60*time.Second), sized(200, 10_000))
	t.Logf("%s: %d lives", f.name, lives)
	f.releases(0)
	f.growsAtMost(0)
	require.Eventually(t, func() bool { return f.footprint(t).threads <= f.before.threads+sized(32, 4) },
		faultPatience, 20*time.Millisecond, "threads: %d before", f.before.threads)
	f.end()
}

// churn lives so many lives, and for so long, and returns how many they were.
func churn(t *testing.T, f *fault, howLong time.Duration, atLeast int) int {
	t.Helper()
	var lives atomic.Int64
	var all sync.WaitGroup
	busy := busyFor(howLong, func() bool { return int(lives.Load()) >= atLeast })
	for i := range 8 {
		all.Go(func() {
			for busy() && assert.NoError(t, churnOnce(f.broker, int(lives.Add(1)), i)) {
			}
		})
	}
	all.Wait()
	require.GreaterOrEqual(t, int(lives.Load()), atLeast, "lives, or the test is about nothing")
	return int(lives.Load())
}

// churnOnce is one life; its number decides how it ends. Its topics are few: routes are cached by topic, up to a limit
// of their own.
func churnOnce(b *broker, n, lane int) error {
	p, err := dialPeer(b, 0)
	if err != nil {
		return err
	}
	defer p.Close()
	if n%8 == 7 {
		return nil // without a CONNECT
	}
	if err := p.connect(fmt.Sprint("churn-", n)); err != nil {
		return err
	}
	own := fmt.Sprintf("churn/%d/%d", lane, n%100)
	if _, err := p.subscribe(1, own, "churn/+/+/x"); err != nil {
		return err
	}
	if err := p.send(publishPacket(own, numbered(n, 1024))); err != nil {
		return err
	}
	switch n % 4 {
	case 0:
		p.reset() // with a message on its way
		return nil
	case 1:
		return p.send([]byte{byteDisconnect, 0})
	}
	if topic, got, err := p.nextNumbered(1024); err != nil || got != n || topic != own {
		return errors.Join(err, fmt.Errorf("got message %d on %q, want %d", got, topic, n))
	}
	return nil
}

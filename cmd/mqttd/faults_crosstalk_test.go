package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	crosstalkLanes = 24
	crosstalkBytes = 24 << 10 // of a message: more than one write takes, so that clients die in the middle of one
)

// Clients with a private topic die while messages are on their way to them, and others, who get their slots and
// descriptors, connect at once. Nobody sees a byte that was meant for another.
func TestFaultReusedSlots(t *testing.T) {
	f := beginFault(t, "reused-slots", "-max-clients", "48", "-connect-rate", "0")
	var serials, messages, refusals atomic.Int64
	lanes := make([]atomic.Int64, crosstalkLanes) // who is there now
	var all sync.WaitGroup
	busy := busyFor(sized(2*time.Second, 30*time.Second), func() bool {
		return serials.Load()-refusals.Load() > 100 && messages.Load() > 100
	})
	for i := range lanes {
		all.Go(func() {
			for busy() {
				serial := serials.Add(1)
				read, err := livePrivately(f.broker, serial, func() { lanes[i].Store(serial) })
				messages.Add(int64(read))
				if errors.Is(err, errRefused) { // the slot of the one before is not free yet
					refusals.Add(1)
					continue
				}
				if !assert.NoError(t, err) {
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	publisher := newPeer(t, f.broker, 0)
	for n, running := 0, true; running; n++ {
		serial := lanes[n%len(lanes)].Load() // dead by now, maybe
		require.NoError(t, publisher.send(publishPacket(privateTopic(serial), private(serial))))
		if n%4 > 0 {
			continue
		}
		select {
		case <-ended:
			running = false
		case <-time.After(2 * time.Millisecond): // the pace: more would only wait for the loops
		}
	}
	publisher.Close()
	t.Logf("%s: %d clients, %d messages, %d refused for want of a slot",
		f.name, serials.Load(), messages.Load(), refusals.Load())
	assert.Greater(t, serials.Load()-refusals.Load(), int64(100), "clients, or the test is about nothing")
	assert.Greater(t, messages.Load(), int64(100), "messages, or the test is about nothing")
	f.end()
}

func privateTopic(serial int64) string { return fmt.Sprint("private/", serial) }

func private(serial int64) []byte {
	text := fmt.Appendf(nil, "for %d only, ", serial)
	return bytes.Repeat(text, crosstalkBytes/len(text))
}

// livePrivately reads a few messages, all of which must be its own, and resets the connection.
func livePrivately(b *broker, serial int64, subscribed func()) (read int, err error) {
	p, err := dialPeer(b, smallReceiveBytes/4)
	if err != nil {
		return 0, err
	}
	defer p.reset()
	if err := p.connect(privateTopic(serial)); err != nil {
		return 0, err
	}
	if _, err := p.subscribe(1, privateTopic(serial)); err != nil {
		return 0, err
	}
	subscribed()
	for wanted := rand.N(4); read < wanted; read++ {
		got, err := p.await(bytePublish)
		if err != nil {
			return read, err
		}
		topic, payload, err := got.message()
		if err != nil {
			return read, err
		}
		if string(topic) != privateTopic(serial) || !bytes.Equal(payload, private(serial)) {
			return read, fmt.Errorf("%d got a message on %q that begins with %.40q", serial, topic, payload)
		}
	}
	return read, nil
}

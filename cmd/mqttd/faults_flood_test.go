package main_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flood is a publisher beside the witness, whose messages are numbered from 0.
type flood struct {
	peer     *peer
	healthy  []*peer // readers of all messages, for which it waits: none is to be slow because the machine is
	stopping chan struct{}
	done     chan struct{}
	sent     atomic.Int64
	err      error // read after done
}

// floodWindow is how many bytes a flood may be ahead of a healthy reader. (chosen: less than any buffer in the tests)
const floodWindow = 96 << 10

// startFlood publishes at a steady pace, message n to the topic that the function tells, or slower when healthy
// readers are.
func startFlood(
	t *testing.T, b *broker, perSecond, payloadBytes int, topic func(n int) string, healthy ...*peer,
) *flood {
	t.Helper()
	f := &flood{peer: newPeer(t, b, 0), healthy: healthy, stopping: make(chan struct{}), done: make(chan struct{})}
	go f.run(perSecond, payloadBytes, topic)
	return f
}

func (f *flood) run(perSecond, payloadBytes int, topic func(n int) string) {
	defer close(f.done)
	pause := time.Second / time.Duration(perSecond)
	for due := time.Now(); ; due = due.Add(pause) {
		time.Sleep(time.Until(due))
		select {
		case <-f.stopping:
			return
		default:
		}
		n := int(f.sent.Load())
		if f.isAhead(n - floodWindow/payloadBytes) {
			continue
		}
		if f.err = f.peer.send(publishPacket(topic(n), numbered(n, payloadBytes))); f.err != nil {
			return
		}
		f.sent.Add(1)
	}
}

// isAhead reports whether a healthy reader has yet to read message n.
func (f *flood) isAhead(n int) bool {
	return slices.ContainsFunc(f.healthy, func(p *peer) bool { return p.progress.Load() <= int64(n) })
}

// stop ends the flood and returns how many messages it had, when the broker has handled them.
func (f *flood) stop(t *testing.T) int {
	t.Helper()
	close(f.stopping)
	<-f.done
	require.NoError(t, f.err, "flood")
	require.NoError(t, f.peer.ping())
	f.peer.Close()
	return int(f.sent.Load())
}

// to is a flood of one topic.
func to(topic string) func(int) string { return func(int) string { return topic } }

// numbered returns a payload that tells its number, and whether it is whole.
func numbered(n, size int) []byte {
	payload := bytes.Repeat([]byte{byte(n)}, max(size, 8))
	binary.LittleEndian.PutUint64(payload, uint64(n))
	return payload
}

// numberOf returns the number in a payload, and an error when the payload is not whole.
func numberOf(payload []byte, size int) (int, error) {
	if len(payload) != max(size, 8) {
		return 0, fmt.Errorf("payload of %d bytes instead of %d", len(payload), size)
	}
	n := int(binary.LittleEndian.Uint64(payload))
	if !bytes.Equal(payload, numbered(n, size)) {
		return 0, fmt.Errorf("payload of message %d is not whole", n)
	}
	return n, nil
}

// nextNumbered reads the next message of a flood within the patience.
func (p *peer) nextNumbered(size int) (topic string, n int, err error) {
	got, err := p.await(bytePublish)
	if err != nil {
		return "", 0, err
	}
	name, payload, err := got.message()
	if err != nil {
		return "", 0, err
	}
	n, err = numberOf(payload, size)
	p.progress.Store(int64(n) + 1)
	return string(name), n, err
}

package main_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flood is a publisher beside the witness, whose messages are numbered from 0.
type flood struct {
	peer     *peer
	stopping chan struct{}
	done     chan struct{}
	sent     atomic.Int64
	err      error // read after done
}

// startFlood publishes at a steady pace, message n to the topic that the function tells.
func startFlood(t *testing.T, b *broker, perSecond, payloadBytes int, topic func(n int) string) *flood {
	t.Helper()
	f := &flood{peer: newPeer(t, b, 0), stopping: make(chan struct{}), done: make(chan struct{})}
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
		if f.err = f.peer.send(publishPacket(topic(n), numbered(n, payloadBytes))); f.err != nil {
			return
		}
		f.sent.Add(1)
	}
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
	return string(name), n, err
}

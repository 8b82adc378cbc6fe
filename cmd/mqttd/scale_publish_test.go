package main_test

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
)

// publishWindow is how many messages a scalePublisher sends ahead of their PUBACK. (chosen)
const publishWindow = 1000

// publish publishes the retained messages with the given numbers, and returns when they are acknowledged.
func (s *scale) publish(b *scaleBroker, numbers []int) {
	s.t.Helper()
	p := &scalePublisher{
		peer:    newPeer(s.t, b.broker, 0),
		unacked: make(chan struct{}, publishWindow),
		ended:   make(chan struct{}),
	}
	defer p.peer.Close()
	go p.readPubacks(len(numbers))
	require.NoError(s.t, p.run(s.topics, numbers))
	await(s.t, p.ended, "the PUBACKs")
	require.NoError(s.t, p.err)
}

// scalePublisher publishes at QoS 1 with RETAIN, at retainedPerSecond, or slower when the broker is.
type scalePublisher struct {
	peer    *peer
	batch   []byte
	unacked chan struct{} // one for each message
	ended   chan struct{} // the reading
	err     error         // read after ended
}

func (p *scalePublisher) run(topics []string, numbers []int) error {
	const perBatch = retainedPerSecond / 1000 // of a millisecond
	begun := time.Now()
	for i, n := range numbers {
		if i%perBatch == 0 {
			if err := p.flush(); err != nil {
				return err
			}
			time.Sleep(time.Until(begun.Add(time.Duration(i) * time.Second / retainedPerSecond)))
		}
		if err := p.awaitWindow(); err != nil {
			return err
		}
		packet := publishPacketQoS1(packetIDOf(i), topics[n], numbered(n, retainedPayload))
		packet[0] |= retainBit
		p.batch = append(p.batch, packet...)
	}
	return p.flush()
}

// awaitWindow waits until one more message may be sent.
func (p *scalePublisher) awaitWindow() error {
	select {
	case p.unacked <- struct{}{}:
		return nil
	default:
	}
	if err := p.flush(); err != nil {
		return err
	}
	select {
	case p.unacked <- struct{}{}:
		return nil
	case <-p.ended:
		return fmt.Errorf("no more PUBACK: %w", p.err)
	}
}

func (p *scalePublisher) flush() error {
	if len(p.batch) == 0 {
		return nil
	}
	err := p.peer.send(p.batch)
	p.batch = p.batch[:0]
	return err
}

// readPubacks reads the PUBACKs of n messages, which come in order [MQTT-4.6.0-2].
func (p *scalePublisher) readPubacks(n int) {
	defer close(p.ended)
	for i := range n {
		got, err := p.peer.await(bytePuback)
		if err != nil {
			p.err = err
			return
		}
		if id := binary.BigEndian.Uint16(got.body); id != packetIDOf(i) {
			p.err = fmt.Errorf("PUBACK of %d instead of %d", id, packetIDOf(i))
			return
		}
		<-p.unacked
	}
}

func packetIDOf(i int) uint16 { return uint16(i%65535 + 1) }

package main_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// crashManner is how a subscriber acknowledges.
type crashManner int32

const (
	promptly crashManner = iota
	slowly               // after a pause
	notYet               // the broker's window fills
)

const crashSlowest = 8 * time.Millisecond // pause before an acknowledgement

// crashSubscriber has a session that is kept, and subscribes once in its life.
type crashSubscriber struct {
	c        *crash
	name     string
	filters  []string
	qos      byte
	reader   *crashReader
	connects atomic.Int32
	manner   atomic.Int32
	random   *rand.Rand            // of the reading goroutine
	received map[uint16]crashHeard // of the reading goroutine: at QoS 2, until the PUBREL comes; part of the session

	mu    sync.Mutex
	link  *crashLink    // guarded by mu; nil while there is none
	held  [][]byte      // guarded by mu; acknowledgements that are to be sent later on this connection
	away  bool          // guarded by mu; is to be away
	leave bool          // guarded by mu; is to connect again and leave the connection open
	back  chan struct{} // holds one when it is to come back
}

type crashHeard struct {
	sight *crashSight
	n     int
}

func (s *crashSubscriber) run() {
	for known := false; s.awaitBack(); known = true {
		link := s.c.connect(s.name, known)
		if link == nil {
			return
		}
		s.connects.Add(1)
		if !known && !s.subscribe(link) {
			s.c.ledger.fault("%s cannot subscribe", s.name)
			return
		}
		if s.begin(link) {
			s.read(link)
		}
		s.end(link)
	}
}

// awaitBack waits while the subscriber is to be away. It reports false when the test is over.
func (s *crashSubscriber) awaitBack() bool {
	for {
		s.mu.Lock()
		away := s.away
		s.mu.Unlock()
		if !away {
			return true
		}
		select {
		case <-s.c.ending:
			return false
		case <-s.back:
		}
	}
}

func (s *crashSubscriber) subscribe(link *crashLink) bool {
	if link.send(subscribePacketAt(1, s.qos, s.filters...)) != nil {
		return false
	}
	got, err := link.await(byteSuback)
	if err != nil || len(got.body) != 2+len(s.filters) {
		return false
	}
	for _, code := range got.body[2:] {
		if code != s.qos {
			return false
		}
	}
	return true
}

// begin makes a connection the subscriber's. It reports false when it is to be away meanwhile.
func (s *crashSubscriber) begin(link *crashLink) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link, s.held, s.leave = link, nil, false
	return !s.away
}

// connected reports whether the subscriber has subscribed and its connection was not seen to end.
func (s *crashSubscriber) connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link != nil
}

// end leaves a connection in the way that was asked for.
func (s *crashSubscriber) end(link *crashLink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.link = nil
	if s.leave && !s.away {
		s.c.abandon(link)
		return
	}
	if s.away && s.random.IntN(2) == 0 {
		_ = link.send([]byte{byteDisconnect, 0}) // fails when the broker is gone
	}
	link.Close()
}

// goAway ends the connection, in one of two ways, until comeBack.
func (s *crashSubscriber) goAway() { s.interrupt(&s.away) }

// moveOver makes the subscriber connect again without closing its connection.
func (s *crashSubscriber) moveOver() { s.interrupt(&s.leave) }

func (s *crashSubscriber) interrupt(why *bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*why = true
	if s.link != nil {
		_ = s.link.SetReadDeadline(time.Unix(1, 0)) // fails when closed, as does reading
	}
}

func (s *crashSubscriber) comeBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = false
	select {
	case s.back <- struct{}{}:
	default:
	}
}

// acknowledge says how to acknowledge from now on. What was held back is sent, unless it is to be held on.
func (s *crashSubscriber) acknowledge(how crashManner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manner.Store(int32(how))
	if how == notYet || s.link == nil {
		return
	}
	for _, ack := range s.held {
		_ = s.link.send(ack) // fails when closed, as does reading
	}
	s.held = nil
}

func (s *crashSubscriber) read(link *crashLink) {
	for {
		got, err := link.next()
		if err != nil {
			return
		}
		if err := s.take(link, got); err != nil {
			s.c.ledger.fault("%s: %v, in life %d", s.name, err, link.life)
			return
		}
	}
}

// take handles a packet.
func (s *crashSubscriber) take(link *crashLink, got packet) error {
	now := crashMoment{s.c.lives.now(), link.life}
	if got.first&0xF0 == bytePublish {
		m, err := got.publish()
		if err != nil {
			return err
		}
		return s.hear(link, m, now)
	}
	packetID, err := got.packetID()
	if err != nil {
		return err
	}
	if got.first != bytePubrel {
		return errUnexpected(got.first)
	}
	if heard, open := s.received[packetID]; open {
		delete(s.received, packetID)
		s.c.ledger.finish(heard.sight, heard.n, now)
	}
	s.answer(link, ackPacket(bytePubcomp, packetID))
	return nil
}

// hear handles a message.
func (s *crashSubscriber) hear(link *crashLink, m crashPublish, now crashMoment) error {
	sight := s.reader.sights[string(m.topic)]
	if sight == nil || len(m.payload) < 8 || m.qos != sight.qos || m.retained {
		return errMessage(m)
	}
	n := int(binary.LittleEndian.Uint64(m.payload))
	if string(sight.stream.payload(n)) != string(m.payload) {
		return errMessage(m)
	}
	first := byte(bytePuback)
	if m.qos == 2 {
		first = bytePubrec
		if heard, open := s.received[m.packetID]; open {
			s.checkAgain(m, crashHeard{sight, n}, heard, now)
			s.answer(link, ackPacket(first, m.packetID))
			return nil
		}
		s.received[m.packetID] = crashHeard{sight, n}
	}
	s.c.ledger.arrive(sight, n, now)
	s.answer(link, ackPacket(first, m.packetID))
	return nil
}

// checkAgain checks a message whose Packet Identifier one had that is not released: it must be the same one, or it is
// lost, and have DUP [MQTT-3.3.1-1].
func (s *crashSubscriber) checkAgain(m crashPublish, got, heard crashHeard, now crashMoment) {
	if got == heard && m.dup {
		return
	}
	what := "came again without DUP"
	if got != heard {
		what = fmt.Sprintf("is now message %d of %s, DUP %v", got.n, m.topic, m.dup)
	}
	s.c.ledger.fault("%s: packet %d, message %d of %s, which came %v and is not released, %s, %v; %s",
		s.name, m.packetID, heard.n, heard.sight.stream.topic, s.c.ledger.cameAt(heard), what, now,
		s.c.lives.describe(now.life-1))
}

// answer sends an acknowledgement as the manner is. They keep their order [MQTT-4.6.0-2].
func (s *crashSubscriber) answer(link *crashLink, ack []byte) {
	if crashManner(s.manner.Load()) == slowly {
		time.Sleep(crashDraw(s.random, crashSlowest))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if crashManner(s.manner.Load()) == notYet {
		s.held = append(s.held, ack)
		return
	}
	_ = link.send(ack) // fails when closed, as does reading
}

func errUnexpected(first byte) error { return fmt.Errorf("an unexpected packet: %#x", first) }

func errMessage(m crashPublish) error {
	return fmt.Errorf("not a message that was published: %d bytes on %q at QoS %d, retained: %v, packet %d",
		len(m.payload), m.topic, m.qos, m.retained, m.packetID)
}

package main_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	crashWindow = 10                   // messages of a publisher on their way
	crashRare   = 16                   // of the messages for topics that are rare, one in so many is published
	crashPace   = 3 * time.Millisecond // longest pause of a publisher between two messages (chosen: a load, not a flood)
)

// crashPublisher publishes to its streams, with a session that is kept: what is not acknowledged is sent again when
// it has connected again.
type crashPublisher struct {
	c        *crash
	name     string
	streams  []*crashStream // immutable
	lowest   bool           // Packet Identifiers: the lowest that is free; or else the next
	random   *rand.Rand     // of the publishing goroutine
	connects atomic.Int32
	leave    chan struct{} // connect again, and leave the connection open

	mu     sync.Mutex
	flight []*crashOutgoing // guarded by mu; in the order of first sending
	latest uint16           // guarded by mu; the last Packet Identifier
	paused bool             // guarded by mu
	rest   []*crashStream   // guarded by mu; while paused: one message more for each
}

// crashOutgoing is a message that is not complete.
type crashOutgoing struct {
	packetID uint16
	stream   *crashStream
	n        int
	released bool // PUBREC came
}

func (p *crashPublisher) run() {
	for known := false; ; known = true {
		link := p.c.connect(p.name, known)
		if link == nil {
			return
		}
		p.connects.Add(1)
		p.serve(link)
	}
}

// serve publishes until the connection ends, is to be left, or the test is over.
func (p *crashPublisher) serve(link *crashLink) {
	if !p.sendAgain(link) {
		link.Close()
		return
	}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		p.read(link)
	}()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-p.c.ending:
			link.Close()
			<-reading
			return
		case <-p.leave:
			_ = link.SetReadDeadline(time.Unix(1, 0)) // fails when closed, as does reading
			<-reading
			p.c.abandon(link)
			return
		case <-reading:
			link.Close()
			return
		case <-pause.C:
			p.sendNext(link) // when it fails, so does reading
			pause.Reset(crashDraw(p.random, crashPace))
		}
	}
}

// sendAgain sends what is not complete, in order [MQTT-4.6.0-1].
func (p *crashPublisher) sendAgain(link *crashLink) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.flight {
		p.c.ledger.resend()
		again := o.packet(flagDUP)
		if o.released {
			again = ackPacket(bytePubrel, o.packetID)
		}
		if link.send(again) != nil {
			return false
		}
	}
	return true
}

func (o *crashOutgoing) packet(flags byte) []byte {
	if o.stream.retained {
		flags |= flagRetain
	}
	return publishPacketAt(o.stream.qos, flags, o.packetID, o.stream.topic, o.stream.payload(o.n))
}

// sendNext publishes a message, if there is room for it.
func (p *crashPublisher) sendNext(link *crashLink) {
	if p.c.ledger.crowded() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.flight) >= crashWindow {
		return
	}
	stream := p.streams[p.random.IntN(len(p.streams))]
	if stream.rare && p.random.IntN(crashRare) != 0 {
		return
	}
	if p.paused {
		if len(p.rest) == 0 {
			return
		}
		stream, p.rest = p.rest[0], p.rest[1:]
	}
	o := &crashOutgoing{packetID: p.freeID(), stream: stream, n: p.c.ledger.send(stream)}
	p.flight = append(p.flight, o)
	_ = link.send(o.packet(0))
}

func (p *crashPublisher) freeID() uint16 {
	if p.lowest {
		p.latest = 0
	}
	for {
		if p.latest++; p.latest != 0 && p.find(p.latest) < 0 {
			return p.latest
		}
	}
}

func (p *crashPublisher) find(packetID uint16) int {
	return slices.IndexFunc(p.flight, func(o *crashOutgoing) bool { return o.packetID == packetID })
}

func (p *crashPublisher) read(link *crashLink) {
	for {
		got, err := link.next()
		if err != nil || !p.take(link, got) {
			return
		}
	}
}

// take handles a packet. It reports whether the connection is of any more use.
func (p *crashPublisher) take(link *crashLink, got packet) bool {
	packetID, err := got.packetID()
	if err != nil {
		p.c.ledger.fault("%s: %v", p.name, err)
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.find(packetID)
	if i < 0 {
		p.c.ledger.fault("%s: %#x for packet %d, which is not under way, in life %d",
			p.name, got.first, packetID, link.life)
		return false
	}
	o, now := p.flight[i], crashMoment{p.c.lives.now(), link.life}
	switch {
	case got.first == bytePuback && o.stream.qos == 1, got.first == bytePubcomp && o.released:
		p.flight = slices.Delete(p.flight, i, i+1)
		if o.stream.qos == 1 {
			p.c.ledger.settle(o.stream, o.n, now)
		}
	case got.first == bytePubrec && o.stream.qos == 2:
		o.released = true
		p.c.ledger.settle(o.stream, o.n, now)
		return link.send(ackPacket(bytePubrel, packetID)) == nil
	default:
		p.c.ledger.fault("%s: %#x for a message at QoS %d, released: %v", p.name, got.first, o.stream.qos, o.released)
		return false
	}
	return true
}

// pause ends publishing, but for one message more of each stream.
func (p *crashPublisher) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused, p.rest = true, p.streams
}

func (p *crashPublisher) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = false
}

// idle reports whether all is complete after a pause was asked for.
func (p *crashPublisher) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused && len(p.rest)+len(p.flight) == 0
}

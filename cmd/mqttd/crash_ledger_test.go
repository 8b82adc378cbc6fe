package main_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// crashLedger accounts for every message. Any goroutine may call its methods.
type crashLedger struct {
	mu       sync.Mutex // guards all below, and the fields of streams, sights and watches
	streams  []*crashStream
	readers  []*crashReader
	watches  []crashWatch
	settled  map[int]int // by life: messages that were acknowledged to their publishers
	resent   int
	breaches []string // of rules that no kill excuses
}

// crashStream is the messages that one publisher publishes at one QoS to one topic, numbered from 1.
type crashStream struct {
	topic     string
	qos       byte
	retained  bool
	rare      bool
	publisher *crashPublisher
	sent      int           // the highest number
	settled   []crashMoment // of number n at n-1: when the publisher had PUBACK or PUBREC
}

// crashEmptyEach says which retained messages have no payload: they remove what is retained.
const crashEmptyEach = 5

func (s *crashStream) empties(n int) bool { return s.retained && n%crashEmptyEach == 0 }

// payload returns what message n carries: its number, then filler. Some are longer than a page.
func (s *crashStream) payload(n int) []byte {
	if s.empties(n) {
		return nil
	}
	length := 8 + n%50
	if n%64 == 0 {
		length = 6000
	}
	p := binary.LittleEndian.AppendUint64(make([]byte, 0, length), uint64(n))
	for len(p) < length {
		p = append(p, byte(n+len(p)+len(s.topic)))
	}
	return p
}

// crashReader is a subscriber as the ledger knows it.
type crashReader struct {
	name   string
	sights map[string]*crashSight // by topic
	behind int                    // messages sent that have not come
	absent bool                   // for long
}

// crashSight is what one subscriber has seen of one stream. What is checked: each message comes; those that come for
// the first time come in order; at QoS 2 none comes again. At QoS 1 messages may come again, in order as well: the
// numbers go back no more often than the publisher or the subscriber connected.
type crashSight struct {
	reader     *crashReader
	stream     *crashStream
	qos        byte // at which its messages come
	highest    int  // of the numbers that came
	latest     int  // the number that came last
	backwards  int  // how often a number was not above the one before
	repeats    int
	came       []crashMoment // of number n at n-1: when it came last
	finished   []crashMoment // when the PUBREL for it came, since then
	missing    []crashGap
	doubled    []crashDouble
	reconnects func() int
}

type crashGap struct {
	n    int
	seen crashMoment // when a later one came
}

type crashDouble struct {
	n                     int
	came, finished, again crashMoment
}

// send returns the number of the next message of a stream.
func (l *crashLedger) send(s *crashStream) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.sent++
	s.settled = append(s.settled, crashMoment{})
	for _, r := range l.readers {
		if r.sights[s.topic] != nil {
			r.behind++
		}
	}
	return s.sent
}

// resend notes that a publisher sends something again.
func (l *crashLedger) resend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resent++
}

// settle notes that message n is the broker's.
func (l *crashLedger) settle(s *crashStream, n int, when crashMoment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.settled[n-1].life == 0 {
		s.settled[n-1] = when
		l.settled[when.life]++
	}
}

func (l *crashLedger) settledIn(life int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settled[life]
}

// settledUpTo returns the highest number of a stream that was acknowledged. The caller holds the mutex.
func (l *crashLedger) settledUpTo(s *crashStream) int {
	for n := s.sent; n > 0; n-- {
		if s.settled[n-1].life != 0 {
			return n
		}
	}
	return 0
}

// crowded reports whether a reader is so far behind that publishers had better wait.
func (l *crashLedger) crowded() bool {
	const behindMax, absentMax = 10_000, 25_000 // chosen: the broker's limit is 30,000
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.readers, func(r *crashReader) bool {
		return r.behind > absentMax || !r.absent && r.behind > behindMax
	})
}

// arrive notes that message n came and was not known to be the same as one that had come before.
func (l *crashLedger) arrive(s *crashSight, n int, when crashMoment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 1 || n > s.stream.sent {
		l.breach("%s: %s: message %d came, which was never sent", s.reader.name, s.stream.topic, n)
		return
	}
	if n <= s.latest {
		s.backwards++
	}
	s.latest = n
	if n > s.highest {
		for ; s.highest < n-1; s.highest++ {
			s.missing = append(s.missing, crashGap{s.highest + 1, when})
			s.grow()
		}
		s.highest++
		s.grow()
		s.came[n-1] = when
		return
	}
	if s.came[n-1].life == 0 {
		l.breach("%s: %s: message %d came first after %d had come: %v", s.reader.name, s.stream.topic, n, s.highest, when)
	} else {
		s.repeats++
		if s.qos == 2 {
			s.doubled = append(s.doubled, crashDouble{n, s.came[n-1], s.finished[n-1], when})
		}
	}
	s.came[n-1], s.finished[n-1] = when, crashMoment{}
}

// grow makes room for the highest number.
func (s *crashSight) grow() {
	s.came = append(s.came, crashMoment{})
	s.finished = append(s.finished, crashMoment{})
	s.reader.behind--
}

// finish notes that the PUBREL for message n came.
func (l *crashLedger) finish(s *crashSight, n int, when crashMoment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.finished[n-1] = when
}

// cameAt returns when a message came.
func (l *crashLedger) cameAt(heard crashHeard) crashMoment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return heard.sight.came[heard.n-1]
}

// complete reports whether every reader has the last message of every stream, and every message is acknowledged.
func (l *crashLedger) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.streams {
		if s.sent > 0 && s.settled[s.sent-1].life == 0 {
			return false
		}
	}
	for _, r := range l.readers {
		for _, s := range r.sights {
			if s.highest != s.stream.sent {
				return false
			}
		}
	}
	return true
}

// behind tells how many messages each reader waits for.
func (l *crashLedger) behind() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	behind := map[string]int{}
	for _, r := range l.readers {
		behind[r.name] = r.behind
	}
	return behind
}

// fault notes that a rule was broken that no kill excuses.
func (l *crashLedger) fault(format string, arguments ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breach(format, arguments...)
}

func (l *crashLedger) breach(format string, arguments ...any) {
	l.breaches = append(l.breaches, fmt.Sprintf(format, arguments...))
}

// broken reports whether a rule was broken that no kill excuses.
func (l *crashLedger) broken() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.breaches) > 0
}

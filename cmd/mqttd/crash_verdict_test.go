package main_test

import (
	"fmt"
	"time"
)

// crashBooks is the verdict about a ledger.
type crashBooks struct {
	sent, delivered         int // messages
	repeats                 int // messages that came again at QoS 1
	resent                  int // PUBLISH and PUBREL that publishers sent again
	lost, doubled, retained crashTally
	breaches                []string
}

// crashTally counts one kind of harm.
type crashTally struct {
	total   int
	perLife map[int]int   // by the life that was to remember
	oldest  time.Duration // longest time from what was forgotten to the kill
	faults  []string      // what no kill excuses
}

// add counts one; about describes it if it is a fault. It is excused when one of the moments is, and in a life before
// the one in which the harm was seen.
func (t *crashTally) add(lives *crashLives, window time.Duration, seen crashMoment, about func() string,
	moments ...crashMoment) {
	t.total++
	best, bestLife, excused := time.Duration(-1), 0, false
	for _, m := range moments {
		age, ok := lives.excuses(m, window)
		if m.life == 0 || m.life >= seen.life {
			continue
		}
		if best < 0 || age < best {
			best, bestLife = age, m.life
		}
		excused = excused || ok
	}
	if t.perLife == nil {
		t.perLife = map[int]int{}
	}
	t.perLife[bestLife]++
	t.oldest = max(t.oldest, best)
	if !excused {
		t.faults = append(t.faults, about()+"; "+lives.describe(bestLife))
	}
}

// perLifeMax returns the largest count of a life.
func (t *crashTally) perLifeMax() (most int) {
	for _, n := range t.perLife {
		most = max(most, n)
	}
	return most
}

// judge applies a rule: the broker may forget what happened within a window before a SIGKILL.
func (l *crashLedger) judge(lives *crashLives, window time.Duration) (b crashBooks) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b.resent = l.resent
	b.breaches = l.breaches
	for _, s := range l.streams {
		b.sent += s.sent
	}
	for _, r := range l.readers {
		for _, s := range r.sights {
			b.delivered += s.highest - len(s.missing)
			if s.qos < 2 {
				b.repeats += s.repeats
			}
			s.judge(lives, window, &b)
		}
	}
	for _, w := range l.watches {
		w.judge(lives, window, &b.retained)
	}
	return b
}

func (s *crashSight) judge(lives *crashLives, window time.Duration, b *crashBooks) {
	where := fmt.Sprintf("%s: %s", s.reader.name, s.stream.topic)
	for _, gap := range s.missing {
		settled := s.stream.settled[gap.n-1]
		b.lost.add(lives, window, gap.seen, func() string {
			return fmt.Sprintf("%s: message %d lost: acknowledged %v, missed %v", where, gap.n, settled, gap.seen)
		}, settled)
	}
	for _, d := range s.doubled {
		b.doubled.add(lives, window, d.again, func() string {
			return fmt.Sprintf("%s: message %d twice: came %v, PUBREL came %v, again %v",
				where, d.n, d.came, d.finished, d.again)
		}, d.came, d.finished)
	}
	if causes := s.reconnects(); s.backwards > causes {
		b.breaches = append(b.breaches, fmt.Sprintf("%s: numbers went back %d times, and connections were made %d times",
			where, s.backwards, causes))
	}
}

// faults lists what is wrong by a rule, the first of each kind.
func (c *crash) faults(window time.Duration) (list []string) {
	const most = 10
	books := c.ledger.judge(&c.lives, window)
	for _, kind := range [][]string{books.breaches, books.lost.faults, books.doubled.faults, books.retained.faults} {
		list = append(list, kind[:min(len(kind), most)]...)
		if len(kind) > most {
			list = append(list, fmt.Sprintf("and %d more like this", len(kind)-most))
		}
	}
	return list
}

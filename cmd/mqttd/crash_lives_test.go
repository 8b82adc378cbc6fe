package main_test

import (
	"fmt"
	"sync"
	"syscall"
	"time"
)

// crashMoment is when something happened, and in which life of the broker: the number, from 1, of the process that
// the connection was to. The zero value is never.
type crashMoment struct {
	at   time.Duration // since the test began
	life int
}

func (m crashMoment) String() string {
	if m.life == 0 {
		return "never"
	}
	return fmt.Sprintf("%v in life %d", m.at.Round(time.Microsecond), m.life)
}

// crashEnd is how a life ended: between two moments, by a signal.
type crashEnd struct {
	signal        syscall.Signal
	before, after time.Duration
}

// crashLives is the history of the broker's processes. Any goroutine may call its methods.
type crashLives struct {
	begun time.Time // immutable
	mu    sync.Mutex
	ends  []crashEnd // guarded by mu; of life 1, 2, ...
}

// current returns the number of the life that is, or comes next.
func (l *crashLives) current() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return 1 + len(l.ends)
}

// end notes that a life has ended. The next process is not started before.
func (l *crashLives) end(e crashEnd) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, e)
}

func (l *crashLives) now() time.Duration { return time.Since(l.begun) }

// excuses reports whether the broker may have forgotten what happened at a moment: its life ended with a SIGKILL less
// than a window later. The age is the time until that.
func (l *crashLives) excuses(m crashMoment, window time.Duration) (age time.Duration, excused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.life < 1 || m.life > len(l.ends) || l.ends[m.life-1].signal != syscall.SIGKILL {
		return 0, false
	}
	age = l.ends[m.life-1].before - m.at
	return age, window > 0 && age < window
}

// describe tells how a life ended.
func (l *crashLives) describe(life int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if life < 1 || life > len(l.ends) {
		return fmt.Sprintf("life %d goes on", life)
	}
	e := l.ends[life-1]
	return fmt.Sprintf("life %d ended by %v at %v", life, e.signal, e.before.Round(time.Microsecond))
}

// count returns how many lives ended by SIGKILL and by another signal.
func (l *crashLives) count() (kills, others int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.ends {
		if e.signal == syscall.SIGKILL {
			kills++
		} else {
			others++
		}
	}
	return kills, others
}

// crashStall measures how late a goroutine of this process is at worst when it wants to wake up.
type crashStall struct {
	mu    sync.Mutex
	worst time.Duration // guarded by mu
}

func (s *crashStall) measure(ending <-chan struct{}) {
	const pause = 5 * time.Millisecond
	for {
		begun := time.Now()
		select {
		case <-ending:
			return
		case <-time.After(pause):
		}
		s.mu.Lock()
		s.worst = max(s.worst, time.Since(begun)-pause)
		s.mu.Unlock()
	}
}

func (s *crashStall) longest() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worst
}

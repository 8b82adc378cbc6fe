package store

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

// After a failure the writer tries again, first after retryMin, then each time after twice as long, retryMax at most.
// Failures are told of once in failedEvery. Close gives up after closePatience. (chosen)
const (
	retryMin      = 100 * time.Millisecond
	retryMax      = 5 * time.Second
	failedEvery   = time.Minute
	closePatience = 5 * time.Second
)

// writerNice is how much the writer's thread stands back. (chosen)
const writerNice = 10

// announce tells the writer of the first change of b, and when b is full or somebody waits for it. mu is held.
func (s *Store) announce(b *batch, awaited bool) {
	if !b.announced {
		b.announced, b.since = true, time.Now()
		s.noted <- struct{}{} // never blocks: the writer took the token of the batch before
	}
	if !b.brimming && (awaited || b.isFull()) {
		b.brimming = true
		select {
		case s.full <- struct{}{}:
		default:
		}
	}
}

// write is the writer: it saves batch after batch until the Store is closed. Its thread stands back behind those of the
// loops where processors are short.
func (s *Store) write() {
	defer close(s.done)
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), writerNice)
	debug.SetPanicOnFault(true) // a page of the file that cannot be read faults
	for {
		select {
		case <-s.noted:
			s.gather()
			s.save(s.take())
		case <-s.closing:
			s.finish()
			return
		}
	}
}

// gather waits until the pending batch is due.
func (s *Store) gather() {
	if s.options.Sync == Always {
		return
	}
	s.mu.Lock()
	due := time.Until(s.pending.since.Add(s.options.Interval))
	s.mu.Unlock()
	timer := time.NewTimer(due)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.full:
	case <-s.closing:
	}
}

// finish saves what is pending and marks the file as closed properly.
func (s *Store) finish() {
	if s.unsaved == nil {
		s.save(s.take())
	}
	if s.unsaved == nil && !s.clean && s.broken == nil {
		s.unsaved = s.transact(func(t *transaction) error {
			t.ledger.closed = true
			return nil
		})
	}
}

// take takes the pending batch in exchange for an empty one.
func (s *Store) take() *batch {
	next := newBatch()
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.full: // of the batch that is taken
	default:
	}
	b := s.pending
	next.number = b.number + 1
	s.pending = next
	s.counters.taken.Store(int64(b.changes))
	s.counters.takenBytes.Store(b.bytes)
	return b
}

// save saves b, however often it must try, unless the Store is closed meanwhile and closePatience is over.
func (s *Store) save(b *batch) {
	b.unsaved = sortedKeys(b.retained)
	if s.options.Sync == Interval {
		defer time.AfterFunc(s.options.Interval, func() { s.late.Store(b.number) }).Stop()
	}
	pause, told := retryMin, time.Time{}
	var deadline <-chan time.Time
	closing := s.closing
	for {
		err := s.commit(b)
		if err == nil {
			break
		}
		s.counters.failures.Add(1)
		if !s.failing.Swap(true) {
			call(s.options.Committed)
		}
		if s.options.Failed != nil && time.Since(told) >= failedEvery {
			told = time.Now()
			s.options.Failed(err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
			pause = min(2*pause, retryMax)
		case <-closing:
			closing, pause, deadline = nil, retryMin, time.After(s.closePatience)
		case <-deadline:
			s.unsaved = fmt.Errorf("store: %s: %d changes are not saved: %w", s.file, b.changes, err)
			return
		}
		timer.Stop()
	}
	s.counters.taken.Store(0)
	s.counters.takenBytes.Store(0)
	s.committed.Store(b.number)
	recovered := s.failing.Swap(false)
	call(s.options.Committed)
	if recovered {
		call(s.options.Recovered)
	}
}

func call(f func()) {
	if f != nil {
		f()
	}
}

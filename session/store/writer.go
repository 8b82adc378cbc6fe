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

// write is the writer: it saves batch after batch, and in between what is lazy, until the Store is closed. Its thread
// stands back behind those of the loops where processors are short.
func (s *Store) write() {
	defer close(s.done)
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), writerNice)
	debug.SetPanicOnFault(true) // a page of the file that cannot be read faults; bbolt reads some on other goroutines
	var due <-chan time.Time    // when the pending batch is to be saved, though it is not full
	for s.unsaved == nil {
		select {
		case <-s.closing:
			s.finish()
			return
		case <-s.noted:
			due = s.due()
			continue
		case <-s.backlog.next():
			s.savePortion()
			continue
		case <-due:
		case <-s.full:
		}
		due = nil
		s.save(s.take())
	}
}

// due returns when the pending batch, which has its first change, is to be saved.
func (s *Store) due() <-chan time.Time {
	if s.options.Sync == Always {
		return now
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.After(time.Until(s.pending.since.Add(s.options.Interval)))
}

// now is always ready.
var now = func() chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// finish saves what is pending and marks the file as closed properly.
func (s *Store) finish() {
	for more := true; more && s.unsaved == nil; more = s.Stats().Pending > 0 {
		s.save(s.take())
		for s.unsaved == nil && len(s.backlog.unsaved) > 0 {
			s.savePortion()
		}
	}
	if s.unsaved == nil && !s.clean && s.broken == nil {
		s.unsaved = s.transact(func(t *transaction) error {
			t.ledger.closed = true
			return nil
		})
	}
}

// take takes the pending batch in exchange for an empty one. What is lazy in it becomes the backlog, unless there is
// one: then it stays pending.
func (s *Store) take() *batch {
	next := newBatch()
	s.mu.Lock()
	for _, said := range []chan struct{}{s.noted, s.full} { // of the batch that is taken
		select {
		case <-said:
		default:
		}
	}
	b := s.pending
	next.number = b.number + 1
	begin := !s.draining && len(b.lazy) > 0
	switch {
	case begin:
		s.draining = true
	case s.draining:
		b.lazy, next.lazy = next.lazy, b.lazy
		b.lazyBytes, next.lazyBytes = 0, b.lazyBytes
	}
	s.pending = next
	s.counters.taken.Add(int64(b.changes + len(b.lazy)))
	s.counters.takenBytes.Add(b.bytes + b.lazyBytes)
	s.mu.Unlock()
	if begin {
		s.backlog = newBacklog(b.lazy)
	}
	s.counters.gone(s.backlog.supersede(b.retained))
	return b
}

// save saves b, but for what is lazy, unless Close loses its patience.
func (s *Store) save(b *batch) {
	b.unsaved = sortedKeys(b.retained)
	if !s.persist(func() error { return s.commit(b) }) {
		return
	}
	s.counters.gone(b.changes, b.bytes)
	s.committed.Store(b.number)
	call(s.options.Committed)
}

// savePortion saves a part of the backlog.
func (s *Store) savePortion() {
	began, portion := time.Now(), s.portion(s.backlog.unsaved, s.backlog.changes)
	remaining := s.backlog.remaining(portion)
	if !s.persist(func() error {
		return s.transact(func(t *transaction) error {
			t.ledger.closed = false
			return t.putRetained(remaining, s.backlog.changes)
		})
	}) {
		return
	}
	s.counters.gone(s.backlog.saved(portion, began.Add(retainedPeriod)))
	if len(s.backlog.unsaved) > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = false
	if len(s.pending.lazy) > 0 {
		s.announce(s.pending, false)
	}
}

// persist calls f until it succeeds. It returns false when Close has lost its patience, and unsaved is set.
func (s *Store) persist(f func() error) bool {
	if s.options.Sync == Interval {
		defer time.AfterFunc(s.options.Interval, s.fallBehind).Stop()
	}
	pause, told := retryMin, time.Time{}
	closing, patience := s.closing, (<-chan time.Time)(nil)
	for {
		err := f()
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
			closing, pause, patience = nil, retryMin, s.patience
		case <-patience:
			s.unsaved = fmt.Errorf("store: %s: %d changes are not saved: %w", s.file, s.Stats().Pending, err)
			return false
		}
		timer.Stop()
	}
	if s.failing.Swap(false) {
		call(s.options.Committed)
		call(s.options.Recovered)
	}
	return true
}

// fallBehind has acknowledgements wait for what is pending now: what is being saved takes longer than an interval.
func (s *Store) fallBehind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late.Store(s.pending.number)
}

func call(f func()) {
	if f != nil {
		f()
	}
}

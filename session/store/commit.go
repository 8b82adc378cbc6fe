package store

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// A transaction does at most retainedWork for retained messages, or holds retainedBytesMax of them, and the next one
// begins no sooner than retainedPeriod after it: its commit keeps a processor from the loops for less than a
// millisecond. A message whose topic had none is written beside others that are new, knownWork times cheaper than one
// whose page must be found and written again. A disk that is waited for gives the rest; without one, on tmpfs, there
// must be a pause, or a goroutine that wakes every millisecond would be late by 8 to 18 ms at p99. (measured with
// BenchmarkRetained and make scale on two processors that had other work too)
const (
	retainedWork     = 512
	knownWork        = 4
	retainedBytesMax = 1 << 20
	retainedPeriod   = 2 * time.Millisecond
)

// commit saves what of b is not on disk yet, but for what is lazy.
func (s *Store) commit(b *batch) error {
	if b.changes == 0 { // all of them were undone
		return nil
	}
	for !b.stateSaved || len(b.unsaved) > 0 {
		began, portion := time.Now(), s.portion(b.unsaved, b.retained)
		err := s.transact(func(t *transaction) error {
			t.ledger.closed = false
			if !b.stateSaved {
				if err := t.putState(b); err != nil {
					return err
				}
			}
			return t.putRetained(portion, b.retained)
		})
		if err != nil {
			return err
		}
		b.stateSaved, b.unsaved = true, b.unsaved[len(portion):]
		if len(b.unsaved) > 0 {
			s.rest(time.Until(began.Add(retainedPeriod)))
		}
	}
	return nil
}

// rest waits, unless there is no time for that because the Store is being closed.
func (s *Store) rest(pause time.Duration) {
	if pause <= 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closing:
	}
}

// portion returns the first of the retained messages, as many as belong into one transaction. When the Store is being
// closed nobody is kept from a processor, and a slow disk is asked for as little as possible.
func (s *Store) portion(numbers []uint64, changes map[uint64]retainedChange) []uint64 {
	most, mostBytes := retainedWork, retainedBytesMax
	if s.isClosing() {
		most, mostBytes = math.MaxInt, batchFullBytes
	}
	work, size := 0, 0
	for i, number := range numbers {
		c := changes[number]
		size += len(c.packet)
		if work++; !c.fresh {
			work += knownWork - 1
		}
		if i > 0 && (work > most || size > mostBytes) {
			return numbers[:i]
		}
	}
	return numbers
}

func (s *Store) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

func (t *transaction) putState(b *batch) error {
	if err := t.putMessages(sortedKeys(b.messages), b.messages); err != nil {
		return err
	}
	for _, id := range sortedKeys(b.sessions) {
		if err := t.putSession(id, b.sessions[id]); err != nil {
			return err
		}
	}
	return nil
}

// transact makes one transaction of what f writes, on disk when it returns nil. When it returns an error, that may be
// on disk or not: the caller tries again with the same.
func (s *Store) transact(f func(*transaction) error) (err error) {
	if s.broken != nil {
		return s.broken
	}
	defer func() {
		if cause := recover(); cause != nil { // of bbolt, whose locks may be held for ever now
			s.broken = fmt.Errorf("store: %s: %v: restart", s.file, cause)
			err = s.broken
		}
	}()
	s.arena.reset()
	began := time.Now()
	var l ledger
	err = s.db.Update(func(tx *bbolt.Tx) error {
		t, err := s.newTransaction(tx)
		if err != nil {
			return err
		}
		if err := f(t); err != nil {
			return err
		}
		if s.fault != nil {
			if err := s.fault(); err != nil {
				return err
			}
		}
		l = t.ledger
		return t.putLedger()
	})
	if err != nil {
		return fmt.Errorf("store: %s: %w", s.file, err)
	}
	info, err := os.Stat(s.file)
	if err != nil || !os.SameFile(info, s.opened) {
		return fmt.Errorf("store: %s: %w: put it back, or restart", s.file, errReplaced)
	}
	s.clean = l.closed
	c := &s.counters
	c.commits.Add(1)
	c.commitTime.Add(int64(time.Since(began)))
	c.lastCommit.Store(time.Now().UnixNano())
	c.records.Store(l.records)
	c.fileBytes.Store(info.Size())
	return nil
}

// errReplaced says that what is saved goes into a file that nobody will find.
var errReplaced = errors.New("the file was removed or replaced")

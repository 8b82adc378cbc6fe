package store

import (
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Store saves state in a directory of its own. Any goroutine may call its methods, but Load, which comes before the
// first Begin, and Close, which comes after the last End. A nil Store keeps nothing: everything is in memory only.
type Store struct {
	options Options  // immutable
	file    string   // immutable; path of the database
	lock    *os.File // immutable; holds the directory

	closePatience time.Duration    // immutable; how long Close tries to save
	patience      <-chan time.Time // immutable once closing; when that is over

	mu       sync.Mutex
	tx       Tx     // guarded by mu; what Begin lends
	pending  *batch // guarded by mu; committed < pending.number
	draining bool   // guarded by mu; the writer has a backlog, and what is lazy gathers

	noted   chan struct{} // the pending batch has its first change
	full    chan struct{} // the pending batch has grown to batchFull, or somebody waits for it
	closing chan struct{} // closed by Close
	done    chan struct{} // closed by the writer at its end

	committed atomic.Uint64 // the highest batch on disk
	failing   atomic.Bool   // the latest commit failed
	late      atomic.Uint64 // a batch that waited longer than an interval to be saved, if it is not committed
	counters  counters      // atomic

	// Of Load and then of the writer alone.
	db      *bbolt.DB
	opened  os.FileInfo  // of its file
	backlog backlog      // retained messages that nobody waits for
	clean   bool         // the file has the mark of a proper Close
	arena   arena        // records of the transaction that is being written
	broken  error        // why the database cannot be used any more
	unsaved error        // why Close left something behind
	fault   func() error // for tests: fails a transaction before its commit

	found      highest // by Load
	foundClean bool    // immutable; clean, when the file was opened
}

// highest are the highest identifiers that Load found.
type highest struct{ session, message uint64 }

// Begin starts a change: what is noted until End is saved together. It takes the mutex that all changes share, so the
// caller calls End within microseconds, waits for nothing that others do between theirs and never begins another. All
// changes are lent the same Tx. nil Store: nil, which notes nothing.
func (s *Store) Begin() *Tx {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	s.tx = Tx{store: s, batch: s.pending}
	return &s.tx
}

// Committed returns the number of the highest batch that is on disk.
func (s *Store) Committed() uint64 {
	if s == nil {
		return math.MaxUint64
	}
	return s.committed.Load()
}

// waits reports whether acknowledgements must wait for the commit of what is noted now: with Interval, too, while
// saving fails or takes longer than an interval. So what was acknowledged and is not on disk was noted in two
// intervals at most.
func (s *Store) waits() bool {
	return s.options.Sync == Always || s.failing.Load() || s.late.Load() > s.committed.Load()
}

// Highest returns the highest identifiers of sessions and messages that Load found: new ones go on from there.
func (s *Store) Highest() (sessionID, messageID uint64) {
	if s == nil {
		return 0, 0
	}
	return s.found.session, s.found.message
}

// Clean reports whether the Store was closed properly the last time, or is new: nothing that was noted is missing.
func (s *Store) Clean() bool { return s == nil || s.foundClean }

// Close saves what is pending, for closePatience at most when that fails, and closes the file. The error says how
// much could not be saved. No Begin may follow.
func (s *Store) Close() error {
	if s == nil {
		return nil
	}
	s.patience = time.After(s.closePatience)
	close(s.closing)
	<-s.done
	err := s.unsaved
	if closeErr := s.db.Close(); err == nil {
		err = closeErr
	}
	s.lock.Close()
	return err
}

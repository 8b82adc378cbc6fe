package store

import (
	"sync/atomic"
	"time"
)

// Stats is what a Store counts.
type Stats struct {
	Pending      int           // changes that are not on disk yet
	PendingBytes int64         // of packets, topics, filters and Client Identifiers in them
	Commits      uint64        // transactions that are on disk
	Failures     uint64        // transactions that failed
	Failing      bool          // the latest one failed
	Records      uint64        // on disk
	LastCommit   time.Time     // zero: none yet
	CommitTime   time.Duration // that all transactions took together, with waiting for the disk
	FileBytes    int64         // size of the file, part of which may not be allocated; it never shrinks
}

// counters are atomic; the writer alone writes them.
type counters struct {
	taken, takenBytes atomic.Int64 // of what the writer has
	commits, failures atomic.Uint64
	records           atomic.Uint64
	lastCommit        atomic.Int64 // nanoseconds of Unix time
	commitTime        atomic.Int64
	fileBytes         atomic.Int64
}

// gone counts out what the writer had.
func (c *counters) gone(changes int, bytes int64) {
	c.taken.Add(int64(-changes))
	c.takenBytes.Add(-bytes)
}

// Stats returns what was counted up to now. Any goroutine may call it. nil Store: zero.
func (s *Store) Stats() Stats {
	if s == nil {
		return Stats{}
	}
	c := &s.counters
	s.mu.Lock() // the writer takes a batch under it, so none is missed or counted twice
	b := s.pending
	changes, bytes := b.changes+len(b.lazy)+int(c.taken.Load()), b.bytes+b.lazyBytes+c.takenBytes.Load()
	s.mu.Unlock()
	stats := Stats{
		Pending:      changes,
		PendingBytes: bytes,
		Commits:      c.commits.Load(),
		Failures:     c.failures.Load(),
		Failing:      s.failing.Load(),
		Records:      c.records.Load(),
		CommitTime:   time.Duration(c.commitTime.Load()),
		FileBytes:    c.fileBytes.Load(),
	}
	if at := c.lastCommit.Load(); at != 0 {
		stats.LastCommit = time.Unix(0, at)
	}
	return stats
}

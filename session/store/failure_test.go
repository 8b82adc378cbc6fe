package store

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// reports counts what a store tells.
type reports struct {
	committed, failed, recovered atomic.Int64
	cause                        atomic.Value
}

func (r *reports) options(o Options) Options {
	o.Committed = func() { r.committed.Add(1) }
	o.Failed = func(err error) { r.failed.Add(1); r.cause.Store(err) }
	o.Recovered = func() { r.recovered.Add(1) }
	return o
}

var errDisk = errors.New("no space left on device")

// TestFailuresKeepTheBatch lets commits fail, in our own code and in bbolt's, and then work.
func TestFailuresKeepTheBatch(t *testing.T) {
	for name, fail := range map[string]func(s *Store) error{
		"before the commit": func(*Store) error { return errDisk },
		"in the commit":     func(s *Store) error { s.db.MaxSize = 1; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			var r reports
			var healthy atomic.Bool
			dir := t.TempDir()
			s := opened(t, dir, r.options(Options{Interval: IntervalMin}))
			s.fault = func() error {
				s.db.MaxSize = 0
				if healthy.Load() {
					return nil
				}
				return fail(s)
			}
			h, large, noted := newHistory(1), uint64(1<<20), false
			note := func() uint64 {
				tx := s.Begin()
				tx.PutRetained(large, make([]byte, 1<<16), !noted) // needs room
				noted = true
				h.step(tx)
				return tx.End()
			}
			require.Zero(t, note(), "nobody waits while saving works")
			until(t, func() bool { return s.Stats().Failures > 1 })
			require.True(t, s.Stats().Failing)
			require.NotZero(t, s.Stats().Pending)
			require.EqualValues(t, 1, r.failed.Load(), "a streak is told of once")
			require.EqualValues(t, 1, r.committed.Load(), "it is told that saving fails")
			require.ErrorContains(t, r.cause.Load().(error), s.file)
			var batch uint64
			for range 100 {
				batch = note()
				require.Equal(t, uint64(2), batch, "acknowledgements wait, for the one batch that gathers")
			}
			require.Zero(t, s.Committed())

			healthy.Store(true)
			until(t, func() bool { return s.Committed() >= batch })
			until(t, func() bool { return r.recovered.Load() == 1 })
			require.False(t, s.Stats().Failing)
			require.Zero(t, note())
			require.NoError(t, s.Close())
			s = opened(t, dir, Options{Sync: Always})
			got, err := load(t, s)
			require.NoError(t, err)
			require.NoError(t, s.Close())
			require.Len(t, got.Retained[large], 1<<16)
			delete(got.Retained, large)
			require.Equal(t, h.model, got)
		})
	}
}

// TestRetainedGoOnWhereTheyFailed fails a batch of several transactions between two of them.
func TestRetainedGoOnWhereTheyFailed(t *testing.T) {
	var r reports
	dir := t.TempDir()
	s := opened(t, dir, r.options(Options{Interval: IntervalMin}))
	transactions := 0
	s.fault = func() error {
		if transactions++; transactions == 3 {
			return errDisk
		}
		return nil
	}
	tx := s.Begin()
	for i := range 5 * retainedWork {
		tx.PutRetained(uint64(i), []byte("x"), true)
	}
	tx.End()
	wait(t, s)
	require.NoError(t, s.Close())
	require.Equal(t, 5+1+1, transactions, "five, one that failed and the mark of Close")
	require.EqualValues(t, 1, r.recovered.Load())
	s = opened(t, dir, Options{Sync: Always})
	require.EqualValues(t, 5*retainedWork, s.Stats().Records)
	require.NoError(t, s.Close())
}

// TestCloseGivesUp closes a store on a disk that does not get well.
func TestCloseGivesUp(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{Interval: time.Hour})
	s.closePatience = retryMin
	s.fault = func() error { return errDisk }
	tx := s.Begin()
	tx.PutRetained(1, []byte("x"), true)
	tx.End()
	err := s.Close()
	require.ErrorIs(t, err, errDisk)
	require.ErrorContains(t, err, "1 changes are not saved")
	s = opened(t, dir, Options{Sync: Always})
	require.Zero(t, s.Stats().Records)
	require.NoError(t, s.Close())
}

// TestCloseSavesNothingAfterWhatItGaveUp has a disk that works again when Close has lost its patience: what was noted
// later builds on what is not there.
func TestCloseSavesNothingAfterWhatItGaveUp(t *testing.T) {
	for range 10 {
		dir := t.TempDir()
		s := opened(t, dir, Options{Sync: Always})
		s.closePatience = retryMin
		s.fault = func() error {
			if s.unsaved == nil {
				return errDisk
			}
			return nil
		}
		tx := s.Begin()
		tx.PutSession(1, Session{ClientID: "a"}, true)
		tx.PutMessage(1, []byte("x"))
		tx.PutQueued(1, Queued{Flow: 1, Seq: 1, MessageID: 1, QoS: 1})
		tx.End()
		until(t, func() bool { return s.Stats().Failing })
		tx = s.Begin()
		tx.PutQueued(1, Queued{Flow: 1, Seq: 1, MessageID: 1, QoS: 1, Sent: true})
		tx.End()
		require.ErrorContains(t, s.Close(), "4 changes are not saved")
		s = opened(t, dir, Options{Sync: Always})
		require.Zero(t, s.Stats().Records)
		require.NoError(t, s.Close())
	}
}

// TestFileThatIsReplaced saves into a file that nobody would find, until it is back.
func TestFileThatIsReplaced(t *testing.T) {
	for name, replace := range map[string]func(file string) error{
		"removed": func(file string) error { return os.Rename(file, file+".away") },
		"replaced": func(file string) error {
			return errors.Join(os.Rename(file, file+".away"), os.WriteFile(file, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var r reports
			dir := t.TempDir()
			s := opened(t, dir, r.options(Options{Sync: Always}))
			require.NoError(t, replace(s.file))
			tx := s.Begin()
			tx.PutRetained(1, []byte("x"), true)
			batch := tx.End()
			until(t, func() bool { return r.failed.Load() > 0 })
			require.ErrorIs(t, r.cause.Load().(error), errReplaced)
			require.Less(t, s.Committed(), batch)
			require.NoError(t, os.Rename(s.file+".away", s.file))
			until(t, func() bool { return s.Committed() >= batch })
			require.NoError(t, s.Close())
			s = opened(t, dir, Options{Sync: Always})
			require.EqualValues(t, 1, s.Stats().Records)
			require.NoError(t, s.Close())
		})
	}
}

// limitDir, in the environment, makes the test binary the process whose files must not grow.
const limitDir = "MQTTD_STORE_LIMIT_DIR"

// TestFileThatMustNotGrow saves in a process with RLIMIT_FSIZE, which makes the kernel refuse to write, and then
// without.
func TestFileThatMustNotGrow(t *testing.T) {
	if dir := os.Getenv(limitDir); dir != "" {
		saveWithLimit(t, dir)
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestFileThatMustNotGrow$", "-test.v")
	child.Env = append(os.Environ(), limitDir+"="+dir)
	out, err := child.CombinedOutput()
	require.NoError(t, err, string(out))
	s := opened(t, dir, Options{Sync: Always})
	got, err := load(t, s)
	require.NoError(t, err)
	require.Len(t, got.Retained, 2*4000)
	require.NoError(t, s.Close())
}

func saveWithLimit(t *testing.T, dir string) {
	var r reports
	s := opened(t, dir, r.options(Options{Sync: Always}))
	retain := func(from int) (batch uint64) {
		for i := range 4000 {
			tx := s.Begin()
			tx.PutRetained(uint64(1+from+i), make([]byte, 1000), true)
			batch = tx.End()
		}
		return batch
	}
	batch := retain(0)
	until(t, func() bool { return s.Committed() >= batch })

	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	low := limit
	low.Cur = 64 << 10 // most of what the file has already
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low))
	batch = retain(4000)
	until(t, func() bool { return r.failed.Load() > 0 })
	require.ErrorContains(t, r.cause.Load().(error), syscall.EFBIG.Error())
	require.Less(t, s.Committed(), batch)

	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	until(t, func() bool { return s.Committed() >= batch })
	require.EqualValues(t, 1, r.recovered.Load())
	require.NoError(t, s.Close())
}

// until waits for a condition.
func until(t testing.TB, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, 30*time.Second, time.Millisecond)
}

// TestSlowSavesAreWaitedFor has a disk that takes longer than an interval: what is noted then is acknowledged when it is saved, so
// that what may be lost does not grow without end.
func TestSlowSavesAreWaitedFor(t *testing.T) {
	s := opened(t, t.TempDir(), Options{Interval: IntervalMin})
	disk := make(chan struct{})
	s.fault = func() error {
		<-disk
		return nil
	}
	note := func(id uint64) uint64 {
		tx := s.Begin()
		tx.PutMessage(id, []byte("packet"))
		return tx.End()
	}
	require.Zero(t, note(1))
	id := uint64(1)
	until(t, func() bool { id++; return note(id) > s.Committed() })
	close(disk)
	until(t, func() bool { id++; return note(id) == 0 })
	require.NoError(t, s.Close())
}

package store

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhatIsNotedIsThereAfterClose(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{Interval: time.Hour})
	require.NoError(t, err)
	require.NoError(t, s.Load(Visitor{}))
	tx := s.Begin()
	tx.PutSession(1, Session{ClientID: "a", Left: 5}, true)
	tx.PutSubscription(1, "a/#", 2, true)
	tx.PutReceived(1, 7)
	tx.PutMessage(9, []byte("packet"))
	q := Queued{Flow: 1, Seq: 3, MessageID: 9, QoS: 2, Retain: true, Sent: true, Doubtful: true}
	tx.PutQueued(1, q)
	tx.PutRetained(4, []byte("retained"), true)
	require.Zero(t, tx.End())
	require.NoError(t, s.Close())

	s, err = Open(dir, Options{Sync: Always})
	require.NoError(t, err)
	require.True(t, s.Clean())
	told := 0
	require.NoError(t, s.Load(Visitor{
		Message: func(id uint64, packet []byte) {
			told++
			require.Equal(t, uint64(9), id)
			require.Equal(t, "packet", string(packet))
		},
		Session:      func(id uint64, s Session) { told++; require.Equal(t, Session{"a", 5}, s) },
		Subscription: func(id uint64, filter string, qos byte) { told++; require.Equal(t, "a/#", filter) },
		Received:     func(id uint64, packetID uint16) { told++; require.Equal(t, uint16(7), packetID) },
		Queued:       func(id uint64, got Queued) { told++; require.Equal(t, q, got) },
		Retained:     func(number uint64, packet []byte) { told++; require.Equal(t, uint64(4), number) },
	}))
	require.Equal(t, 6, told)
	tx = s.Begin()
	tx.DeleteSession(1)
	batch := tx.End()
	require.Equal(t, uint64(1), batch)
	require.Eventually(t, func() bool { return s.Committed() >= batch }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
}

// TestNilKeepsNothing calls everything as a broker without a directory does.
func TestNilKeepsNothing(t *testing.T) {
	var s *Store
	require.NoError(t, s.Load(Visitor{}))
	session, message := s.Highest()
	require.Zero(t, session+message)
	require.True(t, s.Clean())
	tx := s.Begin()
	require.Nil(t, tx)
	tx.PutSession(1, Session{}, true)
	tx.DeleteSession(1)
	tx.PutSubscription(1, "a", 0, true)
	tx.DeleteSubscription(1, "a")
	tx.PutReceived(1, 1)
	tx.DeleteReceived(1, 1)
	tx.PutMessage(1, nil)
	tx.DeleteMessage(1)
	tx.PutQueued(1, Queued{})
	tx.DeleteQueued(1, 0, 0)
	tx.PutRetained(1, nil, true)
	tx.DeleteRetained(1)
	require.Zero(t, tx.End())
	require.Equal(t, uint64(math.MaxUint64), s.Committed())
	require.Zero(t, s.Stats())
	require.NoError(t, s.Close())
}

// TestBatchGathersWhileOneIsSaved holds a commit up and requires that all that is noted meanwhile waits for one
// batch.
func TestBatchGathersWhileOneIsSaved(t *testing.T) {
	s, saving, goOn := held(t, t.TempDir(), Options{Sync: Always})
	note := func() uint64 {
		tx := s.Begin()
		tx.PutReceived(1, 1)
		return tx.End()
	}
	require.Equal(t, uint64(1), note())
	<-saving
	for range 1000 {
		require.Equal(t, uint64(2), note())
	}
	require.Zero(t, s.Committed())
	require.Equal(t, 2, s.Stats().Pending, "the latest change of a key wins")
	goOn <- struct{}{}
	<-saving
	require.Equal(t, uint64(1), s.Committed())
	goOn <- struct{}{}
	until(t, func() bool { return s.Committed() == 2 })
	require.EqualValues(t, 2, s.Stats().Commits)
	tx := s.Begin()
	require.Zero(t, tx.End(), "nothing was noted")
	go func() {
		for range saving {
			goOn <- struct{}{}
		}
	}()
	require.NoError(t, s.Close())
	close(saving)
}

// TestFullBatchDoesNotWait fills a batch long before its interval is over.
func TestFullBatchDoesNotWait(t *testing.T) {
	for name, fill := range map[string]func(*Tx){
		"changes": func(tx *Tx) {
			for id := range uint64(batchFull) {
				tx.PutMessage(id, []byte("x"))
			}
		},
		"bytes": func(tx *Tx) { tx.PutMessage(1, make([]byte, batchFullBytes)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, t.TempDir(), Options{Interval: time.Hour})
			tx := s.Begin()
			fill(tx)
			require.Zero(t, tx.End())
			wait(t, s)
			require.NoError(t, s.Close())
		})
	}
}

// TestRetainedMessagesWaitForTheInterval, however many have changed; messages in queues beside them count as ever.
func TestRetainedMessagesWaitForTheInterval(t *testing.T) {
	b := newBatch()
	for n := range 2 * batchFull {
		b.putRetained(uint64(n), []byte("x"), true, false)
		b.deleteRetained(uint64(2*batchFull + n))
	}
	require.False(t, b.isFull())
	for id := range uint64(batchFull) {
		require.False(t, b.isFull())
		b.putMessage(id, []byte("x"))
	}
	require.True(t, b.isFull())
	b = newBatch()
	b.putRetained(1, make([]byte, batchFullBytes), true, false)
	require.True(t, b.isFull(), "bytes are bounded")
}

// TestQueuedAndAcknowledgedNeverReachesTheDisk, nor does it leave anything in memory.
func TestQueuedAndAcknowledgedNeverReachesTheDisk(t *testing.T) {
	s := opened(t, t.TempDir(), Options{Interval: time.Hour})
	for id := range uint64(1000) {
		tx := s.Begin()
		tx.PutMessage(id, []byte("packet"))
		tx.PutQueued(1, Queued{Seq: id, MessageID: id, QoS: 2})
		tx.End()
		tx = s.Begin()
		tx.DeleteMessage(id)
		tx.PutQueued(1, Queued{Seq: id, QoS: 2, Released: true})
		tx.End()
		tx = s.Begin()
		tx.DeleteQueued(1, 0, id)
		tx.End()
	}
	require.Zero(t, s.Stats().Pending)
	require.Zero(t, s.Stats().PendingBytes)
	require.NoError(t, s.Close())
	require.Zero(t, s.Stats().Commits)
}

// TestWhatIsOnDiskIsDeletedThere deletes, in a batch of its own, what an earlier one put or released.
func TestWhatIsOnDiskIsDeletedThere(t *testing.T) {
	s := opened(t, t.TempDir(), Options{Sync: Always})
	for _, change := range []func(*Tx){
		func(tx *Tx) {
			tx.PutSession(1, Session{ClientID: "a"}, true)
			tx.PutMessage(1, []byte("packet"))
			tx.PutQueued(1, Queued{Seq: 1, MessageID: 1, QoS: 2})
		},
		func(tx *Tx) {
			tx.PutQueued(1, Queued{Seq: 1, QoS: 2, Released: true})
			tx.DeleteQueued(1, 0, 1)
			tx.DeleteMessage(1)
		},
	} {
		tx := s.Begin()
		change(tx)
		tx.End()
		wait(t, s)
	}
	require.EqualValues(t, 1, s.Stats().Records, "the session")
	require.NoError(t, s.Close())
}

// TestOrphansAreLeftOut saves what belongs to a session that is not there, as a broken caller would.
func TestOrphansAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{Sync: Always})
	tx := s.Begin()
	tx.PutSession(3, Session{ClientID: "a"}, true)
	tx.PutReceived(3, 1)
	tx.PutReceived(7, 1)
	tx.PutSubscription(7, "a", 0, true)
	tx.End()
	require.NoError(t, s.Close())
	s = opened(t, dir, Options{Sync: Always})
	got, err := load(t, s)
	require.NoError(t, err)
	require.Len(t, got.Received, 1)
	require.Empty(t, got.Subscriptions)
	session, _ := s.Highest()
	require.Equal(t, uint64(7), session, "the number is not free yet")
	require.NoError(t, s.Close())
	s = opened(t, dir, Options{Sync: Always})
	require.EqualValues(t, 2, s.Stats().Records)
	require.NoError(t, s.Close())
}

// TestVisitorMayPanic requires that a caller's mistake is not taken for damage.
func TestVisitorMayPanic(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{Sync: Always})
	tx := s.Begin()
	tx.PutRetained(1, []byte("x"), true)
	tx.End()
	require.NoError(t, s.Close())
	s = opened(t, dir, Options{Sync: Always})
	require.PanicsWithValue(t, "mine", func() { s.Load(Visitor{Retained: func(uint64, []byte) { panic("mine") }}) })
	require.NoError(t, s.Close())
}

// A topic whose message comes and goes, however often, leaves nothing behind in a batch; one that was on disk leaves its
// end.
func TestRetainedMessagesThatComeAndGo(t *testing.T) {
	s := opened(t, t.TempDir(), Options{Interval: time.Hour})
	for number := uint64(1); number < 1000; number++ {
		tx := s.Begin()
		tx.PutRetained(number, []byte("x"), true)
		tx.PutRetained(number, []byte("xy"), false)
		tx.DeleteRetained(number)
		tx.End()
	}
	require.Zero(t, s.Stats().Pending)
	require.Zero(t, s.Stats().PendingBytes)
	tx := s.Begin()
	tx.DeleteRetained(1000)
	tx.End()
	require.Equal(t, 1, s.Stats().Pending)
	require.NoError(t, s.Close())
}

// TestWhatComesAndGoesLeavesNothing while the disk fails: what is pending is bounded by what there is.
func TestWhatComesAndGoesLeavesNothing(t *testing.T) {
	s := opened(t, t.TempDir(), Options{Sync: Always})
	s.closePatience = retryMin
	s.fault = func() error { return errDisk }
	tx := s.Begin()
	tx.PutSession(1, Session{ClientID: "there"}, true)
	tx.End()
	until(t, func() bool { return s.Stats().Failing })
	before := s.Stats()
	for id := uint64(2); id < 1000; id++ {
		tx := s.Begin()
		tx.PutSession(id, Session{ClientID: "a"}, true)
		tx.PutSubscription(id, "a/b", 1, true)
		tx.PutReceived(id, 1)
		tx.PutMessage(id, []byte("x"))
		tx.PutQueued(id, Queued{Seq: 1, MessageID: id, QoS: 1})
		tx.PutSession(id, Session{ClientID: "a", Left: 1}, false)
		tx.DeleteMessage(id)
		tx.DeleteSession(id)
		filter := fmt.Sprint("filter", id)
		tx.PutSubscription(1, filter, 0, true)
		tx.PutSubscription(1, filter, 1, false)
		tx.DeleteSubscription(1, filter)
		tx.End()
	}
	require.Equal(t, before.Pending, s.Stats().Pending)
	require.Equal(t, before.PendingBytes, s.Stats().PendingBytes)
	tx = s.Begin()
	tx.PutSubscription(1, "a", 0, false)
	tx.DeleteSubscription(1, "a")
	tx.DeleteSession(1)
	tx.End()
	require.Equal(t, before.Pending+1, s.Stats().Pending, "what may be on disk must go")
	require.Error(t, s.Close())
}

// held returns a store whose transactions say that they are about to be committed, and wait.
func held(t *testing.T, dir string, o Options) (s *Store, saving, goOn chan struct{}) {
	t.Helper()
	s, saving, goOn = opened(t, dir, o), make(chan struct{}), make(chan struct{})
	s.fault = func() error { saving <- struct{}{}; <-goOn; return nil }
	return s, saving, goOn
}

// TestLazyMessagesAreWaitedForByNobody has many of them being saved when other changes come.
func TestLazyMessagesAreWaitedForByNobody(t *testing.T) {
	const many = 50 * retainedWork
	dir := t.TempDir()
	s, saving, goOn := held(t, dir, Options{Sync: Always})
	tx := s.Begin()
	tx.Lazy()
	for number := uint64(1); number <= many; number++ {
		tx.PutRetained(number, []byte("lazy"), true)
	}
	require.Zero(t, tx.End())
	<-saving
	require.Equal(t, many, s.Stats().Pending)
	tx = s.Begin()
	tx.PutRetained(many, []byte("awaited"), false)
	tx.DeleteRetained(many - 1)
	batch := tx.End()
	require.NotZero(t, batch)
	tx = s.Begin()
	tx.Lazy()
	tx.PutRetained(many-2, []byte("lazy again"), false)
	tx.PutRetained(many+1, []byte("lazy"), true)
	require.Zero(t, tx.End())
	for s.Committed() < batch {
		goOn <- struct{}{}
		<-saving
	}
	require.Greater(t, s.Stats().Pending, many/2, "the batch is on disk, and most that is lazy is not")
	go func() {
		for range saving {
			goOn <- struct{}{}
		}
	}()
	goOn <- struct{}{}
	wait(t, s)
	require.EqualValues(t, many, s.Stats().Records)
	tx = s.Begin()
	tx.Await()
	require.Greater(t, tx.End(), batch)
	require.NoError(t, s.Close())
	close(saving)
	s = opened(t, dir, Options{Sync: Always})
	got, err := load(t, s)
	require.NoError(t, err)
	require.Equal(t, []string{"lazy", "lazy again", "", "awaited", "lazy"}, []string{
		got.Retained[1], got.Retained[many-2], got.Retained[many-1], got.Retained[many], got.Retained[many+1]})
	require.NoError(t, s.Close())
}

func TestNotingDoesNotAllocate(t *testing.T) {
	s := opened(t, t.TempDir(), Options{Interval: time.Hour})
	packet, id := make([]byte, 100), uint64(0)
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		id++
		tx := s.Begin()
		tx.PutMessage(id, packet)
		tx.PutQueued(1, Queued{Seq: id, MessageID: id, QoS: 1})
		tx.End()
		tx = s.Begin()
		tx.DeleteQueued(1, 0, id)
		tx.DeleteMessage(id)
		tx.End()
	}), 0.0)
	require.NoError(t, s.Close())
}

// What must not wait for the interval is saved at once, with all that was noted before; the rest waits.
func TestAtOnceDoesNotWaitForTheInterval(t *testing.T) {
	s := opened(t, t.TempDir(), Options{Interval: time.Hour})
	require.NoError(t, s.Load(Visitor{}))
	note := func(atOnce bool) uint64 {
		tx := s.Begin()
		require.Zero(t, tx.Batch())
		if atOnce {
			tx.AtOnce()
			require.NotZero(t, tx.Batch())
		}
		tx.PutSession(1, Session{ClientID: "a"}, true)
		return tx.End()
	}
	for round := uint64(1); round <= 3; round++ {
		require.Zero(t, note(false))
		batch := note(true)
		require.Equal(t, round, batch)
		until(t, func() bool { return s.Committed() >= batch })
		require.Zero(t, s.Stats().Pending)
	}
	require.Zero(t, note(false), "it was that change alone")
	require.EqualValues(t, 1, s.Stats().Pending)

	tx := s.Begin()
	tx.AtOnce()
	require.Zero(t, tx.End(), "nothing was noted")
	require.EqualValues(t, 3, s.Committed())
	require.NoError(t, s.Close())
}

// The mark of a proper stop is gone before anything can be noted: a process that dies before its first commit has
// not stopped properly, for what it noted is missing.
func TestLoadTakesTheMarkAway(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, opened(t, dir, Options{Interval: time.Hour}).Close())
	crashed := func(s *Store) string { // a directory as the end of the process would leave it
		copied := t.TempDir()
		copyUsed(t, s, filepath.Join(copied, databaseName))
		return copied
	}
	s := opened(t, dir, Options{Interval: time.Hour})
	before := crashed(s)
	require.NoError(t, s.Load(Visitor{}))
	require.True(t, s.Clean(), "what there is, is all there was")
	after := crashed(s)
	tx := s.Begin()
	tx.PutSession(1, Session{ClientID: "a"}, true)
	require.Zero(t, tx.End())
	noted := crashed(s)
	require.NoError(t, s.Close())
	for name, c := range map[string]struct {
		dir   string
		clean bool
	}{
		"before Load": {before, true}, "after Load": {after, false}, "before the first commit": {noted, false}, "closed": {dir, true},
	} {
		s := opened(t, c.dir, Options{Interval: time.Hour})
		require.Equal(t, c.clean, s.Clean(), name)
		require.NoError(t, s.Load(Visitor{}))
		require.NoError(t, s.Close(), name)
		s = opened(t, c.dir, Options{Interval: time.Hour})
		require.True(t, s.Clean(), "%s: closed without a change", name)
		require.NoError(t, s.Close())
	}
}

package store

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// TestCommittedIsOnDisk copies the file after commits, as a process that dies there leaves it, and requires in each
// copy what was noted up to the end of that batch, no more and no less.
func TestCommittedIsOnDisk(t *testing.T) {
	for _, o := range []Options{{Sync: Always}, {Interval: IntervalMin}} {
		t.Run(o.Sync.String(), func(t *testing.T) {
			dir, copies := t.TempDir(), t.TempDir()
			var s *Store
			var copied []uint64
			o.Committed = func() {
				if number := s.Committed(); number%5 == 1 {
					copyUsed(t, s, filepath.Join(copies, fmt.Sprint(number)))
					copied = append(copied, number)
				}
			}
			s = opened(t, dir, o)
			h, after := newHistory(1), map[uint64]state{}
			var last uint64
			for last < 60 {
				for range 20 {
					tx := s.Begin()
					last = tx.batch.number
					h.step(tx)
					after[last] = h.model.clone() // before the writer can have it
					tx.End()
				}
				until(t, func() bool { return s.Committed() >= last })
			}
			require.NoError(t, s.Close())
			require.NotEmpty(t, copied)
			for _, number := range copied {
				dir := t.TempDir()
				require.NoError(t, os.Rename(filepath.Join(copies, fmt.Sprint(number)), filepath.Join(dir, databaseName)))
				s := opened(t, dir, Options{Sync: Always})
				require.False(t, s.Clean())
				got, err := load(t, s)
				require.NoError(t, err)
				require.Equal(t, after[min(number, last)], got, "batch %d", number) // Close makes one more
				require.NoError(t, s.Close())
			}
		})
	}
}

// copyUsed copies the file of s, as it is while no transaction is under way.
func copyUsed(t testing.TB, s *Store, to string) {
	t.Helper()
	data := make([]byte, usedBytes(t, s))
	file, err := os.Open(s.file)
	require.NoError(t, err)
	_, err = io.ReadFull(file, data)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, os.WriteFile(to, data, 0o600))
}

// usedBytes returns how much of the file has ever been written, while no transaction is under way.
func usedBytes(t testing.TB, s *Store) (size int64) {
	t.Helper()
	require.NoError(t, s.db.View(func(tx *bbolt.Tx) error {
		size = tx.Size()
		return nil
	}))
	return size
}

// crashDir, in the environment, makes the test binary the process that TestKilledProcessKeepsWhatWasCommitted kills.
const crashDir = "MQTTD_STORE_CRASH_DIR"

// crashSeed is that of the history the process makes.
const crashSeed = 7

// TestKilledProcessKeepsWhatWasCommitted kills a process with SIGKILL while it saves, and requires the state after
// one of its changes, none of which is there in part, and not before the latest that it was told is on disk.
func TestKilledProcessKeepsWhatWasCommitted(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		changeUntilKilled(t, dir)
	}
	for round := range 10 {
		dir := t.TempDir()
		child := exec.Command(os.Args[0], "-test.run=^TestKilledProcessKeepsWhatWasCommitted$")
		child.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		saved := 0
		for saved < 30+97*round && lines.Scan() {
			saved, err = strconv.Atoi(lines.Text())
			require.NoError(t, err, lines.Text())
		}
		require.NoError(t, child.Process.Kill())
		for lines.Scan() { // what it still said
			if n, err := strconv.Atoi(lines.Text()); err == nil {
				saved = n
			}
		}
		require.Error(t, child.Wait(), "it was killed")

		s := opened(t, dir, Options{Sync: Always})
		require.False(t, s.Clean())
		got, err := load(t, s)
		require.NoError(t, err)
		require.NoError(t, s.Close())
		h := newHistory(crashSeed)
		for range saved {
			h.step(nil)
		}
		steps := saved
		for ; fmt.Sprint(h.model) != fmt.Sprint(got); steps++ {
			require.Less(t, steps, saved+10_000, "the state after no number of changes")
			h.step(nil)
		}
		t.Logf("saved %d changes, found %d", saved, steps)
	}
}

// changeUntilKilled makes changes as fast as it can and prints how many of them are on disk.
func changeUntilKilled(t *testing.T, dir string) {
	changed := make(chan struct{}, 1)
	s := opened(t, dir, Options{Sync: Always, Committed: func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}})
	var mu sync.Mutex
	var batches []uint64 // by change
	go func() {
		for n := 0; ; {
			<-changed
			mu.Lock()
			for n < len(batches) && batches[n] <= s.Committed() {
				n++
			}
			mu.Unlock()
			io.WriteString(os.Stdout, fmt.Sprintln(n))
		}
	}()
	for h := newHistory(crashSeed); ; {
		tx := s.Begin()
		h.step(tx)
		batch := tx.End()
		mu.Lock()
		batches = append(batches, batch)
		waiting := uint64(len(batches)) > 1000 && batch > s.Committed()+1
		mu.Unlock()
		if waiting { // stay near to what is on disk
			time.Sleep(time.Millisecond)
		}
	}
}

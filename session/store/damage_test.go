package store

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// sample returns the bytes of a file with a history behind it, so that it has old pages too, and what it holds.
func sample(t testing.TB, seed uint64) ([]byte, state) {
	dir, h := t.TempDir(), newHistory(seed)
	h.topics = 300
	size := int64(0)
	for range 3 {
		s := opened(t, dir, Options{Interval: IntervalMin})
		for range 500 {
			tx := s.Begin()
			h.step(tx)
			tx.End()
		}
		require.NoError(t, s.Close())
		s = opened(t, dir, Options{Interval: time.Hour})
		size = usedBytes(t, s)
		require.NoError(t, s.Close())
	}
	data, err := os.ReadFile(filepath.Join(dir, databaseName))
	require.NoError(t, err)
	return data[:size], h.model // what follows was never written
}

// TestDamageIsFound overwrites, zeroes and cuts a file at random places: what is loaded then is all that was saved,
// or the damage is told of.
func TestDamageIsFound(t *testing.T) {
	data, want := sample(t, 1)
	random := rand.New(rand.NewPCG(2, 3))
	found := 0
	for i := range 500 {
		damaged, what := damage(random, data)
		dir := t.TempDir()
		file := filepath.Join(dir, databaseName)
		require.NoError(t, os.WriteFile(file, damaged, 0o600))
		got, err := loadFrom(t, dir)
		if err != nil {
			found++
			require.ErrorIs(t, err, ErrDamaged, "%d: %s", i, what)
			require.ErrorContains(t, err, file)
			require.ErrorContains(t, err, "move it away to start empty, or restore a backup")
			after, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, damaged, after, "%d: %s: a damaged file is not changed", i, what)
			continue
		}
		require.Equal(t, want, got, "%d: %s", i, what)
	}
	t.Logf("%d of 500 were damage", found)
	require.Greater(t, found, 100)
}

// damage returns a damaged copy of data.
func damage(random *rand.Rand, data []byte) (damaged []byte, what string) {
	damaged = append([]byte(nil), data...)
	at := random.IntN(len(data))
	if random.IntN(4) == 0 {
		at = at / 4096 * 4096 // headers and elements: what leads elsewhere
		at += random.IntN(200)
	}
	switch random.IntN(5) {
	case 0:
		return damaged[:at], fmt.Sprintf("cut at %d", at)
	case 1:
		n := min(1+random.IntN(8192), len(damaged)-at)
		clear(damaged[at : at+n])
		return damaged, fmt.Sprintf("%d zeroes at %d", n, at)
	case 2:
		page := 4096 * random.IntN(len(data)/4096)
		copy(damaged[at/4096*4096:], data[page:page+4096])
		return damaged, fmt.Sprintf("page at %d copied to that of %d", page, at)
	default:
		bit := byte(1) << random.IntN(8)
		damaged[at] ^= bit
		return damaged, fmt.Sprintf("bit %#x of %d flipped", bit, at)
	}
}

// loadFrom opens, loads and closes the store in dir.
func loadFrom(t testing.TB, dir string) (state, error) {
	s, err := Open(dir, Options{Interval: time.Hour})
	if err != nil {
		return state{}, err
	}
	got, err := load(t, s)
	require.NoError(t, s.Close())
	return got, err
}

// TestStaleBucketIsFound puts an older root of a bucket in the place of the latest: each record is sound, but not
// what was saved last.
func TestStaleBucketIsFound(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{Sync: Always})
	for _, packet := range []string{"old", "new"} {
		tx := s.Begin()
		tx.PutRetained(7, []byte(packet), packet == "old")
		tx.End()
		wait(t, s)
	}
	require.NoError(t, s.Close())
	db, err := bbolt.Open(filepath.Join(dir, databaseName), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		key, value := binary.BigEndian.AppendUint64(nil, 7), append(make([]byte, crcSize), "old"...)
		seal(retainedBucket, key, value)
		return tx.Bucket([]byte(retainedBucket)).Put(key, value)
	}))
	require.NoError(t, db.Close())
	_, err = loadFrom(t, dir)
	require.ErrorIs(t, err, ErrDamaged)
}

func TestFilesThatAreNotDatabases(t *testing.T) {
	for name, data := range map[string][]byte{
		"empty": {}, "short": []byte("hello"), "zeroes": make([]byte, 1<<20), "text": make([]byte, 4096+3),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, databaseName), data, 0o600))
			_, err := Open(dir, Options{Sync: Always})
			require.ErrorIs(t, err, ErrDamaged)
		})
	}
}

// FuzzVerify looks for a file that ends the process.
func FuzzVerify(f *testing.F) {
	data, _ := sample(f, 3)
	f.Add(uint32(0), []byte("x"))
	f.Add(uint32(4096), []byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		damaged := append([]byte(nil), data...)
		copy(damaged[int(at)%len(damaged):], patch)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, databaseName), damaged, 0o600))
		if _, err := loadFrom(t, dir); err != nil {
			require.ErrorIs(t, err, ErrDamaged)
		}
	})
}

// wait waits until nothing is pending.
func wait(t testing.TB, s *Store) {
	t.Helper()
	require.Eventually(t, func() bool { return s.Stats().Pending == 0 }, 20*time.Second, time.Millisecond)
}

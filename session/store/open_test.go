package store

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

func TestOpenMakesTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := opened(t, dir, Options{Sync: Always})
	defer s.Close()
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), entry.Name())
	}
}

// TestDraftIsNoDatabase opens a directory in which an Open was killed before the file had its name.
func TestDraftIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, databaseName+".new"), []byte("half"), 0o600))
	require.NoError(t, opened(t, dir, Options{Sync: Always}).Close())
	require.NoFileExists(t, filepath.Join(dir, databaseName+".new"))
}

func TestDirectoryIsHeld(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir, Options{Sync: Always})
	_, err := Open(dir, Options{Sync: Always})
	require.ErrorIs(t, err, ErrHeld)
	require.ErrorContains(t, err, dir)
	require.NoError(t, s.Close())
	require.NoError(t, opened(t, dir, Options{Sync: Always}).Close())
}

// TestFileIsHeld opens the directory while a tool of bbolt has the file.
func TestFileIsHeld(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, opened(t, dir, Options{Sync: Always}).Close())
	db, err := bbolt.Open(filepath.Join(dir, databaseName), 0o600, nil)
	require.NoError(t, err)
	defer db.Close()
	_, err = Open(dir, Options{Sync: Always})
	require.ErrorIs(t, err, ErrHeld)
}

func TestPlacesThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, dir := range map[string]string{"a file": file, "below a file": filepath.Join(file, "x"), "no writing": "/proc/mqttd"} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(dir, Options{Sync: Always})
			require.ErrorContains(t, err, "a directory that this user may write to")
			require.ErrorContains(t, err, dir)
		})
	}
}

func TestOtherFormatsAreLeftAlone(t *testing.T) {
	for _, version := range []uint32{formatVersion - 1, formatVersion + 1} {
		testFormat(t, version)
	}
}

func testFormat(t *testing.T, version uint32) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, opened(t, dir, Options{Sync: Always}).Close())
	file := filepath.Join(dir, databaseName)
	db, err := bbolt.Open(file, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		value := binary.BigEndian.AppendUint32(make([]byte, crcSize), version)
		seal(metaBucket, formatKey, value)
		return tx.Bucket([]byte(metaBucket)).Put(formatKey, value)
	}))
	require.NoError(t, db.Close())
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	_, err = Open(dir, Options{Sync: Always})
	require.ErrorIs(t, err, ErrFormat)
	require.NotErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, file)
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestOptionsHaveBounds(t *testing.T) {
	for _, o := range []Options{
		{}, {Interval: IntervalMin - 1}, {Interval: IntervalMax + 1}, {Sync: 2, Interval: time.Second},
	} {
		dir := filepath.Join(t.TempDir(), "d")
		_, err := Open(dir, o)
		require.Error(t, err)
		require.NoDirExists(t, dir)
	}
}

func TestParseSync(t *testing.T) {
	for _, s := range []Sync{Interval, Always} {
		got, err := ParseSync(s.String())
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
	_, err := ParseSync("never")
	require.ErrorContains(t, err, `"never"`)
	require.ErrorContains(t, err, "always or interval")
}

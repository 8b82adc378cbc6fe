package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	databaseName = "mqttd.db"
	lockName     = "mqttd.lock" // locked while a process has the directory; its content means nothing
)

// holdPatience is how long Open waits for another process to let go of the directory. (chosen)
const holdPatience = time.Second

// remedy ends the message about a file that cannot be used.
const remedy = "move it away to start empty, or restore a backup"

// Open opens the store in dir, which it creates when it is missing (0700, files 0600), and starts its writer. Errors
// name the file, the cause and the remedy; see ErrHeld, ErrDamaged and ErrFormat. A file that Open returns an error
// for is not changed.
func Open(dir string, o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %s must be a directory that this user may write to: %w", dir, err)
	}
	_ = syncDir(filepath.Dir(dir)) // the name of a new one; not every user may read what holds it
	lock, err := hold(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{
		options: o,
		file:    filepath.Join(dir, databaseName),
		lock:    lock,

		closePatience: closePatience,

		pending: newBatch(),
		noted:   make(chan struct{}, 1),
		full:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	s.pending.number = 1
	if err := s.openDatabase(); err != nil {
		lock.Close()
		return nil, err
	}
	go s.write()
	return s, nil
}

// hold locks dir for this Store.
func hold(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: %s must be a directory that this user may write to: %w", dir, err)
	}
	for began := time.Now(); ; time.Sleep(holdPatience / 20) {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return lock, nil
		}
		if errors.Is(err, syscall.EWOULDBLOCK) && time.Since(began) < holdPatience || errors.Is(err, syscall.EINTR) {
			continue
		}
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("store: %s: %w: stop that one, or choose another directory", dir, ErrHeld)
		}
		return nil, fmt.Errorf("store: %s cannot be locked: %w", lock.Name(), err)
	}
}

// openDatabase opens the file, which it creates when it is missing.
func (s *Store) openDatabase() error {
	info, err := os.Stat(s.file)
	if errors.Is(err, os.ErrNotExist) {
		if err = create(s.file); err == nil {
			info, err = os.Stat(s.file)
		}
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	s.opened = info
	s.counters.fileBytes.Store(info.Size())
	err = guarded(func() error {
		if err := verify(s.file); err != nil {
			return err
		}
		var err error
		if s.db, err = bbolt.Open(s.file, 0o600, databaseOptions()); err != nil {
			return err
		}
		return s.db.View(s.inspect)
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bolterrors.ErrTimeout): // a tool of bbolt has it
		err = fmt.Errorf("store: %s: %w: stop that one", s.file, ErrHeld)
	default:
		err = s.named(err)
	}
	if s.db != nil {
		s.db.Close()
	}
	return err
}

// named returns err with the file's name, and the remedy if it is damaged.
func (s *Store) named(err error) error {
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("store: %s: %w: %s", s.file, err, remedy)
	}
	return fmt.Errorf("store: %s: %w", s.file, err)
}

// databaseOptions returns how bbolt is used:
//   - The list of free pages is not saved but found at Open: else each commit after a large deletion writes it all.
//   - The address space for 1 GiB is taken at once, so that growing up to there never moves the map.
func databaseOptions() *bbolt.Options {
	return &bbolt.Options{
		Timeout:         holdPatience,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: 1 << 30,
		NoStatistics:    true,
	}
}

// create makes an empty database. It appears under its name when it is complete and on disk.
func create(file string) error {
	draft := file + ".new"
	if err := os.Remove(draft); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(draft, 0o600, databaseOptions())
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range bucketNames {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		meta := tx.Bucket([]byte(metaBucket))
		format := binary.BigEndian.AppendUint32(make([]byte, crcSize), formatVersion)
		seal(metaBucket, formatKey, format)
		empty := ledger{closed: true}
		value := empty.appendTo(make([]byte, crcSize))
		seal(metaBucket, ledgerKey, value)
		return errors.Join(meta.Put(formatKey, format), meta.Put(ledgerKey, value))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft, file); err != nil {
		return err
	}
	return syncDir(filepath.Dir(file))
}

// syncDir makes a change of names in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// inspect checks the format and that the buckets are there, and reads the ledger.
func (s *Store) inspect(tx *bbolt.Tx) error {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return damaged("bucket %s is missing", metaBucket)
	}
	format, ok := open(metaBucket, formatKey, meta.Get(formatKey))
	if !ok || len(format) != 4 {
		return damaged("the record of the format is not readable")
	}
	if version := binary.BigEndian.Uint32(format); version != formatVersion {
		return fmt.Errorf("%w: its format is %d, this version knows %d: use that version, or %s",
			ErrFormat, version, formatVersion, remedy)
	}
	for _, name := range bucketNames {
		if tx.Bucket([]byte(name)) == nil {
			return damaged("bucket %s is missing", name)
		}
	}
	l, err := readLedger(tx)
	if err != nil {
		return err
	}
	s.clean, s.foundClean = l.closed, l.closed
	s.counters.records.Store(l.records)
	return nil
}

func readLedger(tx *bbolt.Tx) (ledger, error) {
	body, ok := open(metaBucket, ledgerKey, tx.Bucket([]byte(metaBucket)).Get(ledgerKey))
	if !ok {
		return ledger{}, damaged("the ledger is not readable")
	}
	l, ok := parseLedger(body)
	if !ok {
		return ledger{}, damaged("the ledger has %d bytes", len(body))
	}
	return l, nil
}

// guarded calls f and returns ErrDamaged when it panics, or reads memory of the file that cannot be read.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = damaged("%v", cause)
		}
	}()
	return f()
}

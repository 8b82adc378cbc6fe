package store

import (
	"bytes"
	"encoding/binary"

	"go.etcd.io/bbolt"
)

// Visitor is told what is on disk. Its fields may be nil. It may keep what it is given.
type Visitor struct {
	Message      func(id uint64, packet []byte)
	Session      func(id uint64, s Session)
	Subscription func(id uint64, filter string, qos byte)
	Received     func(id uint64, packetID uint16)
	Queued       func(id uint64, q Queued)
	Retained     func(number uint64, packet []byte)
}

// Load tells v all that is on disk: messages and then sessions by identifier, then what each session has, its
// subscriptions, the Packet Identifiers received and what is queued, by flow and Seq, and at last the retained
// messages by number. It is called once, before the first Begin. Records of sessions that are not
// there are left out and deleted with the first commit. With an error, ErrDamaged or another, what v was told is to
// be thrown away; nothing on disk has changed, and nothing will.
func (s *Store) Load(v Visitor) error {
	if s == nil {
		return nil
	}
	l := &loader{store: s, visitor: v}
	err := guarded(func() error { return s.db.View(l.load) })
	if l.panicked != nil {
		panic(l.panicked)
	}
	if err != nil {
		s.broken = s.named(err)
		return s.broken
	}
	s.found = l.highest
	if s.clean { // not any more: what is noted from now on may not get here
		unmark := func(t *transaction) error { t.ledger.closed = false; return nil }
		if err := s.transact(unmark); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range l.orphans {
		s.pending.deleteSession(id) // the writer need not know: that waits for a change worth a commit
	}
	return nil
}

// Damaged returns an ErrDamaged about what Load told of: records that are sound cannot be what the caller noted.
func (s *Store) Damaged(format string, args ...any) error { return s.named(damaged(format, args...)) }

// loader reads all records once.
type loader struct {
	store    *Store
	visitor  Visitor
	ledger   ledger // of what was read
	sessions *bbolt.Cursor
	highest  highest
	orphans  []uint64
	telling  bool // the visitor is being told
	panicked any  // what it panicked with
}

func (l *loader) load(tx *bbolt.Tx) error {
	defer func() {
		if l.telling { // not the file's fault
			l.panicked = recover()
		}
	}()
	l.sessions = tx.Bucket([]byte(sessionsBucket)).Cursor()
	for _, step := range []struct {
		bucket bucketName
		record func(key, body []byte) bool
	}{
		{messagesBucket, l.message},
		{sessionsBucket, l.session},
		{entriesBucket, l.entry},
		{retainedBucket, l.retained},
	} {
		err := tx.Bucket([]byte(step.bucket)).ForEach(func(key, value []byte) error {
			body, ok := open(step.bucket, key, value)
			if !ok || !step.record(key, body) {
				return damaged("record %x of %s", key, step.bucket)
			}
			l.ledger.add(value)
			return nil
		})
		if err != nil {
			return err
		}
	}
	want, err := readLedger(tx)
	if err != nil {
		return err
	}
	if want.records != l.ledger.records || want.sum != l.ledger.sum {
		return damaged("%d records are there of %d, or not the latest ones", l.ledger.records, want.records)
	}
	return nil
}

func (l *loader) message(key, body []byte) bool {
	if len(key) != 8 {
		return false
	}
	id := binary.BigEndian.Uint64(key)
	l.highest.message = id
	if l.visitor.Message != nil {
		l.telling = true
		l.visitor.Message(id, bytes.Clone(body))
		l.telling = false
	}
	return true
}

func (l *loader) session(key, body []byte) bool {
	if len(key) != 8 || len(body) < 8 {
		return false
	}
	id := binary.BigEndian.Uint64(key)
	l.highest.session = max(l.highest.session, id)
	if l.visitor.Session != nil {
		l.telling = true
		l.visitor.Session(id, Session{ClientID: string(body[8:]), Left: int64(binary.BigEndian.Uint64(body))})
		l.telling = false
	}
	return true
}

// entry reads what a session has.
func (l *loader) entry(key, body []byte) bool {
	if len(key) < 9 {
		return false
	}
	id, kind, key := binary.BigEndian.Uint64(key), key[8], key[9:]
	visitor := &l.visitor
	if !l.exists(id) {
		visitor = new(Visitor)
	}
	switch kind {
	case subscriptionEntry:
		return l.subscription(visitor, id, key, body)
	case receivedEntry:
		return l.received(visitor, id, key, body)
	case queuedEntry:
		return l.queued(visitor, id, key, body)
	}
	return false
}

// exists reports whether there is a session with this identifier, which is not less than that of the call before.
func (l *loader) exists(id uint64) bool {
	var prefix [8]byte
	binary.BigEndian.PutUint64(prefix[:], id)
	key, _ := l.sessions.Seek(prefix[:])
	if bytes.Equal(key, prefix[:]) {
		return true
	}
	if len(l.orphans) == 0 || l.orphans[len(l.orphans)-1] != id {
		l.orphans = append(l.orphans, id)
		l.highest.session = max(l.highest.session, id)
	}
	return false
}

func (l *loader) subscription(v *Visitor, id uint64, key, body []byte) bool {
	if len(body) < 1 {
		return false
	}
	filter, ok := parseText(key, body[1:])
	if ok && v.Subscription != nil {
		l.telling = true
		v.Subscription(id, filter, body[0])
		l.telling = false
	}
	return ok
}

func (l *loader) received(v *Visitor, id uint64, key, body []byte) bool {
	if len(key) != 2 || len(body) != 0 {
		return false
	}
	if v.Received != nil {
		l.telling = true
		v.Received(id, binary.BigEndian.Uint16(key))
		l.telling = false
	}
	return true
}

func (l *loader) queued(v *Visitor, id uint64, key, body []byte) bool {
	if len(key) != 9 || len(body) != 10 {
		return false
	}
	if v.Queued != nil {
		l.telling = true
		v.Queued(id, Queued{
			Flow:      key[0],
			Seq:       binary.BigEndian.Uint64(key[1:]),
			MessageID: binary.BigEndian.Uint64(body),
			QoS:       body[8],
			Retain:    body[9]&retainFlag != 0,
			Sent:      body[9]&sentFlag != 0,
			Released:  body[9]&releasedFlag != 0,
			Doubtful:  body[9]&doubtfulFlag != 0,
		})
		l.telling = false
	}
	return true
}

func (l *loader) retained(key, body []byte) bool {
	if len(key) != 8 {
		return false
	}
	if l.visitor.Retained != nil {
		l.telling = true
		l.visitor.Retained(binary.BigEndian.Uint64(key), bytes.Clone(body))
		l.telling = false
	}
	return true
}

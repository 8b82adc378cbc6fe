package store

import (
	"encoding/binary"
	"runtime"

	"go.etcd.io/bbolt"
)

// transaction writes records to the database. The slices it hands to bbolt must live until the commit.
type transaction struct {
	store    *Store
	messages *bbolt.Bucket
	sessions *bbolt.Bucket
	entries  *bbolt.Bucket
	retained *bbolt.Bucket
	meta     *bbolt.Bucket
	ledger   ledger
	steps    int
	key      []byte // scratch: bbolt copies keys
	head     []byte // scratch
}

func (s *Store) newTransaction(tx *bbolt.Tx) (*transaction, error) {
	t := &transaction{
		store:    s,
		messages: tx.Bucket([]byte(messagesBucket)),
		sessions: tx.Bucket([]byte(sessionsBucket)),
		entries:  tx.Bucket([]byte(entriesBucket)),
		retained: tx.Bucket([]byte(retainedBucket)),
		meta:     tx.Bucket([]byte(metaBucket)),
	}
	t.messages.FillPercent, t.retained.FillPercent = fill, fill
	var err error
	if t.ledger, err = readLedger(tx); err != nil {
		return nil, err
	}
	return t, nil
}

// fill is how full pages are to which only new records at their end are added. (chosen)
const fill = 0.9

// put writes a record whose body is head and packet.
func (t *transaction) put(b *bbolt.Bucket, name bucketName, key, head, packet []byte) error {
	value := t.store.arena.take(crcSize + len(head) + len(packet))
	copy(value[crcSize:], head)
	copy(value[crcSize+len(head):], packet)
	seal(name, key, value)
	if before := b.Get(key); before != nil {
		t.ledger.remove(before)
	}
	t.ledger.add(value)
	t.breathe()
	return b.Put(key, value)
}

func (t *transaction) delete(b *bbolt.Bucket, key []byte) error {
	t.breathe()
	before := b.Get(key)
	if before == nil {
		return nil
	}
	t.ledger.remove(before)
	return b.Delete(key)
}

// breathe lets other goroutines run now and then: with few processors a loop may be waiting for this one.
func (t *transaction) breathe() {
	if t.steps++; t.steps%breath == 0 {
		runtime.Gosched()
	}
}

// breath is how many steps of about a microsecond the writer takes at a time. (chosen)
const breath = 32

func (t *transaction) putLedger() error {
	t.head = t.ledger.appendTo(t.head[:0])
	value := append(make([]byte, crcSize), t.head...)
	seal(metaBucket, ledgerKey, value)
	return t.meta.Put(ledgerKey, value)
}

func (t *transaction) putMessages(ids []uint64, packets map[uint64][]byte) error {
	for _, id := range ids {
		if err := t.putPacket(t.messages, messagesBucket, id, packets[id]); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) putSession(id uint64, c *sessionChanges) error {
	if c.gone {
		return t.deleteSession(id)
	}
	if c.put {
		t.key = binary.BigEndian.AppendUint64(t.key[:0], id)
		t.head = binary.BigEndian.AppendUint64(t.head[:0], uint64(c.session.Left))
		t.head = append(t.head, c.session.ClientID...)
		if err := t.put(t.sessions, sessionsBucket, t.key, t.head, nil); err != nil {
			return err
		}
	}
	if err := t.putSubscriptions(id, c.subscriptions); err != nil {
		return err
	}
	if err := t.putReceived(id, c.received); err != nil {
		return err
	}
	return t.putQueued(id, c.queued)
}

func (t *transaction) deleteSession(id uint64) error {
	prefix := binary.BigEndian.AppendUint64(nil, id)
	if err := t.delete(t.sessions, prefix); err != nil {
		return err
	}
	var keys [][]byte // of the database's memory, which stays where it is until the commit
	cursor := t.entries.Cursor()
	for key, _ := cursor.Seek(prefix); hasPrefix(key, prefix); key, _ = cursor.Next() {
		keys = append(keys, key)
		t.breathe()
	}
	for _, key := range keys {
		if err := t.delete(t.entries, key); err != nil {
			return err
		}
	}
	return nil
}

func hasPrefix(key, prefix []byte) bool {
	return len(key) >= len(prefix) && string(key[:len(prefix)]) == string(prefix)
}

func (t *transaction) putSubscriptions(id uint64, changes map[string]subscriptionChange) error {
	for _, filter := range sortedKeys(changes) {
		var whole bool
		t.key, whole = appendText(appendEntry(t.key[:0], id, subscriptionEntry), filter)
		c := changes[filter]
		if c.gone {
			if err := t.delete(t.entries, t.key); err != nil {
				return err
			}
			continue
		}
		t.head = append(t.head[:0], c.qos)
		if !whole {
			t.head = append(t.head, filter...)
		}
		if err := t.put(t.entries, entriesBucket, t.key, t.head, nil); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) putReceived(id uint64, changes map[uint16]bool) error {
	for _, packetID := range sortedKeys(changes) {
		t.key = binary.BigEndian.AppendUint16(appendEntry(t.key[:0], id, receivedEntry), packetID)
		var err error
		if changes[packetID] {
			err = t.put(t.entries, entriesBucket, t.key, nil, nil)
		} else {
			err = t.delete(t.entries, t.key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) putQueued(id uint64, changes map[queuedKey]queuedChange) error {
	for _, key := range sortedQueued(changes) {
		t.key = append(appendEntry(t.key[:0], id, queuedEntry), key.flow)
		t.key = binary.BigEndian.AppendUint64(t.key, key.seq)
		c := changes[key]
		if c.gone {
			if err := t.delete(t.entries, t.key); err != nil {
				return err
			}
			continue
		}
		t.head = append(binary.BigEndian.AppendUint64(t.head[:0], c.messageID), c.qos, c.flags())
		if err := t.put(t.entries, entriesBucket, t.key, t.head, nil); err != nil {
			return err
		}
	}
	return nil
}

func (c queuedChange) flags() (flags byte) {
	if c.retain {
		flags |= retainFlag
	}
	if c.released {
		flags |= releasedFlag
	}
	if c.sent {
		flags |= sentFlag
	}
	if c.doubtful {
		flags |= doubtfulFlag
	}
	return flags
}

func (t *transaction) putRetained(numbers []uint64, changes map[uint64]retainedChange) error {
	for _, number := range numbers {
		if err := t.putPacket(t.retained, retainedBucket, number, changes[number].packet); err != nil {
			return err
		}
	}
	return nil
}

// putPacket writes a packet under its number; nil: deletes it.
func (t *transaction) putPacket(b *bbolt.Bucket, name bucketName, number uint64, packet []byte) error {
	t.key = binary.BigEndian.AppendUint64(t.key[:0], number)
	if packet == nil {
		return t.delete(b, t.key)
	}
	return t.put(b, name, t.key, nil, packet)
}

package store

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
)

// formatVersion is the format that this package writes. The record "format" keeps its place and shape in all.
//
// Each kind of record has a bucket; integers are big-endian, so that keys are in order:
//
//	bucket     key                         body
//	meta       "format"                    version u32
//	           "ledger"                    records u64 | sum u64 | closed properly u8
//	messages   message u64                 packet
//	sessions   session u64                 left i64 | Client Identifier
//	entries    session u64 | 1 | text      QoS u8 | filter, if text is not all of it
//	           session u64 | 2 | id u16    (nothing)
//	           session u64 | 3 | flow u8 | seq u64    message u64 | QoS u8 | flags u8
//	retained   number u64                  packet
//
// A value is the CRC-32C of bucket, key and body, and the body. A text is a filter of textMax bytes at most, or the
// first textMax bytes of a longer one and its SHA-256: keys of bbolt end at 32 KiB, filters of MQTT at 64.
//
// New messages have the highest keys, so that a commit fills a few pages: with retained messages by topic it would
// write nearly as many pages as messages. Format 1 had them so.
const formatVersion = 2

const textMax = 1024

// bucketName is the name of a bucket of the database.
type bucketName string

const (
	metaBucket     bucketName = "meta"
	messagesBucket bucketName = "messages"
	sessionsBucket bucketName = "sessions"
	entriesBucket  bucketName = "entries"
	retainedBucket bucketName = "retained"
)

var bucketNames = [...]bucketName{metaBucket, messagesBucket, sessionsBucket, entriesBucket, retainedBucket}

var (
	formatKey = []byte("format")
	ledgerKey = []byte("ledger")
)

// Kinds of entries.
const (
	subscriptionEntry = 1
	receivedEntry     = 2
	queuedEntry       = 3
)

// Flags of a queued entry.
const (
	retainFlag   = 1
	releasedFlag = 2
	sentFlag     = 4
	doubtfulFlag = 8
)

const crcSize = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers all that a record is: one in the wrong place is as wrong as one with the wrong bytes.
func checksum(bucket bucketName, key, body []byte) uint32 {
	crc := crc32.Update(uint32(bucket[0]), castagnoli, key)
	return crc32.Update(crc, castagnoli, body)
}

// seal writes the checksum into the first bytes of value.
func seal(bucket bucketName, key, value []byte) {
	binary.BigEndian.PutUint32(value, checksum(bucket, key, value[crcSize:]))
}

// open returns the body of a record, or false if the record is damaged.
func open(bucket bucketName, key, value []byte) (body []byte, ok bool) {
	if len(value) < crcSize {
		return nil, false
	}
	body = value[crcSize:]
	return body, binary.BigEndian.Uint32(value) == checksum(bucket, key, body)
}

// appendText appends the key of a filter. whole is false if the key does not hold all of it.
func appendText(key []byte, text string) (_ []byte, whole bool) {
	if len(text) <= textMax {
		return append(key, text...), true
	}
	key = append(key, text[:textMax]...)
	sum := sha256.Sum256([]byte(text))
	return append(key, sum[:]...), false
}

// parseText returns the filter with the given key. rest is all of it where the key does not hold that, or
// empty.
func parseText(key, rest []byte) (text string, ok bool) {
	if len(rest) == 0 {
		return string(key), len(key) <= textMax
	}
	text = string(rest)
	again, whole := appendText(nil, text)
	return text, !whole && string(again) == string(key)
}

// appendEntry appends the first part of the key of an entry.
func appendEntry(key []byte, session uint64, kind byte) []byte {
	return append(binary.BigEndian.AppendUint64(key, session), kind)
}

// ledger says how many records there should be, and the sum of their checksums: what is missing, or comes from an old
// page, is noticed though each record is sound.
type ledger struct {
	records, sum uint64
	closed       bool // properly
}

func (l *ledger) add(value []byte) {
	l.records++
	l.sum += uint64(binary.BigEndian.Uint32(value))
}

func (l *ledger) remove(value []byte) {
	l.records--
	l.sum -= uint64(binary.BigEndian.Uint32(value))
}

const ledgerSize = 17

func (l *ledger) appendTo(body []byte) []byte {
	body = binary.BigEndian.AppendUint64(body, l.records)
	body = binary.BigEndian.AppendUint64(body, l.sum)
	if l.closed {
		return append(body, 1)
	}
	return append(body, 0)
}

func parseLedger(body []byte) (l ledger, ok bool) {
	if len(body) != ledgerSize {
		return ledger{}, false
	}
	return ledger{
		records: binary.BigEndian.Uint64(body),
		sum:     binary.BigEndian.Uint64(body[8:]),
		closed:  body[16] == 1,
	}, true
}

package reactor

import (
	"errors"
	"slices"

	"mqttd/codec"
	"mqttd/session/store"
)

// Replies are the packets that answer a client's own: acknowledgements, SUBACK, PINGRESP. They
// are collected in loop.replies while its input is handled and written in one go after that.
//
// Those that acknowledge a QoS 1 or 2 PUBLISH wait for the flush of the round: when the client
// reads them, its message has been handed to every loop, so what is published afterwards by
// anyone, on any loop, arrives later. The exception is a loop that is behind, see await: a message
// for its readers is acknowledged when it is next in line there.
//
// Those that depend on the disk, and what a client is owed after them, wait on until their batch of the store is
// committed.

// owed is a connection and the end of its replies in loop.debt.
type owed struct {
	conn  *conn
	to    int
	batch uint64 // of the store, to be committed first; 0: none
}

// lateReplies are replies to a connection that wait for the disk.
type lateReplies struct {
	conn    *conn
	replies []byte
	batch   uint64 // of the store; never less than that of the one before
}

// lateBytesMax bounds what waits for the disk in a loop, with lateBytes for each piece. (chosen)
const (
	lateBytesMax = 16 << 20
	lateBytes    = 64
)

// acknowledges reports whether the replies to c, which is being served, must wait for the flush.
func (l *loop) acknowledges(c *conn) bool {
	return c.owed > 0 || l.published[codec.QoS1]+l.published[codec.QoS2] > 0 || l.unsaved > l.server.store.Committed()
}

// waitsForDisk reports whether a reply to c, which is being served, would wait for the disk: behind others, if not for
// what it says.
func (l *loop) waitsForDisk(c *conn) bool {
	return c.late > 0 || max(c.owedBatch, l.unsaved) > l.server.store.Committed()
}

// noting has f note changes for the store. The replies to the connection being served wait until they are on disk, if
// they must.
func (l *loop) noting(f func(tx *store.Tx)) {
	tx := l.server.store.Begin()
	defer func() { l.unsaved = max(l.unsaved, tx.End()) }()
	f(tx)
}

// oweReplies keeps the replies of the connection being served for the flush. Until then all its
// further replies are kept as well, for they must come in order [MQTT-4.6.0-2]. The flush comes
// at once when many are owed.
func (l *loop) oweReplies() {
	if len(l.replies) == 0 {
		return
	}
	c := l.serving
	c.owed++
	c.owedBatch = max(c.owedBatch, l.unsaved)
	l.debt = append(l.debt, l.replies...)
	l.replies = l.replies[:0]
	l.owed = append(l.owed, owed{c, len(l.debt), l.unsaved})
	if len(l.debt) >= flushBytes {
		l.flush()
	}
}

// payReplies writes the replies that waited for the flush, or has them wait for the disk.
func (l *loop) payReplies() {
	l.payLate()
	committed := l.server.store.Committed()
	from := 0
	for i := range l.owed {
		o := l.owed[i]
		l.owed[i].conn = nil
		replies := l.debt[from:o.to]
		from = o.to
		switch {
		case o.conn == nil: // paid before a panic
		case o.batch > committed || o.conn.late > 0:
			l.postpone(o.conn, replies)
		default:
			o.conn.owed--
			l.reply(o.conn, replies)
		}
	}
	l.owed, l.debt = l.owed[:0], l.debt[:0]
	if cap(l.debt) > logBytesCap {
		l.debt = nil
	}
}

// postpone has replies to c wait for the disk, behind those that wait already.
func (l *loop) postpone(c *conn, replies []byte) {
	if !c.live() {
		return
	}
	if l.lateBytes+len(replies)+lateBytes > lateBytesMax {
		l.repliesOverflow.add(1)
		l.close(c, errRepliesUnsaved)
		return
	}
	batch := c.owedBatch
	if n := len(l.late); n > 0 {
		batch = max(batch, l.late[n-1].batch)
	}
	c.late++
	l.lateBytes += len(replies) + lateBytes
	l.late = append(l.late, lateReplies{c, append([]byte(nil), replies...), batch})
}

// payLate writes the replies that waited for what is on disk now.
func (l *loop) payLate() {
	if len(l.late) == 0 {
		return
	}
	committed := l.server.store.Committed()
	for len(l.late) > 0 && l.late[0].batch <= committed {
		first := l.late[0]
		l.late[0] = lateReplies{}
		l.late = l.late[1:]
		l.lateBytes -= len(first.replies) + lateBytes
		first.conn.late--
		first.conn.owed--
		l.reply(first.conn, first.replies)
	}
	if len(l.late) == 0 {
		l.late = nil
	}
}

// saved goes on with what waited for the store: replies go out with the flush that comes, and messages after them.
func (l *loop) saved() {
	committed := l.server.store.Committed()
	for len(l.parked) > 0 && l.parked[0].batch <= committed {
		c := l.parked[0]
		l.parked = slices.Delete(l.parked, 0, 1)
		l.released(c)
	}
	for _, c := range l.unsent {
		c.lists &^= inUnsent
		l.goOn(c)
	}
	clear(l.unsent)
	l.unsent = l.unsent[:0]
	l.lateDue = len(l.late) > 0 && l.late[0].batch <= committed
}

// writeReplies writes the replies of the connection being served.
func (l *loop) writeReplies() {
	if c := l.serving; c != nil && c.owed == 0 && l.unsaved <= l.server.store.Committed() {
		l.reply(c, l.replies)
		l.replies = l.replies[:0]
	}
}

// reply writes replies to c, or has them wait in order with its messages. A client that does not read them is
// cut off when more than repliesRoom of them wait, and these are on top of all else that may: its limit, or one message
// that is larger. What was let in before a limit was lowered costs nobody the connection.
func (l *loop) reply(c *conn, replies []byte) {
	if len(replies) == 0 || !c.live() {
		return
	}
	if c.pace == postponed {
		l.refill(c)
	}
	switch {
	case !c.live():
	case c.pace == flowing || c.pace == held:
		if n := l.push(c, replies); n < len(replies) && c.live() {
			l.block(c, replies, n, 0, nil)
		}
	case c.congestion.replies+len(replies) > repliesRoom &&
		c.backlog.bytes+len(replies) > l.config.repliesBytesMax():
		l.repliesOverflow.add(1)
		l.close(c, errRepliesUnread)
	default:
		l.waitReplies(c, replies)
	}
}

// waitReplies puts replies behind what waits for c. Replies in a row are one item.
func (l *loop) waitReplies(c *conn, replies []byte) {
	b := &c.backlog
	if b.last != 0 {
		if it := l.items.at(b.last); it.replies {
			l.releaseShare(it.share)
			it.share.bytes = append(it.packets, replies...)
			it.packets = it.share.bytes
			l.holdShare(it.share)
			l.waits(b, len(replies), 0)
			c.congestion.replies += len(replies)
			return
		}
	}
	copied := copyOf(replies)
	l.add(b, item{packets: copied.bytes, share: copied, replies: true})
	c.congestion.replies += len(replies) + itemBytes
}

// repliesRoom keeps a reader whose buffer is full of messages from being cut off for its own PINGREQ.
// (chosen: the replies to one chunk of input fit)
const repliesRoom = 64 << 10

var (
	errRepliesUnread  = errors.New("replies not read")
	errRepliesUnsaved = errors.New("too much to acknowledge before it is on disk")
)

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
// With -sync always, and while the store fails, replies also wait until what they acknowledge is on disk.

// owed is a connection and the end of its replies in loop.debt.
type owed struct {
	conn  *conn
	to    int
	batch uint64 // of the store, to be committed first; 0: none
}

// acknowledges reports whether the replies to c, which is being served, must wait for the flush.
func (l *loop) acknowledges(c *conn) bool {
	return c.owed > 0 || l.published[codec.QoS1]+l.published[codec.QoS2] > 0 || l.unsaved > l.server.store.Committed()
}

// keeps ends tx, and has the replies to the connection being served wait until what was noted in it is on disk, if need be.
func (l *loop) keeps(tx *store.Tx) { l.unsaved = max(l.unsaved, tx.End()) }

// oweReplies keeps the replies of the connection being served for the flush. Until then all its
// further replies are kept as well, for they must come in order [MQTT-4.6.0-2]. The flush comes
// at once when many are owed.
func (l *loop) oweReplies() {
	if len(l.replies) == 0 {
		return
	}
	c := l.serving
	c.owed += len(l.replies)
	l.debt = append(l.debt, l.replies...)
	l.replies = l.replies[:0]
	l.owed = append(l.owed, owed{c, len(l.debt), l.unsaved})
	switch {
	case len(l.debt) >= flushBytes && l.mayPay():
		l.flush()
	case c.owed > l.config.repliesBytesMax():
		l.repliesOverflow.add(1)
		l.close(c, errRepliesUnsaved)
	}
}

// mayPay reports whether replies that waited for the flush may go out with it: what the first of them acknowledge is on
// disk.
func (l *loop) mayPay() bool {
	return len(l.owed) > 0 && l.owed[0].batch <= l.server.store.Committed()
}

// payReplies writes the replies that waited for the flush, first come, first served.
func (l *loop) payReplies() {
	committed := l.server.store.Committed()
	paid, from := 0, 0
	for ; paid < len(l.owed) && l.owed[paid].batch <= committed; paid++ {
		c, to := l.owed[paid].conn, l.owed[paid].to
		c.owed -= to - from
		l.reply(c, l.debt[from:to])
		l.replied(c)
		from = to
	}
	l.owed = slices.Delete(l.owed, 0, paid)
	for i := range l.owed {
		l.owed[i].to -= from
	}
	if l.debt = slices.Delete(l.debt, 0, from); len(l.debt) == 0 && cap(l.debt) > logBytesCap {
		l.debt = nil
	}
}

// replied has what waited for the replies to c follow them.
func (l *loop) replied(c *conn) {
	if c.owed > 0 || !c.live() {
		return
	}
	if c.pace == held {
		l.replaySoon(c)
	}
	l.sendSoon(c)
}

// saved goes on with what waited for the store: replies go out with the flush that comes, and messages with them.
func (l *loop) saved() {
	for _, c := range l.unsent {
		c.lists &^= inUnsent
		l.sendSoon(c)
	}
	clear(l.unsent)
	l.unsent = l.unsent[:0]
}

// writeReplies writes the replies of the connection being served.
func (l *loop) writeReplies() {
	if c := l.serving; c != nil && c.owed == 0 && l.unsaved <= l.server.store.Committed() {
		l.reply(c, l.replies)
		l.replies = l.replies[:0]
	}
}

// reply writes replies to c, or has them wait in order with its messages. A client that does not read them is
// cut off when repliesRoom of them wait on top of all else that may: its limit, or one message that is larger.
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
	case c.backlog.bytes+len(replies) > l.config.repliesBytesMax():
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
		if it := l.items.at(b.last); it.messages == 0 && it.share.refs == 1 {
			l.releaseShare(it.share)
			it.share.bytes = append(it.packets, replies...)
			it.packets = it.share.bytes
			l.holdShare(it.share)
			l.waits(b, len(replies), 0)
			return
		}
	}
	copied := copyOf(replies)
	l.add(b, item{packets: copied.bytes, share: copied})
}

// repliesRoom keeps a reader whose buffer is full of messages from being cut off for its own PINGREQ.
// (chosen: the replies to one chunk of input fit)
const repliesRoom = 64 << 10

var (
	errRepliesUnread  = errors.New("replies not read")
	errRepliesUnsaved = errors.New("too much to acknowledge before it is on disk")
)

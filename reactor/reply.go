package reactor

import (
	"errors"

	"mqttd/codec"
)

// Replies are the packets that answer a client's own: acknowledgements, SUBACK, PINGRESP. They
// are collected in loop.replies while its input is handled and written in one go after that.
//
// Those that acknowledge a QoS 1 or 2 PUBLISH wait for the flush of the round: when the client
// reads them, its message has been handed to every loop, so what is published afterwards by
// anyone, on any loop, arrives later. The exception is a loop that is behind, see await: a message
// for its readers is acknowledged when it is next in line there.

// owed is a connection and the end of its replies in loop.debt.
type owed struct {
	conn *conn
	to   int
}

// acknowledges reports whether the replies to c, which is being served, must wait for the flush.
func (l *loop) acknowledges(c *conn) bool {
	return c.owed || l.published[codec.QoS1]+l.published[codec.QoS2] > 0
}

// oweReplies keeps the replies of the connection being served for the flush. Until then all its
// further replies are kept as well, for they must come in order [MQTT-4.6.0-2]. The flush comes
// at once when many are owed.
func (l *loop) oweReplies() {
	if len(l.replies) == 0 {
		return
	}
	l.debt = append(l.debt, l.replies...)
	l.replies = l.replies[:0]
	l.serving.owed = true
	l.owed = append(l.owed, owed{l.serving, len(l.debt)})
	if len(l.debt) >= flushBytes {
		l.flush()
	}
}

// payReplies writes the replies that waited for the flush.
func (l *loop) payReplies() {
	from := 0
	for i := range l.owed {
		c, to := l.owed[i].conn, l.owed[i].to
		c.owed = false
		l.reply(c, l.debt[from:to])
		from = to
	}
	clear(l.owed)
	l.owed, l.debt = l.owed[:0], l.debt[:0]
	if cap(l.debt) > logBytesCap {
		l.debt = nil
	}
}

// writeReplies writes the replies of the connection being served.
func (l *loop) writeReplies() {
	if l.serving != nil && !l.serving.owed {
		l.reply(l.serving, l.replies)
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

var errRepliesUnread = errors.New("replies not read")

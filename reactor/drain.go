package reactor

import "golang.org/x/sys/unix"

// drain has the loop settle, with what other loops have handed over and the letters in the mailbox.
func (l *loop) drain() {
	defer func(scheduled bool) { l.scheduled = scheduled }(l.scheduled)
	l.scheduled = true // drain settles by itself
	l.watch.busy.begin()
	l.rung = false
	l.replayDue = l.replayDue || len(l.replaying) > 0
	l.beginTurn()
	l.protect(l.writePostponed)
	l.protect(l.flush)
	l.protect(l.settle)
	l.beginTurn() // gnet looks at the sockets next
	l.watch.busy.end()
}

// openDeferred opens the letters that were taken out of the mailbox.
func (l *loop) openDeferred() {
	letters := l.deferred
	l.deferred = nil
	for _, m := range letters {
		l.protect(func() { l.open(m) })
	}
}

// protect runs f and survives its panic.
func (l *loop) protect(f func()) {
	defer l.rescue(nil)
	f()
}

// open does what a letter asks for.
func (l *loop) open(m letter) {
	switch m.kind {
	case letterTick:
		l.tickWaits.Store(false)
		l.watch.opened(l.wheel.size)
		l.advance()
	case letterLook:
		l.lookAtCongested()
	case letterRelieve:
		l.cutLargest()
	case letterKick:
		l.kick(m.conn, m.waiter)
	case letterReleased:
		l.released(m.conn)
	case letterSend:
		l.sendSoon(m.conn)
	case letterSaved:
		l.saved()
	case letterQuiesce:
		defer func() { m.answer <- 0 }()
		l.quiesced = true
		l.endReplays()
		l.settle()
	case letterPending:
		m.answer <- l.bytesPending()
	case letterCall:
		m.call()
	}
}

// bytesPending returns how many bytes wait for this loop's readers, those in the kernel included:
// closing a socket with unread input would throw them away. Replies that wait for the disk are among them.
func (l *loop) bytesPending() (n int) {
	n = len(l.debt) + l.lateBytes
	l.wheel.each(func(c *conn) {
		n += c.bytesWaiting() + c.gc.OutboundBuffered()
		if unacknowledged, err := unix.IoctlGetInt(c.gc.Fd(), unix.SIOCOUTQ); err == nil {
			n += unacknowledged
		}
	})
	return n
}

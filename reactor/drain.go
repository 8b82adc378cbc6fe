package reactor

// ring wakes the loop up to drain its mailbox. Any goroutine may call it, after a push that
// found the mailbox empty.
//
// The bell is a connection of the loop's own, so that draining happens as input does, in turn
// with the clients' input. A gnet task would not do: tasks run until none is left, and a loop
// that is handed logs all the time would never come to read or to write what is buffered.
func (l *loop) ring() {
	if bell := l.bell.Load(); bell != nil {
		_, _ = bell.Write([]byte{1}) // fails only while shutting down
	}
}

// drain opens the letters in the mailbox, in order, and settles what they brought.
func (l *loop) drain() {
	defer l.rescue(nil)
	defer func(scheduled bool) { l.scheduled = scheduled }(l.scheduled)
	l.scheduled = true // drain settles by itself
	deferred := l.deferred
	l.deferred = nil
	for _, m := range deferred {
		l.open(m)
	}
	letters := l.mailbox.take(l.letters[:0])
	l.deliverLogs(letters)
	for _, m := range letters {
		if m.kind != letterLog {
			l.open(m)
		}
	}
	clear(letters)
	l.letters = letters
	l.settle()
}

// drainLogs delivers the logs in the mailbox and keeps the other letters for drain.
func (l *loop) drainLogs() {
	letters := l.mailbox.take(nil)
	l.deliverLogs(letters)
	for _, m := range letters {
		if m.kind != letterLog {
			l.deferred = append(l.deferred, m)
		}
	}
}

// deliverLogs delivers the logs among the letters: one as it is, several merged, so that a
// loop that has fallen behind catches up with one write per reader.
func (l *loop) deliverLogs(letters []letter) {
	var first *roundLog
	bytes := 0
	for _, m := range letters {
		if m.kind != letterLog {
			continue
		}
		bytes += len(m.log.bytes)
		switch {
		case first == nil && l.inbox.empty():
			first = m.log
			continue
		case first != nil:
			l.inbox.merge(first)
			first.release()
			first = nil
		}
		l.inbox.merge(m.log)
		m.log.release()
		if len(l.inbox.bytes) >= flushBytes {
			l.deliverInbox()
		}
	}
	if first != nil {
		l.deliver(first)
		first.release()
	}
	l.deliverInbox()
	if bytes > 0 {
		l.mailbox.delivered(bytes)
	}
}

func (l *loop) deliverInbox() {
	if !l.inbox.empty() {
		l.deliver(l.inbox)
		l.inbox.reset()
	}
}

// open does what a letter other than a log asks for.
func (l *loop) open(m letter) {
	switch m.kind {
	case letterTick:
		l.advance()
	case letterKick:
		l.kick(m.handle, m.reply)
	case letterReleased:
		l.released(m.handle)
	case letterQuiesce:
		l.quiesced = true
		l.settle()
		m.answer <- 0
	case letterPending:
		m.answer <- l.bytesPending()
	}
}

// bytesPending returns how many bytes wait for this loop's readers.
func (l *loop) bytesPending() (n int) {
	l.wheel.each(func(c *conn) { n += c.gc.OutboundBuffered() })
	return n
}

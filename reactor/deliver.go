package reactor

import (
	"time"

	"mqttd/router"
	"mqttd/session"
)

// flush hands this round's log to the other loops that have readers in it and delivers it to
// the readers here, together with what other loops have handed over. Replies go out in between: an
// acknowledgement after its message was handed over, a SUBACK before what the subscription brings.
//
// What other loops have handed over is taken first and delivered first: who was acknowledged there
// may have caused what is in the log, and who is acknowledged here may cause what they bring next.
func (l *loop) flush() {
	l.lateDue = false
	handed := l.takeMail()
	if l.log.empty() {
		l.payReplies()
		if len(handed) > 0 {
			l.writeReplies()
			l.deliverAll(handed, nil)
		}
		return
	}
	log := l.log
	l.log = l.pool.get()
	l.behind = l.behind[:0]
	for index, wanted := range log.loops {
		if wanted && index != l.index {
			l.handOver(log, l.server.loops[index])
		}
	}
	l.payReplies()
	l.writeReplies()
	if log.loops[l.index] {
		l.deliverAll(handed, log)
	} else {
		l.deliverAll(handed, nil)
	}
	for i := 0; i < len(l.behind); i++ {
		l.await(log, l.behind[i])
	}
	log.release()
}

// takeMail empties the mailbox. It returns the logs, and keeps the letters until they can be opened.
func (l *loop) takeMail() []*roundLog {
	logs, letters, lost := l.mailbox.take()
	l.countLost(lost)
	l.deferred = append(l.deferred, letters...)
	return logs
}

// deliverAll delivers the logs that were handed over and then this loop's own, nil when there is
// none. The last of the former joins the own, copied, so that a reader of both gets one write.
func (l *loop) deliverAll(handed []*roundLog, own *roundLog) {
	for i, g := range handed {
		if own != nil && i == len(handed)-1 && len(g.bytes)+len(own.bytes) <= joinedBytesMax {
			l.joined.merge(g, l.index)
			l.joined.merge(own, l.index)
			own = nil
			l.protect(func() { l.deliver(&l.joined) })
			l.joined.reset()
		} else {
			l.protect(func() { l.deliver(g) })
		}
		l.mailbox.delivered(g)
	}
	if own != nil {
		l.protect(func() { l.deliver(own) })
	}
}

// joinedBytesMax is the size of two logs up to which copying them is cheaper than a second write for
// each reader. (chosen: what a log may hold)
const joinedBytesMax = flushBytes

// handOver gives the log to another loop, or notes that too much waits there already.
func (l *loop) handOver(log *roundLog, to *loop) {
	switch {
	case to.offer(log):
		l.gaveUp[to.index] = false
	case l.gaveUp[to.index]:
		to.mailbox.lose(log)
	default:
		l.behind = append(l.behind, to)
	}
}

const (
	awaitPause = 50 * time.Microsecond
	awaitMax   = time.Second // after it the other loop is taken for stuck (chosen)
)

// await hands the log to a loop that is behind as soon as there is room: until then this loop
// does not read, and publishers feel it as TCP back-pressure, as they would if one loop served
// all. It delivers what other loops hand it meanwhile, so two loops never wait for each other.
//
// When the other loop takes nothing for awaitMax, the log is dropped for its readers, and
// counted, and so are further ones, at once, until that loop has room again.
func (l *loop) await(log *roundLog, to *loop) {
	l.handoverWaits.add(1)
	for deadline := time.Now().Add(awaitMax); ; time.Sleep(awaitPause) {
		if to.offer(log) {
			return
		}
		if time.Now().After(deadline) {
			l.gaveUp[to.index] = true
			to.mailbox.lose(log)
			return
		}
		l.deliverAll(l.takeMail(), nil)
	}
}

// span is a part of the log that a reader gets.
type span struct {
	from, to int
	messages uint64
	next     int32 // index into loop.spans plus one; 0: none
}

// spansMax bounds the scratch space of deliver: a log with more spans, which takes many short
// runs with many readers, goes out in several writes per reader. (chosen: 2 MiB)
const spansMax = 64 << 10

// deliver writes the log to this loop's readers: one write per reader, whatever the number of
// messages. Readers may close while it goes on; nothing else changes meanwhile.
func (l *loop) deliver(log *roundLog) {
	defer l.shares.forget()
	var first time.Time
	if !log.began.IsZero() {
		first = time.Now()
	}
	if len(log.runs) == 1 {
		r := &log.runs[0]
		targets := l.match(r)
		for _, t := range targets {
			if c := l.reader(t.ID); c != nil {
				l.send(c, log.bytes[r.from:r.to], r.messages)
			} else {
				l.missed(t.ID, r.messages)
			}
		}
		l.fannedOut(log.began, first, len(targets))
		return
	}
	defer l.forgetSpans()
	readers := 0
	for i := range log.runs {
		l.collect(&log.runs[i])
		if len(l.spans) >= spansMax || i == len(log.runs)-1 {
			for _, c := range l.touched {
				l.sendSpans(c, log.bytes)
			}
			readers = max(readers, len(l.touched))
			l.forgetSpans()
		}
	}
	l.fannedOut(log.began, first, readers)
}

// fannedOut notes how long a log took to reach its readers here, as soon as none of them is postponed. began and
// first are when it was begun and when its delivery was, zero when that is not asked for.
func (l *loop) fannedOut(began, first time.Time, readers int) {
	switch {
	case began.IsZero() || readers < fanoutReadersMin:
	case len(l.postponed) == 0:
		l.watch.fannedOut(began, first)
	case l.lateBegan.IsZero():
		l.lateBegan, l.lateFirst = began, first
	}
}

// match returns a run's deliveries on this loop, and counts its messages as matched.
func (l *loop) match(r *run) []router.Target {
	targets := r.route.Targets(l.index)
	l.tally.matched += r.messages * uint64(len(targets))
	return targets
}

// forgetSpans resets the scratch space of deliver, after a panic too.
func (l *loop) forgetSpans() {
	for _, c := range l.touched {
		c.firstSpan, c.lastSpan = 0, 0
	}
	clear(l.touched)
	l.touched, l.spans = l.touched[:0], l.spans[:0]
	if cap(l.gather) > logBytesCap {
		l.gather = nil
	}
}

// reader returns the open connection of this loop that a route names, nil when there is none any more.
func (l *loop) reader(id uint64) *conn {
	if c := l.server.table.Resolve(session.Handle(id)); c != nil && c.serves.Load() == l {
		return c
	}
	return nil
}

// missed counts QoS 0 messages for a client without a connection here: it is away, on another loop by now, or its
// connection has just ended.
func (l *loop) missed(id, messages uint64) {
	c := l.server.table.Resolve(session.Handle(id))
	if c == nil || c.loop == l && c.session.CleanSession {
		l.tally.missed[ReasonCutOff] += messages
		return
	}
	c.session.Missed.Add(messages)
	l.tally.missed[ReasonAbsent] += messages
}

// collect notes the run for each of its readers, merging it with the span before when they touch,
// and lists the readers in touched.
func (l *loop) collect(r *run) {
	for _, t := range l.match(r) {
		c := l.reader(t.ID)
		if c == nil {
			l.missed(t.ID, r.messages)
			continue
		}
		if c.lastSpan != 0 {
			if last := &l.spans[c.lastSpan-1]; last.to == r.from {
				last.to = r.to
				last.messages += r.messages
				continue
			}
		}
		l.spans = append(l.spans, span{from: r.from, to: r.to, messages: r.messages})
		at := int32(len(l.spans))
		if c.lastSpan == 0 {
			c.firstSpan = at
			l.touched = append(l.touched, c)
		} else {
			l.spans[c.lastSpan-1].next = at
		}
		c.lastSpan = at
	}
}

// sendSpans sends c its spans, in one write unless it has to wait.
func (l *loop) sendSpans(c *conn, log []byte) {
	first := l.spans[c.firstSpan-1]
	if first.next == 0 {
		l.send(c, log[first.from:first.to], first.messages)
		return
	}
	if c.pace != flowing || l.turn.over || !c.live() {
		for s := &first; ; s = &l.spans[s.next-1] {
			l.send(c, log[s.from:s.to], s.messages)
			if s.next == 0 {
				return
			}
		}
	}
	l.gather = l.gather[:0]
	messages := uint64(0)
	for s := &first; ; s = &l.spans[s.next-1] {
		l.gather = append(l.gather, log[s.from:s.to]...)
		messages += s.messages
		if s.next == 0 {
			break
		}
	}
	l.turn.spent(writeWork(len(l.gather)), turnMax)
	l.pushMessages(c, l.gather, messages, nil)
}

// send writes whole QoS 0 messages to a reader, or has them wait: until the next turn when this one is
// over, until the socket takes more when the reader is behind.
func (l *loop) send(c *conn, packets []byte, messages uint64) {
	switch {
	case c.pace != flowing || !c.live():
		l.wait(c, packets, messages, &l.shares)
	case l.turn.spent(writeWork(len(packets)), turnMax) && !l.server.memoryFull():
		c.pace = postponed
		l.list(&l.postponed, c, inPostponed)
		l.add(&c.backlog, l.shares.item(packets, messages))
		l.again()
	default:
		l.pushMessages(c, packets, messages, &l.shares)
	}
}

// pushMessages writes messages to a reader for which nothing waits. What its socket does not take has to
// wait; copies keeps copies of packets, nil when they lie in scratch space.
func (l *loop) pushMessages(c *conn, packets []byte, messages uint64, copies *shares) {
	n := l.push(c, packets)
	switch {
	case n == len(packets):
		l.deliveredTo(c, messages)
	case c.live():
		l.block(c, packets, n, messages, copies)
	default:
		l.lose(c, ReasonCutOff, messages)
	}
}

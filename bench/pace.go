package bench

// window is the closed loop: each publisher has its share of the messages outstanding.
type window struct {
	size       int
	publishers int
}

// share returns a publisher's part of the window; the parts add up to it.
func (w window) share(publisher int) int {
	share := w.size / w.publishers
	if publisher < w.size%w.publishers {
		share++
	}
	return share
}

// schedule is the open loop: message k of the run, counted over all publishers, which take turns,
// has its send time at startNs + k*periodNs.
type schedule struct {
	startNs    int64
	periodNs   float64
	publishers int
}

// issued returns the number of messages of the run whose time has come.
func (s schedule) issued(now int64) int64 {
	if now < s.startNs {
		return 0
	}
	return int64(float64(now-s.startNs)/s.periodNs) + 1
}

// due returns how many of the first issued messages are a publisher's.
func (s schedule) due(publisher int, issued int64) uint64 {
	return uint64((issued - int64(publisher) + int64(s.publishers) - 1) / int64(s.publishers))
}

// timeOf returns the send time of message k.
func (s schedule) timeOf(k int64) int64 { return s.startNs + int64(float64(k)*s.periodNs) }

// step returns the time between two messages of one publisher.
func (s schedule) step() int64 { return int64(s.periodNs * float64(s.publishers)) }

// pump sends what may be sent now.
func (l *load) pump() error {
	if l.phase >= drain {
		return nil
	}
	if l.config.Open() {
		return l.pumpSchedule(nowNs())
	}
	if len(l.meter.moved) == 0 {
		return nil
	}
	now := nowNs()
	for _, index := range l.meter.moved {
		if err := l.refill(int(index), now); err != nil {
			return l.lost("publisher", int(index), err)
		}
	}
	l.meter.moved = l.meter.moved[:0]
	return nil
}

// refillMax is how much room a publisher waits for at most; chosen, so that a slow broker is not
// fed in bursts that take it seconds.
const refillMax = 32

// refill fills a publisher's share of the window once half of it, or refillMax, is free: single
// messages as they are answered would make every batch, ours and the broker's, one message long.
func (l *load) refill(index int, now int64) error {
	p := l.publishers[index]
	share := l.window.share(index)
	free := share - p.outstanding()
	if free < min((share+1)/2, refillMax) {
		return nil
	}
	p.flow.activeNs = now
	return l.send(index, free, now, 0)
}

// pumpSchedule sends the messages whose time has come, and those that had to wait for room.
func (l *load) pumpSchedule(now int64) error {
	issued := l.schedule.issued(now)
	first := max(l.issued, issued-int64(len(l.publishers))) // each publisher once is enough
	for k := first; k < issued; k++ {
		l.meter.moved = append(l.meter.moved, uint32(k%int64(len(l.publishers))))
	}
	l.issued = issued
	for _, index := range l.meter.moved {
		p := l.publishers[index]
		n := int(l.schedule.due(int(index), issued) - p.flow.sent)
		at := l.schedule.timeOf(int64(p.flow.sent)*int64(len(l.publishers)) + int64(index))
		if err := l.send(int(index), n, at, l.schedule.step()); err != nil {
			return l.lost("publisher", int(index), err)
		}
	}
	l.meter.moved = l.meter.moved[:0]
	return nil
}

// send has a publisher send n messages, in batches, until it is blocked.
func (l *load) send(index, n int, atNs, stepNs int64) error {
	p := l.publishers[index]
	if l.config.ConnectPerMessage {
		if n <= 0 || p.fd >= 0 {
			return nil // its turn comes when the connection is closed
		}
		return l.dial(index, nowNs())
	}
	for n > 0 && p.room() > 0 {
		batch := min(n, p.room())
		if err := p.send(batch, atNs, stepNs); err != nil {
			return err
		}
		l.meter.now.sent += uint64(batch)
		n -= batch
		atNs += int64(batch) * stepNs
	}
	return l.watch(index)
}

// sendOne sends the message for which a publisher has connected, unless the drain has begun.
func (l *load) sendOne(index int, now int64) error {
	p := l.publishers[index]
	if l.phase >= drain {
		p.hangUp()
		return nil
	}
	at := now
	if l.config.Open() {
		at = l.schedule.timeOf(int64(p.flow.sent)*int64(len(l.publishers)) + int64(index))
	}
	p.flow.activeNs = now
	if err := p.send(1, at, 0); err != nil {
		return l.lost("publisher", index, err)
	}
	l.meter.now.sent++
	l.meter.moved = append(l.meter.moved, uint32(index))
	return l.sent(index)
}

package bench

import (
	"context"
	"math"
	"time"
)

const (
	// stallAfter is how long a closed loop waits for a message before it is taken for lost, and how
	// long the drain waits for another delivery.
	stallAfter = time.Second
	// drainMax bounds the drain of a broker that keeps delivering what it has queued; chosen.
	drainMax = 10 * time.Second
	// checkInterval is how often stalls and the end of the drain are looked for.
	checkInterval = 20 * time.Millisecond

	foreverNs = math.MaxInt64
)

// phase is a part of a run.
type phase uint8

const (
	connect phase = iota
	warmup
	measurement
	drain
	done
)

// Phases whose samples are told apart outside this package, see Sample.Phase.
const (
	PhaseMeasure = "measure"
	PhaseDrain   = "drain"
)

func (p phase) String() string {
	return [...]string{"connect", "warm-up", PhaseMeasure, PhaseDrain, "done"}[p]
}

// turn does what is due by time alone.
func (l *load) turn(ctx context.Context, now int64) error {
	if ctx.Err() != nil && l.phase < drain {
		l.interrupted = true
		l.phaseEndNs = now
	}
	if now >= l.checkNs {
		l.checkNs = now + checkInterval.Nanoseconds()
		l.check(now)
		if err := l.expire(now); err != nil {
			return err
		}
	}
	for l.phase < done && now >= l.phaseEndNs {
		if err := l.nextPhase(now); err != nil {
			return err
		}
	}
	if now < l.sampleNs || l.phase == done {
		return nil
	}
	l.sampleNs += l.config.SampleInterval.Nanoseconds()
	return l.hand(now)
}

// check finds messages that will not come any more.
func (l *load) check(now int64) {
	switch {
	case l.phase == drain:
		l.drainCut = now-l.drainNs >= drainMax.Nanoseconds()
		if l.drained() || l.drainCut || now-l.activeNs >= stallAfter.Nanoseconds() {
			l.phaseEndNs = now
		}
	case !l.config.Open():
		l.moveOn(now)
	}
}

func (l *load) drained() bool {
	expected := uint64(0)
	for i, p := range l.publishers {
		if len(p.pending) > 0 || p.inFlight() > 0 {
			return false
		}
		expected += p.flow.sent * uint64(l.fanouts[i])
	}
	for _, s := range l.subscribers {
		if s.awaited > 0 || len(s.acks) > 0 {
			return false
		}
	}
	return l.meter.now.delivered == expected
}

// moveOn gives up on the messages of publishers for whom nothing has arrived for a while, at their
// subscribers or as an acknowledgement.
func (l *load) moveOn(now int64) {
	for i, p := range l.publishers {
		f := p.flow
		if p.blocked() || p.outstanding() == 0 || now-f.activeNs < stallAfter.Nanoseconds() {
			continue
		}
		p.giveUp()
		l.stalls++
		l.meter.moved = append(l.meter.moved, uint32(i))
	}
}

// nextPhase hands over the last reading of this phase and begins the next.
func (l *load) nextPhase(now int64) error {
	if l.phase == measurement {
		if err := l.sendDue(now); err != nil {
			return err
		}
	}
	if err := l.hand(now); err != nil {
		return err
	}
	l.phase++
	l.sampleNs = now + l.config.SampleInterval.Nanoseconds()
	if l.interrupted && l.phase == measurement {
		l.phase, l.meter.fromNs = drain, now // nothing is measured
	}
	switch l.phase {
	case warmup:
		l.phaseEndNs = now + l.config.Warmup.Nanoseconds()
	case measurement:
		l.meter.fromNs = now
		l.phaseEndNs = now + l.config.Duration.Nanoseconds()
	case drain:
		l.meter.toNs = now
		l.activeNs, l.drainNs, l.phaseEndNs = now, now, foreverNs
	case done:
		l.takeBackUnwritten()
	}
	return nil
}

// sendDue sends, in an open loop, what had its turn before the measurement ends, and counts what
// cannot be sent now.
func (l *load) sendDue(now int64) error {
	if !l.config.Open() {
		return nil
	}
	if err := l.pumpSchedule(now); err != nil {
		return err
	}
	for i, p := range l.publishers {
		l.unsent += l.schedule.due(i, l.issued) - p.flow.sent
	}
	return nil
}

// takeBackUnwritten corrects the count of messages sent by those that the broker did not read.
func (l *load) takeBackUnwritten() {
	for _, p := range l.publishers {
		n := p.unwritten()
		p.flow.sent -= n
		l.unsent += n
	}
}

// hand passes a reading to the collector, and never waits for it.
func (l *load) hand(now int64) error {
	if err := l.clocks.read(&l.meter.now); err != nil {
		return err
	}
	r := reading{
		phase:    l.phase,
		tid:      l.tid,
		elapsed:  time.Duration(now - l.startNs),
		counters: l.meter.now,
		missing:  l.meter.missing,
		latency:  l.meter.latency,
	}
	if now < l.phaseEndNs && len(l.readings) >= readingsMax {
		return nil // the collector is busy: this reading becomes part of the next
	}
	l.readings <- r // there is room: see newCollector
	select {
	case l.meter.latency = <-l.spare:
	default:
		l.meter.latency = newHistogram()
	}
	return nil
}

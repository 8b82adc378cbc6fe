package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// readBytes is the size of the read buffer that all subscribers share. Measured: 32 KiB costs a fifth
// of the rate, and more than 64 KiB gains nothing, being beyond the processor's nearest cache.
const readBytes = 64 << 10

// load drives every connection from one thread. Everything in it is loop-confined while run runs,
// except the two channels. Publisher i has poller index i, subscriber i has len(publishers)+i.
type load struct {
	config      Config
	plan        plan
	poller      *poller
	opening     *opening
	publishers  []*publisher
	subscribers []*subscriber
	fanouts     []int // by publisher
	window      window
	schedule    schedule
	meter       meter
	clocks      clocks
	buffer      []byte

	phase       phase
	tid         int   // of the thread that run has
	startNs     int64 // of the first connect
	phaseEndNs  int64
	sampleNs    int64 // when the next reading is due
	checkNs     int64 // when stalls are looked for next
	activeNs    int64 // when something new was last received, or the drain began
	drainNs     int64 // when the drain began
	drainCut    bool  // it was ended by its bound
	issued      int64 // open loop: messages whose turn has come
	interrupted bool
	stalls      uint64 // windows that moved on without an answer
	unsent      uint64 // open loop: messages whose time had come, but which never left

	readings chan<- reading
	spare    <-chan *hdrhistogram.Histogram // returned by the collector, reset
}

// run plays all phases. It returns early when a connection is lost; when ctx ends it drains first. It
// has a goroutine of its own.
func (l *load) run(ctx context.Context) error {
	runtime.LockOSThread()                             // for good: the thread ends with its goroutine,
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // for a broker started from it would inherit this. Without it wait returns 50 µs late
	l.tid = unix.Gettid()
	defer l.poller.wakeAfter(ctx)()

	if err := l.open(ctx); err != nil {
		return err
	}
	if err := l.start(nowNs()); err != nil {
		return err
	}
	for {
		now := nowNs()
		if err := l.turn(ctx, now); err != nil || l.phase == done {
			return err
		}
		events, err := l.poller.wait(time.Duration(l.deadlineNs() - now))
		if err != nil {
			return err
		}
		for i := range events {
			if err := l.handle(&events[i]); err != nil {
				return err
			}
		}
		if err := l.pump(); err != nil {
			return err
		}
	}
}

func (l *load) start(now int64) error {
	if err := l.listen(); err != nil {
		return err
	}
	l.checkNs = now
	l.schedule.startNs = now
	l.meter.fromNs, l.meter.toNs = math.MinInt64, math.MaxInt64
	for i := range l.publishers {
		l.meter.moved = append(l.meter.moved, uint32(i))
	}
	if err := l.nextPhase(now); err != nil {
		return err
	}
	return l.pump()
}

// deadlineNs returns when turn or pump has something to do again.
func (l *load) deadlineNs() int64 {
	deadline := min(l.sampleNs, l.phaseEndNs, l.checkNs)
	if l.config.Open() && l.phase < drain {
		deadline = min(deadline, l.schedule.timeOf(l.issued))
	}
	return deadline
}

func (l *load) handle(event *unix.EpollEvent) error {
	index := int(event.Fd)
	switch {
	case index == wakeIndex:
		return l.poller.acknowledge()
	case l.opening.handshakes[index] != nil:
		return l.stepHandshake(index)
	case index < len(l.publishers):
		return l.lostClient(index, l.handlePublisher(index, event.Events))
	}
	return l.lostClient(index, l.handleSubscriber(index-len(l.publishers), event.Events))
}

// lostClient is lost for a client known by its poller index; nil stays nil.
func (l *load) lostClient(index int, err error) error {
	switch {
	case err == nil:
		return nil
	case index < len(l.publishers):
		return l.lost("publisher", index, err)
	}
	return l.lost("subscriber", index-len(l.publishers), err)
}

// lost names the client whose connection failed; a connection that could not be opened says so itself.
func (l *load) lost(role string, index int, err error) error {
	if errors.Is(err, ErrConnect) {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the broker closed it")
	}
	when := "before the load"
	if l.phase > connect {
		when = fmt.Sprintf("after %.1f s of load", time.Duration(nowNs()-l.schedule.startNs).Seconds())
	}
	return fmt.Errorf("%w: %s %d at %s, %s: %w", ErrConnectionLost, role, index, l.config.Address(), when, err)
}

func (l *load) handleSubscriber(index int, events uint32) error {
	s := l.subscribers[index]
	if events&^unix.EPOLLOUT != 0 {
		if err := l.receive(s); err != nil {
			return err
		}
	}
	if len(s.acks) == 0 && !s.watching {
		return nil
	}
	var err error
	if s.acks, err = writeSome(s.fd, s.acks); err != nil {
		return err
	}
	if blocked := len(s.acks) > 0; blocked != s.watching {
		s.watching = blocked
		return l.poller.watchWrites(s.fd, len(l.publishers)+index, blocked)
	}
	return nil
}

// receive accounts for one read.
func (l *load) receive(s *subscriber) error {
	b, err := s.read(l.buffer)
	if err != nil || len(b) == 0 {
		return err
	}
	l.meter.readNs = nowNs()
	l.meter.now.bytes += uint64(len(b))
	before := l.meter.now.delivered
	err = s.parse(b, &l.meter)
	l.meter.endRun()
	if l.meter.now.delivered > before {
		l.activeNs = l.meter.readNs
	}
	return err
}

func (l *load) handlePublisher(index int, events uint32) error {
	p := l.publishers[index]
	if p.fd < 0 {
		return nil // closed within this batch of events
	}
	if events&^unix.EPOLLOUT != 0 {
		b, err := readSome(p.fd, l.buffer)
		if err == nil && len(b) > 0 {
			p.flow.activeNs = nowNs()
			err = p.acknowledge(b)
		}
		if err != nil {
			return err
		}
	}
	if err := p.flush(); err != nil {
		return err
	}
	l.meter.moved = append(l.meter.moved, uint32(index))
	return l.sent(index)
}

// sent goes on after a publisher wrote: it ends a connection that was for one message.
func (l *load) sent(index int) error {
	p := l.publishers[index]
	if l.config.ConnectPerMessage && !p.blocked() && p.inFlight() == 0 {
		p.hangUp()
		return nil
	}
	return l.watch(index)
}

// publisherReady goes on when a publisher's connection is ready.
func (l *load) publisherReady(index int) error {
	if l.config.ConnectPerMessage {
		return l.sendOne(index, nowNs())
	}
	return nil
}

// watch asks for an event when there is room to write, as long as something is pending.
func (l *load) watch(index int) error {
	p := l.publishers[index]
	if blocked := p.blocked(); blocked != p.watching {
		p.watching = blocked
		return l.poller.watchWrites(p.fd, index, blocked)
	}
	return nil
}

// close closes every connection, with a courtesy.
func (l *load) close() {
	for _, p := range l.publishers {
		if p.fd >= 0 {
			p.hangUp()
		}
	}
	for i, s := range l.subscribers {
		if s.fd < 0 {
			continue
		}
		if l.config.Persistent {
			l.unsubscribe(s.fd, l.filtersOf(len(l.publishers)+i))
		}
		hangUp(s.fd)
	}
	l.poller.close()
}

// unsubscribe leaves behind a session that nothing is kept for: the next run has the same topics. That
// the broker reads it is likely, and not awaited.
func (l *load) unsubscribe(fd int, filters []string) {
	for part := range slices.Chunk(filters, filtersMax) {
		_, _ = unix.Write(fd, appendUnsubscribe(nil, 1, part))
	}
}

func hangUp(fd int) {
	_, _ = unix.Write(fd, appendDisconnect(nil))
	_ = unix.Close(fd)
}

package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// opening connects the clients: those that the load needs before it begins and, when each message
// has a connection of its own, publishers all the time. Loop-confined.
type opening struct {
	config  Config
	tag     uint32
	to      unix.Sockaddr
	sources []unix.Sockaddr // taken in turn; empty: the kernel chooses
	dialed  int

	handshakes []*handshake // by poller index; nil: not being connected
	active     []int        // poller indices of those that are not nil

	opened  int
	granted int // the lowest QoS granted to a subscriber
	latency *hdrhistogram.Histogram
	begin   counters // CPU times before the first connection
	end     counters
	beginNs int64
	endNs   int64
}

func newOpening(config Config, tag uint32, to *net.TCPAddr, clients int) (*opening, error) {
	o := &opening{
		config:     config,
		tag:        tag,
		to:         sockaddr(to.IP, to.Port, to.Zone),
		handshakes: make([]*handshake, clients),
		granted:    config.QoS,
		latency:    newHistogram(),
	}
	for _, source := range config.Sources {
		ip := net.ParseIP(source)
		if (ip.To4() == nil) != (to.IP.To4() == nil) {
			return nil, fmt.Errorf("%w: source %s and the broker's address %s are not of one IP version", ErrConfig, source, to.IP)
		}
		o.sources = append(o.sources, sockaddr(ip, 0, to.Zone))
	}
	return o, nil
}

func sockaddr(ip net.IP, port int, zone string) unix.Sockaddr {
	if four := ip.To4(); four != nil {
		return &unix.SockaddrInet4{Port: port, Addr: [4]byte(four)}
	}
	six := &unix.SockaddrInet6{Port: port, Addr: [16]byte(ip.To16())}
	if face, err := net.InterfaceByName(zone); err == nil {
		six.ZoneId = uint32(face.Index)
	}
	return six
}

// open connects every client that the load starts with. It returns ctx's error when ctx ends first.
func (l *load) open(ctx context.Context) error {
	o := l.opening
	if err := l.clocks.read(&l.meter.now); err != nil {
		return err
	}
	o.begin, o.beginNs = l.meter.now, nowNs()
	l.startNs, l.sampleNs, l.phaseEndNs = o.beginNs, o.beginNs+l.config.SampleInterval.Nanoseconds(), foreverNs
	if err := l.hand(o.beginNs); err != nil { // what samples count from
		return err
	}
	next := 0
	if l.config.ConnectPerMessage {
		next = len(l.publishers)
	}
	for next < len(o.handshakes) || len(o.active) > 0 {
		now := nowNs()
		for next < len(o.handshakes) && len(o.active) < l.config.Connects && o.mayOpen(now) {
			if err := l.dial(next, now); err != nil {
				return err
			}
			next++
		}
		if err := l.openSome(ctx, next < len(o.handshakes)); err != nil {
			return err
		}
	}
	if err := l.clocks.read(&l.meter.now); err != nil {
		return err
	}
	o.end, o.endNs = l.meter.now, nowNs()
	l.phaseEndNs = o.endNs
	return ctx.Err()
}

// openSome waits for one batch of events.
func (l *load) openSome(ctx context.Context, more bool) error {
	o := l.opening
	now := nowNs()
	deadline := min(l.sampleNs, now+checkInterval.Nanoseconds())
	if more && len(o.active) < l.config.Connects {
		deadline = min(deadline, o.nextNs())
	}
	events, err := l.poller.wait(time.Duration(deadline - now))
	if err != nil {
		return err
	}
	for i := range events {
		switch index := int(events[i].Fd); {
		case index == wakeIndex:
			err = l.poller.acknowledge()
		case o.handshakes[index] != nil:
			err = l.stepHandshake(index)
		default: // a client that is ready: mute, so this is its end
			err = l.lostClient(index, io.EOF)
		}
		if err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := l.expire(nowNs()); err != nil {
		return err
	}
	if now := nowNs(); now >= l.sampleNs {
		l.sampleNs += l.config.SampleInterval.Nanoseconds()
		return l.hand(now)
	}
	return nil
}

// mayOpen reports whether the pace of connections allows another one.
func (o *opening) mayOpen(now int64) bool { return now >= o.nextNs() }

// nextNs returns when the next connection may be opened.
func (o *opening) nextNs() int64 {
	if o.config.ConnectsPerSecond == 0 {
		return 0
	}
	return o.beginNs + int64(float64(o.dialed)*1e9/o.config.ConnectsPerSecond)
}

// dial begins to connect the client at a poller index.
func (l *load) dial(index int, now int64) error {
	o := l.opening
	var from unix.Sockaddr
	if len(o.sources) > 0 {
		from = o.sources[o.dialed%len(o.sources)]
	}
	o.dialed++
	h, err := newHandshake(o.to, from, l.hello(index), l.filtersOf(index), l.config.QoS, now)
	if err != nil {
		return connectError(l.config.Address(), connecting, err)
	}
	o.handshakes[index] = h
	o.active = append(o.active, index)
	l.setDescriptor(index, h.fd)
	if err := l.poller.add(h.fd, index); err != nil {
		return err
	}
	return l.stepHandshake(index) // on one machine it is connected already
}

func (l *load) stepHandshake(index int) error {
	o := l.opening
	h := o.handshakes[index]
	if err := h.step(l.buffer); err != nil {
		return connectError(l.config.Address(), h.stage, err)
	}
	if blocked := len(h.unsent) > 0; blocked != h.watching {
		h.watching = blocked
		if err := l.poller.watchWrites(h.fd, index, blocked); err != nil {
			return err
		}
	}
	if h.stage != ready {
		return nil
	}
	o.finish(index)
	return l.connected(index, h)
}

// finish takes a handshake out; o.active is short, Config.Connects at most.
func (o *opening) finish(index int) {
	o.handshakes[index] = nil
	for i, active := range o.active {
		if active == index {
			last := len(o.active) - 1
			o.active[i], o.active = o.active[last], o.active[:last]
			return
		}
	}
}

// connected lends a new connection to its client.
func (l *load) connected(index int, h *handshake) error {
	o := l.opening
	if l.phase == connect {
		if err := l.poller.mute(h.fd, index); err != nil {
			return err
		}
		o.opened++
		l.meter.now.connections++
		_ = o.latency.RecordValue(min(nowNs()-h.sinceNs, latencyMax.Nanoseconds())) // within its limits
	}
	if index < len(l.publishers) {
		return l.publisherReady(index)
	}
	s := l.subscribers[index-len(l.publishers)]
	s.held = append(s.held, h.held...)
	o.granted = min(o.granted, h.granted)
	return nil
}

// listen has every client heard that connected before the load.
func (l *load) listen() error {
	for i, p := range l.publishers {
		if p.fd < 0 {
			continue
		}
		if err := l.poller.listen(p.fd, i); err != nil {
			return err
		}
	}
	for i, s := range l.subscribers {
		if err := l.poller.listen(s.fd, len(l.publishers)+i); err != nil {
			return err
		}
	}
	return nil
}

// expire looks for a connection that takes too long.
func (l *load) expire(now int64) error {
	for _, index := range l.opening.active {
		if h := l.opening.handshakes[index]; now-h.sinceNs >= connectTimeout.Nanoseconds() {
			return fmt.Errorf("%w to the broker at %s: no answer within %v, %s was awaited", ErrConnect, l.config.Address(), connectTimeout, h.stage)
		}
	}
	return nil
}

// hello returns the CONNECT packet of a client.
func (l *load) hello(index int) []byte {
	if l.config.Persistent && index >= len(l.publishers) {
		return appendConnect(nil, l.clientID(index), connectPersistent)
	}
	return appendConnect(nil, l.clientID(index), connectClean)
}

func (l *load) clientID(index int) string {
	switch {
	case l.config.ConnectPerMessage && index < len(l.publishers): // the last one may not be closed yet
		return fmt.Sprintf("bench-%08x-p%d-%d", l.opening.tag, index, l.publishers[index].flow.sent)
	case index < len(l.publishers):
		return fmt.Sprintf("bench-%08x-p%d", l.opening.tag, index)
	}
	return fmt.Sprintf("bench-%08x-s%d", l.opening.tag, index-len(l.publishers))
}

func (l *load) filtersOf(index int) []string {
	if index < len(l.publishers) {
		return nil
	}
	return l.plan.filters[l.plan.class(index-len(l.publishers))]
}

func (l *load) setDescriptor(index, fd int) {
	if index < len(l.publishers) {
		l.publishers[index].fd = fd
		return
	}
	l.subscribers[index-len(l.publishers)].fd = fd
}

// connections describes the phase once it is over.
func (o *opening) connections() Connections {
	c := Connections{
		Opened:           o.opened,
		Seconds:          time.Duration(o.endNs - o.beginNs).Seconds(),
		Latency:          NewLatency(o.latency),
		BrokerCPUSeconds: seconds(o.end.brokerCPU - o.begin.brokerCPU),
		GrantedQoS:       o.granted,
	}
	if c.Seconds > 0 {
		c.GeneratorThreadPercent = 100 * seconds(o.end.loopCPU-o.begin.loopCPU) / c.Seconds
		c.PerSecond = float64(c.Opened) / c.Seconds
	}
	return c
}

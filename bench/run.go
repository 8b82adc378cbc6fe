package bench

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

// Run plays one benchmark against the broker at config.Address and returns what was measured.
//
// When ctx ends after the load began, Run stops sending, drains, and returns the result with
// Interrupted set and no error; before, it returns ctx's error. A connection that is lost ends the
// run with an error and no result, because figures after that would describe something else.
func Run(ctx context.Context, config Config) (Result, error) {
	if err := config.Validate(); err != nil {
		return Result{}, err
	}
	to, broker, unknown := probe(ctx, config)
	if to == nil || broker == nil && config.PID != 0 {
		return Result{}, unknown
	}
	return measure(ctx, config, to, broker, unknown)
}

func measure(ctx context.Context, config Config, to *net.TCPAddr, broker *process, unknown error) (Result, error) {
	c := newCollector(broker, config.OnSample)
	l, err := newLoad(config, to, c)
	if err != nil {
		return Result{}, err
	}
	defer l.close()
	result := Result{
		Version:   Version(),
		Command:   config.Command,
		StartedAt: time.Now(),
		Machine:   ThisMachine(),
		Config:    config,
	}
	if unknown != nil {
		result.BrokerUnknown = unknown.Error()
	}
	if broker != nil {
		l.clocks.brokerPID = broker.pid
		c.residentBefore = broker.residentBytes()
	}
	if err := runBoth(ctx, l, c); err != nil {
		return Result{}, err
	}
	result.fill(l, c)
	return result, nil
}

// runBoth runs the load on a thread of its own and the collector beside it.
func runBoth(ctx context.Context, l *load, c *collector) error {
	loaded := make(chan error, 1)
	go func() {
		loaded <- l.run(ctx)
		close(c.readings)
	}()
	c.run()
	return <-loaded
}

func (r *Result) fill(l *load, c *collector) {
	r.Interrupted = l.interrupted
	r.Connections = l.opening.connections()
	r.Throughput = newRates(c.begin, c.end)
	r.Latency = NewLatency(c.latency)
	r.Deliveries = newAccounts(l.plan, l.meter.flows, l.subscribers)
	r.Deliveries.NotArrived = r.Deliveries.Lost - min(r.Deliveries.Lost, uint64(max(l.meter.missing, 0)))
	r.Deliveries.MessagesUnsent = l.unsent
	r.Deliveries.WindowTimeouts = l.stalls
	r.Deliveries.DrainCut = l.drainCut
	for _, p := range l.publishers {
		r.Deliveries.Unacknowledged += uint64(p.inFlight())
	}
	r.Samples = c.samples
	if b := c.process; b != nil {
		usage := newUsage(b.pid, b.name, c.end.brokerCPU-c.begin.brokerCPU, r.Throughput)
		usage.ResidentBytes, usage.ResidentBytesMax = c.resident, c.residentMax
		usage.ContextSwitches = c.switches
		r.Broker = &usage
		r.Connections.ResidentBytesBefore = c.residentBefore
		if n := r.Connections.Opened; n > 0 && c.resident > 0 {
			r.Connections.ResidentBytesEach = (float64(c.resident) - float64(c.residentBefore)) / float64(n)
		}
	}
	r.Generator = newUsage(os.Getpid(), "mqttbench", c.end.processCPU-c.begin.processCPU, r.Throughput)
	if r.Throughput.Seconds > 0 {
		r.Generator.ThreadPercent = 100 * seconds(c.end.loopCPU-c.begin.loopCPU) / r.Throughput.Seconds
		r.Generator.ThreadWaitPercent = 100 * seconds(c.waitEnd-c.waitBegin) / r.Throughput.Seconds
	}
	if self, err := newProcess(os.Getpid()); err == nil {
		r.Generator.ResidentBytes = self.residentBytes()
		r.Generator.ResidentBytesMax = r.Generator.ResidentBytes
	}
	r.judge()
}

// probe connects once, without a word, and returns the address that answered and the broker's process,
// or why it is not known. Without an address the error says why nothing can be measured.
func probe(ctx context.Context, config Config) (*net.TCPAddr, *process, error) {
	dialer := net.Dialer{Timeout: connectTimeout}
	c, err := dialer.DialContext(ctx, "tcp", config.Address())
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, nil, connectError(config.Address(), connecting, cause(err))
	}
	defer func() { _ = c.Close() }()
	local, remote := c.LocalAddr().(*net.TCPAddr), c.RemoteAddr().(*net.TCPAddr)
	if config.PID != 0 {
		broker, err := newProcess(config.PID)
		return remote, broker, err
	}
	broker, err := findBroker(local, remote)
	return remote, broker, err
}

// cause takes off what net adds and connectError says better.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// newLoad prepares every client; run connects them.
func newLoad(config Config, to *net.TCPAddr, c *collector) (*load, error) {
	p := newPlan(config)
	tag := rand.Uint32()
	clients := config.Publishers + config.Subscribers
	opening, err := newOpening(config, tag, to, clients)
	if err != nil {
		return nil, err
	}
	poller, err := newPoller(clients + 1)
	if err != nil {
		return nil, err
	}
	l := &load{
		config:   config,
		plan:     p,
		poller:   poller,
		opening:  opening,
		window:   window{size: config.Window, publishers: config.Publishers},
		schedule: schedule{periodNs: 1e9 / max(config.RatePerSecond, 1e-9), publishers: config.Publishers},
		meter:    meter{tag: tag, payloadBytes: config.PayloadBytes, latency: newHistogram()},
		readings: c.readings,
		spare:    c.spare,
	}
	for i := range config.Publishers {
		l.addPublisher(i)
	}
	for i := range config.Subscribers {
		l.subscribers = append(l.subscribers, &subscriber{fd: -1, qos: config.QoS, class: p.class(i), ordinal: p.ordinal(i)})
	}
	l.buffer = make([]byte, max(readBytes, 2*l.meter.frameBytesMax))
	return l, nil
}

func (l *load) addPublisher(i int) {
	// In an open loop more than one message may be due, when the broker was slow; chosen.
	frames := min(1024, max(16, 1<<20/l.config.Publishers))
	switch {
	case l.config.ConnectPerMessage:
		frames = 1
	case !l.config.Open():
		frames = l.window.share(i)
	}
	orderedEvery := l.config.Topics
	if l.config.ConnectPerMessage {
		orderedEvery = math.MaxInt32 // no two: nothing is promised between connections
	}
	f := newFlow(l.plan.classes[i], l.plan.fanout(i), orderedEvery)
	p := newPublisher(f, i, l.plan.topics[i], l.opening.tag, l.config.QoS, l.config.PayloadBytes, frames)
	l.meter.flows = append(l.meter.flows, f)
	l.meter.frameBytesMax = max(l.meter.frameBytesMax, p.frameBytes)
	l.publishers = append(l.publishers, p)
	l.fanouts = append(l.fanouts, l.plan.fanout(i))
}

package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
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
	p := newPlan(config)
	tag := rand.Uint32()
	conns, err := openAll(ctx, config.Address(), p, tag)
	defer func() {
		for _, c := range conns {
			c.close()
		}
	}()
	if err != nil {
		return Result{}, err
	}
	broker, unknown := brokerOf(config.PID, conns[0])
	if broker == nil && config.PID != 0 {
		return Result{}, unknown
	}
	return measure(ctx, config, p, tag, conns, broker, unknown)
}

func measure(ctx context.Context, config Config, p plan, tag uint32, conns []conn, broker *process, unknown error) (Result, error) {
	c := newCollector(broker, config.OnSample)
	l, err := newLoad(config, p, tag, conns, c)
	if err != nil {
		return Result{}, err
	}
	defer l.poller.close()
	result := Result{
		Version:   Version(),
		Command:   config.Command,
		StartedAt: time.Now(),
		Machine:   thisMachine(),
		Config:    config,
	}
	if unknown != nil {
		result.BrokerUnknown = unknown.Error()
	}
	if broker != nil {
		l.clocks.brokerPID = broker.pid
	}
	if err := runBoth(ctx, l, c); err != nil {
		return Result{}, err
	}
	result.fill(p, l, c)
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

func (r *Result) fill(p plan, l *load, c *collector) {
	r.Interrupted = l.interrupted
	r.Throughput = newRates(c.begin, c.end)
	r.Latency = newLatency(c.latency)
	r.Deliveries = newAccounts(p, l.meter.flows, l.subscribers)
	r.Deliveries.NotArrived = r.Deliveries.Lost - min(r.Deliveries.Lost, uint64(max(l.meter.missing, 0)))
	r.Deliveries.MessagesUnsent = l.unsent
	r.Deliveries.WindowTimeouts = l.stalls
	r.Samples = c.samples
	if b := c.process; b != nil {
		usage := newUsage(b.pid, b.name, c.end.brokerCPU-c.begin.brokerCPU, r.Throughput)
		usage.ResidentBytes, usage.ResidentBytesMax = c.resident, c.residentMax
		r.Broker = &usage
	}
	r.Generator = newUsage(os.Getpid(), "mqttbench", c.end.processCPU-c.begin.processCPU, r.Throughput)
	if r.Throughput.Seconds > 0 {
		r.Generator.ThreadPercent = 100 * seconds(c.end.loopCPU-c.begin.loopCPU) / r.Throughput.Seconds
	}
	if self, err := newProcess(os.Getpid()); err == nil {
		r.Generator.ResidentBytes = self.residentBytes()
		r.Generator.ResidentBytesMax = r.Generator.ResidentBytes
	}
	r.judge()
}

// brokerOf returns the broker's process, or why it is not known.
func brokerOf(pid int, c conn) (*process, error) {
	if pid != 0 {
		return newProcess(pid)
	}
	return findBroker(c.local, c.remote)
}

// openAll opens the subscribers, then the publishers. On error it returns those that are open.
func openAll(ctx context.Context, address string, p plan, tag uint32) ([]conn, error) {
	type client struct{ id, filter string }
	var clients []client
	for i := range p.topics {
		clients = append(clients, client{id: fmt.Sprintf("bench-%08x-p%d", tag, i)})
	}
	for i, filter := range p.filters {
		clients = append(clients, client{id: fmt.Sprintf("bench-%08x-s%d", tag, i), filter: filter})
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conns := make([]conn, len(clients))
	opened := make([]bool, len(clients))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(connectsInParallel, len(clients)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(clients)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				c, err := openConn(ctx, address, clients[i].id, clients[i].filter)
				if err != nil {
					cancel(err)
					return
				}
				conns[i], opened[i] = c, true
			}
		})
	}
	workers.Wait()
	if ctx.Err() == nil {
		return conns, nil
	}
	open := conns[:0]
	for i, c := range conns {
		if opened[i] {
			open = append(open, c)
		}
	}
	return open, context.Cause(ctx)
}

// newLoad lends the connections, publishers first, to a load.
func newLoad(config Config, p plan, tag uint32, conns []conn, c *collector) (*load, error) {
	const openLoopFramesMax = 1024 // chosen; more messages may be due when the broker was slow
	poller, err := newPoller(len(conns) + 1)
	if err != nil {
		return nil, err
	}
	l := &load{
		config:   config,
		poller:   poller,
		window:   window{size: config.Window, publishers: config.Publishers},
		schedule: schedule{periodNs: 1e9 / max(config.RatePerSecond, 1e-9), publishers: config.Publishers},
		meter:    meter{tag: tag, payloadBytes: config.PayloadBytes, latency: newHistogram()},
		readings: c.readings,
		spare:    c.spare,
	}
	for i, topic := range p.topics {
		f := newFlow(p.classes[i], p.fanout(i))
		frames := openLoopFramesMax
		if !config.Open() {
			frames = l.window.share(i)
		}
		publisher := newPublisher(conns[i].fd, f, i, topic, tag, config.PayloadBytes, frames)
		l.meter.flows = append(l.meter.flows, f)
		l.meter.frameBytesMax = max(l.meter.frameBytesMax, publisher.frameBytes)
		l.publishers = append(l.publishers, publisher)
		l.fanouts = append(l.fanouts, p.fanout(i))
	}
	for i := range p.subscribers {
		s := &subscriber{fd: conns[len(p.topics)+i].fd, class: p.class(i), ordinal: p.ordinal(i)}
		l.subscribers = append(l.subscribers, s)
	}
	l.buffer = make([]byte, max(readBytes, 2*l.meter.frameBytesMax))
	for i, conn := range conns {
		if err := poller.add(conn.fd, i); err != nil {
			poller.close()
			return nil, err
		}
	}
	return l, nil
}

package main_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crash is a running crash test. Fields without a remark are immutable.
type crash struct {
	t           *testing.T
	seed        uint64
	broker      *crashBroker // of the test's goroutine
	lives       crashLives
	ledger      crashLedger
	stall       crashStall
	publishers  []*crashPublisher
	subscribers []*crashSubscriber
	hermit      *crashSubscriber
	lossy       time.Duration // what the broker may forget
	planted     bool          // faults are expected: the test goes on when it has found some
	ending      chan struct{} // closed when clients are to end
	clients     sync.WaitGroup
	took, cycle time.Duration // of the test's goroutine; of all plans, and of one

	mu        sync.Mutex
	abandoned []*crashLink // guarded by mu; connections that were taken over
}

// newCrash returns a test with a broker that may forget what happened in a time before a SIGKILL.
func newCrash(t *testing.T, command crashCommand, lossy time.Duration, seed uint64) *crash {
	t.Logf("to see this again: -args -crashes %d -crash-seed %d", *crashes, seed)
	c := &crash{t: t, seed: seed, lossy: lossy, ending: make(chan struct{})}
	c.lives.begun = time.Now()
	c.ledger.settled = map[int]int{}
	c.broker = newCrashBroker(t, command, &c.lives)
	for i := range crashPublishers {
		c.publishers = append(c.publishers, c.newPublisher(i))
	}
	for i := range crashSubscribers {
		filters := []string{"crash/#"}
		if i%2 == 1 {
			filters = []string{"crash/0/#", "crash/1/+/+", "crash/2/1/often", "crash/2/1/rare", "crash/2/2/+"}
		}
		c.subscribers = append(c.subscribers, c.newSubscriber(fmt.Sprint("crash-sub-", i), byte(2-i/3), false, filters...))
	}
	c.hermit = c.newSubscriber("crash-hermit", 2, true, "crash/+/+/rare")
	return c
}

func (c *crash) newPublisher(i int) *crashPublisher {
	p := &crashPublisher{c: c, name: fmt.Sprint("crash-pub-", i), lowest: i%2 == 1,
		random: rand.New(rand.NewPCG(c.seed, uint64(100+i))), leave: make(chan struct{}, 1), paused: true}
	for qos := byte(1); qos <= 2; qos++ {
		for _, name := range []string{"often", "rare"} {
			topic := fmt.Sprintf("crash/%d/%d/%s", i, qos, name)
			p.streams = append(p.streams, &crashStream{topic: topic, qos: qos, publisher: p, rare: name == "rare"})
		}
	}
	for k := range 2 {
		topic := fmt.Sprintf("keep/%d/%d", i, k)
		p.streams = append(p.streams, &crashStream{topic: topic, qos: 1, publisher: p, retained: true})
	}
	c.ledger.streams = append(c.ledger.streams, p.streams...)
	return p
}

// newSubscriber returns a subscriber with filters for all streams, or those that are rare.
func (c *crash) newSubscriber(name string, qos byte, rareOnly bool, filters ...string) *crashSubscriber {
	i := len(c.ledger.readers)
	r := &crashReader{name: name, sights: map[string]*crashSight{}}
	s := &crashSubscriber{c: c, name: name, filters: filters, qos: qos, reader: r,
		random:   rand.New(rand.NewPCG(c.seed, uint64(200+i))),
		received: map[uint16]crashHeard{}, back: make(chan struct{}, 1)}
	for _, stream := range c.ledger.streams {
		if stream.retained || rareOnly && !stream.rare {
			continue
		}
		r.sights[stream.topic] = &crashSight{reader: r, stream: stream, qos: min(qos, stream.qos),
			reconnects: func() int { return int(s.connects.Load() + stream.publisher.connects.Load()) }}
	}
	c.ledger.readers = append(c.ledger.readers, r)
	return s
}

// window is what the broker may forget before a SIGKILL: what happened in this time.
func (c *crash) window() time.Duration {
	if c.lossy == 0 {
		return 0
	}
	return c.lossy + c.stall.longest()
}

// run follows the plans, then lets everything arrive, and ends the broker.
func (c *crash) run(plans []crashPlan) {
	c.t.Helper()
	c.begin()
	begun := time.Now()
	for i, plan := range plans {
		c.follow(plan)
		require.True(c.t, c.planted || !c.ledger.broken(), "%v: %v", plan, c.faults(c.window()))
		if testing.Verbose() && (i+1)%50 == 0 {
			c.t.Logf("%d lives in %v, the last start took %v", i+1, time.Since(begun), c.broker.loading)
		}
	}
	c.took = time.Since(begun)
	c.cycle = c.took / time.Duration(len(plans))
	c.broker.start("2")
	c.broker.awaitListening()
	c.watchRetained()
	c.hermit.comeBack()
	c.settle()
	c.broker.end(syscall.SIGTERM)
	// What is delivered twice now comes before what is published now.
	c.broker.start("1")
	c.broker.awaitListening()
	c.watchRetained()
	c.settle()
	c.watchRetained()
	c.finish()
	c.broker.end(syscall.SIGTERM)
}

// begin starts the broker and its clients, and ends it when they have subscribed: so far, nothing is forgotten.
func (c *crash) begin() {
	c.t.Helper()
	c.broker.start("2")
	c.broker.awaitListening()
	c.retainMarker()
	c.clients.Go(func() { c.stall.measure(c.ending) })
	c.t.Cleanup(func() {
		if !c.isEnding() {
			c.finish()
		}
	})
	for _, s := range append(c.subscribers, c.hermit) {
		c.clients.Go(s.run)
	}
	for _, s := range append(c.subscribers, c.hermit) {
		c.eventually("subscriptions", func() bool { return s.connected() })
	}
	c.hermit.reader.absent = true
	c.hermit.goAway()
	for _, p := range c.publishers {
		c.clients.Go(p.run)
		c.eventually("publishers", func() bool { return p.connects.Load() > 0 })
	}
	c.clients.Go((&crashChanger{c: c, random: rand.New(rand.NewPCG(c.seed, 300))}).run)
	c.broker.end(syscall.SIGTERM)
	for _, p := range c.publishers {
		p.resume()
	}
}

// follow is one life.
func (c *crash) follow(plan crashPlan) {
	c.t.Helper()
	c.broker.start(plan.loops)
	for i, s := range c.subscribers {
		s.acknowledge(plan.manners[i])
		if plan.away[i] {
			s.goAway()
		} else {
			s.comeBack()
		}
	}
	if plan.loading > 0 {
		time.Sleep(time.Duration(plan.loading * float64(c.broker.loading)))
		c.broker.end(plan.signal)
		return
	}
	c.broker.awaitListening()
	c.watchRetained()
	life := c.lives.current()
	c.eventually("messages to be acknowledged", func() bool {
		return c.ledger.settledIn(life) >= plan.progress || c.ledger.crowded() || c.ledger.broken() && !c.planted
	})
	for i, s := range c.subscribers {
		if plan.leave[i] {
			s.goAway()
		}
		if plan.move[i] {
			s.moveOver()
		}
	}
	for i, p := range c.publishers {
		if plan.move[crashSubscribers+i] {
			select {
			case p.leave <- struct{}{}:
			default:
			}
		}
	}
	time.Sleep(plan.delay)
	c.broker.end(plan.signal)
	c.closeAbandoned()
}

// settle waits until all that was published, and some messages more of each stream, have come.
func (c *crash) settle() {
	c.t.Helper()
	for _, s := range append(c.subscribers, c.hermit) {
		s.acknowledge(promptly)
		s.comeBack()
	}
	for range 3 { // the last message comes, even if a fault of the broker's swallows some before
		for _, p := range c.publishers {
			p.pause()
		}
		for _, p := range c.publishers {
			c.eventually(p.name+"'s messages to be complete", p.idle)
		}
	}
	c.eventually("all messages to come", c.ledger.complete)
}

// finish ends the clients.
func (c *crash) finish() {
	close(c.ending)
	for _, s := range append(c.subscribers, c.hermit) {
		s.goAway()
	}
	c.closeAbandoned()
	c.clients.Wait()
}

func (c *crash) isEnding() bool {
	select {
	case <-c.ending:
		return true
	default:
		return false
	}
}

// eventually waits until something is so, for as long as messages come.
func (c *crash) eventually(what string, so func() bool) {
	c.t.Helper()
	behind, deadline := c.ledger.behind(), time.Now().Add(patience)
	for ; !so(); time.Sleep(time.Millisecond) {
		c.broker.requireAlive()
		if now := c.ledger.behind(); !maps.Equal(behind, now) {
			behind, deadline = now, time.Now().Add(patience)
		}
		if time.Now().After(deadline) {
			require.Fail(c.t, "waited too long", "for %s; behind: %v; faults: %v", what, behind, c.faults(c.window()))
		}
	}
}

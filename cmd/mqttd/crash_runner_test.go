package main_test

import (
	"fmt"
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
	ending      chan struct{} // closed when clients are to end
	clients     sync.WaitGroup
	took, cycle time.Duration // of the test's goroutine; of all plans, and of one

	mu        sync.Mutex
	abandoned []*crashLink // guarded by mu; connections that were taken over
}

// crashLink is a connection to one life of the broker.
type crashLink struct {
	*peer
	life int
}

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
			p.streams = append(p.streams, &crashStream{topic: fmt.Sprintf("crash/%d/%d/%s", i, qos, name), qos: qos, publisher: p, rare: name == "rare"})
		}
	}
	for k := range 2 {
		p.streams = append(p.streams, &crashStream{topic: fmt.Sprintf("keep/%d/%d", i, k), qos: 1, publisher: p, retained: true})
	}
	c.ledger.streams = append(c.ledger.streams, p.streams...)
	return p
}

// newSubscriber returns a subscriber with filters for all streams, or those that are rare.
func (c *crash) newSubscriber(name string, qos byte, rareOnly bool, filters ...string) *crashSubscriber {
	i := len(c.ledger.readers)
	r := &crashReader{name: name, sights: map[string]*crashSight{}}
	s := &crashSubscriber{c: c, name: name, filters: filters, qos: qos, reader: r,
		random: rand.New(rand.NewPCG(c.seed, uint64(200+i))), received: map[uint16]crashHeard{}, back: make(chan struct{}, 1)}
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
		require.False(c.t, c.ledger.broken(), "%v: %v", plan, c.faults(c.window()))
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

// begin starts the broker and its clients, and starts it again when they have subscribed: so far, nothing is forgotten.
func (c *crash) begin() {
	c.t.Helper()
	c.broker.start("2")
	c.broker.awaitListening()
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
		return c.ledger.settledIn(life) >= plan.progress || c.ledger.crowded() || c.ledger.broken()
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

// settle waits until all that was published, and one message more of each stream, has come.
func (c *crash) settle() {
	c.t.Helper()
	for _, s := range append(c.subscribers, c.hermit) {
		s.acknowledge(promptly)
		s.comeBack()
	}
	for _, p := range c.publishers {
		p.pause()
	}
	for _, p := range c.publishers {
		c.eventually(p.name+"'s messages to be complete", p.idle)
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

// eventually waits until something is so.
func (c *crash) eventually(what string, so func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !so(); {
		c.broker.requireAlive()
		if time.Now().After(deadline) {
			require.Fail(c.t, "waited too long", "for %s; behind: %v; faults: %v", what, c.ledger.behind(), c.faults(c.window()))
		}
		time.Sleep(time.Millisecond)
	}
}

// connect returns a connection with its session, or nil when the test is over. A session that is known must be present.
func (c *crash) connect(clientID string, known bool) *crashLink {
	for ; ; time.Sleep(2 * time.Millisecond) {
		if c.isEnding() {
			return nil
		}
		p, life := c.dial()
		if p == nil {
			continue
		}
		got, err := c.enter(p, connectPersistent(clientID), clientID)
		if err != nil {
			p.Close()
			continue
		}
		if code := got[1]; code != 0 {
			c.ledger.fault("%s: CONNACK %#x in life %d", clientID, code, life)
		}
		if present := got[0] == 1; known != present {
			c.ledger.fault("%s: Session Present is %v in life %d", clientID, present, life)
		}
		return &crashLink{p, life}
	}
}

// dial connects to the broker. The life is that of the process that answers: none ended meanwhile.
func (c *crash) dial() (p *peer, life int) {
	life = c.lives.current()
	p, err := dialPeer(&broker{host: "127.0.0.1", port: c.broker.port}, 0)
	if err != nil {
		return nil, 0
	}
	if c.lives.current() != life {
		p.Close()
		return nil, 0
	}
	return p, life
}

// enter sends a CONNECT and returns what the CONNACK says.
func (c *crash) enter(p *peer, connect []byte, clientID string) (connack []byte, err error) {
	if err := p.send(connect); err != nil {
		return nil, err
	}
	_ = p.SetReadDeadline(time.Now().Add(patience)) // fails when closed, as does reading
	got, err := p.next()
	if err != nil {
		if isTimeout(err) {
			c.ledger.fault("%s: no CONNACK within %v", clientID, patience)
		}
		return nil, err
	}
	if got.first != byteConnack || len(got.body) != 2 {
		c.ledger.fault("%s: %#x with %d bytes instead of CONNACK", clientID, got.first, len(got.body))
		return nil, errUnexpected(got.first)
	}
	_ = p.SetReadDeadline(time.Time{})
	return got.body, nil
}

// abandon keeps a connection open that is no longer used, until the life has ended.
func (c *crash) abandon(link *crashLink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandoned = append(c.abandoned, link)
}

func (c *crash) closeAbandoned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, link := range c.abandoned {
		link.Close()
	}
	c.abandoned = nil
}

func errUnexpected(first byte) error { return fmt.Errorf("an unexpected packet: %#x", first) }

func errMessage(m crashPublish) error {
	return fmt.Errorf("not a message that was published: %d bytes on %q at QoS %d, retained: %v, packet %d",
		len(m.payload), m.topic, m.qos, m.retained, m.packetID)
}

package main_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The witness: two publishers at a steady pace and four subscribers of all they publish. (chosen: a
// load that no broker notices)
const (
	witnessPublishers = 2
	witnessTopics     = 4 // of each publisher
	witnessReaders    = 4
	witnessPerSecond  = 500 // messages, all publishers together
	witnessPayload    = 64  // bytes: sequence number per topic, send time, filler
)

// witness is a set of healthy clients, which accounts for every message.
type witness struct {
	begun      time.Time
	stopping   chan struct{}
	publishers []*witnessPublisher
	readers    []*witnessReader
}

// verdict is what the witness says at the end.
type verdict struct {
	sent, delivered  int // messages; each goes to every reader
	lost, disordered int
	p50, p99, max    time.Duration // of the latency
	late             time.Duration // how late the publishers were by their own fault, at worst
	faults           []string      // connections that ended, and such
}

func startWitness(t *testing.T, b *broker) *witness {
	t.Helper()
	w := &witness{begun: time.Now(), stopping: make(chan struct{})}
	for i := range witnessReaders {
		filters := []string{"witness/#"}
		if i%2 == 1 {
			filters = witnessTopicNames()
		}
		r := &witnessReader{peer: newPeer(t, b, 0, filters...), begun: w.begun, done: make(chan struct{}),
			expected: make(map[string]uint64)}
		for _, topic := range witnessTopicNames() {
			r.expected[topic] = 0
		}
		w.readers = append(w.readers, r)
		go r.run()
	}
	for i := range witnessPublishers {
		p := &witnessPublisher{peer: newPeer(t, b, 0), topics: witnessTopicNames()[i*witnessTopics:][:witnessTopics],
			done: make(chan struct{})}
		w.publishers = append(w.publishers, p)
		go p.run(w.begun, w.stopping)
	}
	return w
}

// witnessTopicNames lists the topics of the first publisher, then of the next.
func witnessTopicNames() (names []string) {
	for i := range witnessPublishers * witnessTopics {
		names = append(names, fmt.Sprintf("witness/%d/%d", i/witnessTopics, i%witnessTopics))
	}
	return names
}

// settle waits until every reader has had some messages, so that what the first ones cost is behind.
func (w *witness) settle(t *testing.T) {
	t.Helper()
	const some = 100
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(w.readers, func(r *witnessReader) bool { return r.received.Load() < some })
	}, faultPatience, 10*time.Millisecond, "the witness is served")
}

// stop ends the publishing, waits for what is under way, and judges. It is called once.
func (w *witness) stop(t *testing.T) (v verdict) {
	t.Helper()
	close(w.stopping)
	for _, p := range w.publishers {
		<-p.done
		v.sent += p.sent
		v.late = max(v.late, p.late)
		if p.err != nil {
			v.faults = append(v.faults, "publisher: "+p.err.Error())
		}
	}
	latencies := make([]time.Duration, 0, v.sent*witnessReaders)
	for i, r := range w.readers {
		r.awaitReceived(v.sent)
		r.ended.Store(true)
		r.peer.Close()
		<-r.done
		v.delivered += int(r.received.Load())
		v.lost += v.sent - int(r.received.Load()) + r.disordered
		v.disordered += r.disordered
		latencies = append(latencies, r.latencies...)
		if r.err != nil {
			v.faults = append(v.faults, fmt.Sprintf("reader %d: %v", i, r.err))
		}
	}
	for _, p := range w.publishers {
		p.peer.Close()
	}
	if len(latencies) > 0 {
		slices.Sort(latencies)
		v.p50, v.p99, v.max = latencies[len(latencies)/2], latencies[len(latencies)*99/100], latencies[len(latencies)-1]
	}
	return v
}

// witnessPublisher publishes to its topics in turn. Its fields may be read when done is closed.
type witnessPublisher struct {
	peer   *peer
	topics []string
	done   chan struct{}
	sent   int
	late   time.Duration
	err    error
}

// run publishes until stopping is closed. A message carries the time at which it was due when the broker held up
// the one before, or else that at which this goroutine came to send it: its own lateness is no fault
// of the broker's.
func (p *witnessPublisher) run(begun time.Time, stopping <-chan struct{}) {
	defer close(p.done)
	const pause = time.Second * witnessPublishers / witnessPerSecond
	payload := make([]byte, witnessPayload)
	for due := time.Now(); ; due = due.Add(pause) {
		stamp := due
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
			stamp = time.Now()
			p.late = max(p.late, stamp.Sub(due))
		}
		select {
		case <-stopping:
			return
		default:
		}
		binary.LittleEndian.PutUint64(payload, uint64(p.sent/len(p.topics)))
		binary.LittleEndian.PutUint64(payload[8:], uint64(stamp.Sub(begun)))
		if p.err = p.peer.send(publishPacket(p.topics[p.sent%len(p.topics)], payload)); p.err != nil {
			return
		}
		p.sent++
	}
}

// witnessReader checks what it gets. Its fields may be read when done is closed, received at any time.
type witnessReader struct {
	peer       *peer
	begun      time.Time
	expected   map[string]uint64 // by topic: the next sequence number
	received   atomic.Int64
	disordered int // twice, or out of order
	latencies  []time.Duration
	ended      atomic.Bool // by the test
	done       chan struct{}
	err        error
}

func (r *witnessReader) run() {
	defer close(r.done)
	for {
		got, err := r.peer.next()
		if err == nil {
			err = r.note(got)
		}
		if err != nil {
			if !r.ended.Load() {
				r.err = err
			}
			return
		}
	}
}

func (r *witnessReader) note(got packet) error {
	topic, payload, err := got.message()
	if err != nil {
		return err
	}
	expected, known := r.expected[string(topic)]
	if !known || len(payload) != witnessPayload {
		return fmt.Errorf("got %d bytes on %q", len(payload), topic)
	}
	r.latencies = append(r.latencies, time.Since(r.begun)-time.Duration(binary.LittleEndian.Uint64(payload[8:])))
	sequence := binary.LittleEndian.Uint64(payload)
	if sequence < expected {
		r.disordered++
	} else {
		r.expected[string(topic)] = sequence + 1
	}
	r.received.Add(1)
	return nil
}

// awaitReceived waits until so many messages have come, the connection has ended, or patience has.
func (r *witnessReader) awaitReceived(n int) {
	for deadline := time.Now().Add(faultPatience); int(r.received.Load()) < n && time.Now().Before(deadline); {
		select {
		case <-r.done:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

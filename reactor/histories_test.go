package reactor

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

var (
	histories   = flag.Int("histories", 2000, "histories that TestHistories plays")
	historySeed = flag.Uint64("history-seed", 311, "seed of the first history; the others follow")
	historySync = flag.String("history-sync", "", "keep sessions on disk: always or interval; empty: do not")
)

// historyLoops says how many loops the broker of a history has: the seed decides, so that a seed alone
// is enough to play a history again.
var historyLoops = [...]int{1, 2, 4}

// TestHistories has two or three clients do random things, legal and illegal, and compares step by
// step what each is sent with a model of the broker. It fails with the shortest history it can find.
// `go test ./reactor -run TestHistories -v -args -histories 1 -history-seed N` plays history N alone.
func TestHistories(t *testing.T) {
	for remainder, loops := range historyLoops {
		t.Run(fmt.Sprintf("%d loops", loops), func(t *testing.T) {
			s := start(t, func(c *Config) {
				c.Loops, c.ConnectTimeout = loops, TimeoutMax
				c.MaxInflight, c.QueuedMessagesMax = modelInflightMax, modelQueueMax
				if *historySync != "" {
					c.DataDir, c.Sync = t.TempDir(), *historySync
				}
			})
			last := codec.Publish{Topic: []byte(lastReplayTopic), Retain: true}
			require.True(t, s.retained.Store(nil, last.Topic, codec.AppendPublish(nil, &last)))
			begun := time.Now()
			p := players{server: s, remainder: uint64(remainder)}
			p.play()
			t.Logf("%d histories in %v", p.played.Load(), time.Since(begun).Round(time.Millisecond))
			if p.failure != nil {
				t.Fatal(p.failure.report(s, loops))
			}
			s.retained.Clear(nil, last.Topic)
			requireForgotten(t, s, &p.totals)
		})
	}
}

// requireForgotten says that the broker has counted what the model has, and that nothing is left.
func requireForgotten(t *testing.T, s *Server, want *historyTotals) {
	eventually(t, "the clients are gone", func() bool { return s.Stats().Clients == 0 && s.Stats().Connections == 0 })
	st := s.Stats()
	assert.Zero(t, st.Panics)
	assert.Zero(t, st.Subscriptions, "subscriptions")
	assert.Zero(t, st.Retained, "retained messages")
	assert.Zero(t, st.RetainedBytes, "bytes of retained messages")
	assert.Zero(t, s.clients.Len(), "Client Identifiers")
	assert.Zero(t, st.Sessions, "sessions")
	assert.Zero(t, st.SessionsEvicted+st.SessionsExpired, "sessions ended by the broker")
	assert.Zero(t, st.QueuedMessages+st.StoredMessages+st.QueueBytes, "messages in outboxes")
	all := st.Total()
	assert.Equal(t, all.Matched, all.Delivered+all.Dropped.Total()+uint64(st.Waiting()), "the ledger")
	for _, reason := range []Reason{ReasonCutOff, ReasonAbsent, ReasonQueueFull, ReasonExpired} {
		all.Dropped[reason] = 0
	}
	assert.Zero(t, all.Dropped.Total()+st.RepliesOverflow+st.RetainedRefused, "messages dropped")
	assert.Zero(t, st.ConnectTimeouts+st.KeepAliveTimeouts+st.RefusedFull+st.RefusedSockets, "connections dropped")
	require.Equal(t, *want, historyTotals{st.Connects, st.ConnectsRefused, st.Takeovers, st.ProtocolErrors,
		st.FiltersRefused, st.PublishReceived, [2]uint64{st.Above[0].Delivered, st.Above[1].Delivered},
		[2]uint64{st.Above[0].Dropped[ReasonQueueFull], st.Above[1].Dropped[ReasonQueueFull]}}, "counters")
}

// players play the histories of one broker, several at a time, until one fails.
type players struct {
	server    *Server
	remainder uint64 // of the seeds modulo the number of brokers

	next   atomic.Uint64 // counts all seeds
	played atomic.Uint64
	failed atomic.Bool

	mu      sync.Mutex
	totals  historyTotals   // guarded by mu
	failure *historyFailure // guarded by mu; the first
}

// historiesAtOnce keeps the loops busy while a history waits for its answers. (measured)
const historiesAtOnce = 4

func (p *players) play() {
	var players sync.WaitGroup
	for range historiesAtOnce {
		players.Go(p.playOn)
	}
	players.Wait()
}

func (p *players) playOn() {
	var sum historyTotals
	for !p.failed.Load() {
		n := p.next.Add(1) - 1
		if n >= uint64(*histories) {
			break
		}
		seed := *historySeed + n
		if seed%uint64(len(historyLoops)) != p.remainder {
			continue
		}
		steps := generateHistory(seed)
		totals, step, err := runHistory(p.server, steps, patience)
		sum.add(&totals)
		p.played.Add(1)
		if err != nil {
			p.fail(&historyFailure{seed, steps, step, err})
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.totals.add(&sum)
}

func (p *players) fail(f *historyFailure) {
	p.failed.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure == nil {
		p.failure = f
	}
}

func (t *historyTotals) add(o *historyTotals) {
	t.Connects += o.Connects
	t.ConnectsRefused += o.ConnectsRefused
	t.Takeovers += o.Takeovers
	t.ProtocolErrors += o.ProtocolErrors
	t.FiltersRefused += o.FiltersRefused
	for qos := range t.PublishReceived {
		t.PublishReceived[qos] += o.PublishReceived[qos]
	}
	for qos := range t.Delivered {
		t.Delivered[qos] += o.Delivered[qos]
		t.QueueFull[qos] += o.QueueFull[qos]
	}
}

// historyFailure is a history that went otherwise than the model says.
type historyFailure struct {
	seed  uint64
	steps []historyStep
	step  int // that failed, counted from 0
	err   error
}

// report tells the failure, and then the shortest history that still fails.
func (f *historyFailure) report(s *Server, loops int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "history %d (%d loops) fails at step %d: %v\n%s", f.seed, loops, f.step, f.err, tell(f.steps))
	short := f.shrink(s)
	if short.err == nil {
		fmt.Fprintf(&b, "it does not fail again when it is played alone\n")
		return b.String()
	}
	fmt.Fprintf(&b, "shrunk, it fails at step %d: %v\n%s", short.step, short.err, tell(short.steps))
	fmt.Fprintf(&b, "again: go test ./reactor -run TestHistories -v -args -histories 1 -history-seed %d\n", f.seed)
	return b.String()
}

func tell(steps []historyStep) string {
	var b strings.Builder
	for i := range steps {
		fmt.Fprintf(&b, "%4d  %s\n", i, &steps[i])
	}
	return b.String()
}

const (
	shrinkFor      = 30 * time.Second
	shrinkPatience = time.Second // or a history that fails by silence takes for ever
	shrinkTries    = 5           // a failure may depend on which loops the clients are on, and on what is read at once
)

// shrink leaves out steps, packets and cuts as long as what remains fails, no matter how.
func (f *historyFailure) shrink(s *Server) historyFailure {
	short := historyFailure{seed: f.seed}
	deadline := time.Now().Add(shrinkFor)
	fails := func(steps []historyStep) bool {
		for range shrinkTries {
			if _, step, err := runHistory(s, steps, shrinkPatience); err != nil {
				short.steps, short.step, short.err = steps, step, err
				return true
			}
		}
		return false
	}
	if !fails(f.steps) {
		return short
	}
	for shorter := true; shorter; {
		shorter = false
		for _, simpler := range simplifications(short.steps) {
			if time.Now().After(deadline) {
				return short
			}
			if fails(simpler) {
				shorter = true
				break
			}
		}
	}
	return short
}

// simplifications returns what is left of a history without one thing, the largest omissions first.
func simplifications(steps []historyStep) (all [][]historyStep) {
	for size := len(steps) / 2; size > 0; size /= 2 {
		for from := 0; from+size <= len(steps); from += size {
			all = append(all, without(steps, from, from+size))
		}
	}
	changed := func(i int, change func(s *historyStep)) {
		other := append([]historyStep(nil), steps...)
		change(&other[i])
		all = append(all, other)
	}
	for i := range steps {
		if len(steps[i].packets) > 1 {
			for j := range steps[i].packets {
				changed(i, func(s *historyStep) { s.packets = without(s.packets, j, j+1) })
			}
		}
		for j := range steps[i].packets {
			p := &steps[i].packets[j]
			for k := range p.filters {
				if len(p.filters) > 1 {
					changed(i, func(s *historyStep) {
						s.packets = append([]historyPacket(nil), s.packets...)
						s.packets[j].filters = without(p.filters, k, k+1)
					})
				}
			}
		}
		if len(steps[i].cuts) > 0 {
			changed(i, func(s *historyStep) { s.cuts = nil })
		}
		if steps[i].alone {
			changed(i, func(s *historyStep) { s.alone = false })
		}
	}
	return all
}

func without[T any](from []T, start, end int) []T {
	return append(append([]T(nil), from[:start]...), from[end:]...)
}

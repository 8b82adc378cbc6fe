package reactor

import (
	"sync"
	"sync/atomic"
	"time"

	"mqttd/router"
)

// roundLog collects the PUBLISH packets of one epoll round, each as the bytes that go out.
//
//	bytes  | packet | packet | packet | packet | packet | ...
//	runs   |------ route A ------|--- B ---|-- A --| ...
//
// Its loop appends until the flush; then it is immutable and its readers are the loop itself and
// the loops it was handed to. The last one to release it returns it to its loop's pool.
type roundLog struct {
	bytes []byte
	runs  []run
	loops []bool    // by loop index: has a reader in a run
	began time.Time // of the first packet for fanoutReadersMin readers or more; zero: there is none

	refs   atomic.Int32
	pool   *logPool // immutable; nil when merged
	merged bool     // immutable; made of other loops' logs in a mailbox, loops is not kept
}

// run is a span of packets that share a route. from < to <= len(bytes).
type run struct {
	route    *router.Route
	from, to int
	messages uint64
}

// flushBytes is the size at which a log is flushed within the round. (measured with the
// prototype: 192 to 256 KiB was best)
const flushBytes = 192 << 10

// begin notes that a packet for route goes in next; the caller then appends it to bytes and
// calls end. Splitting it like this lets the caller encode straight into the log.
func (g *roundLog) begin(route *router.Route) {
	if !g.open(route) {
		return
	}
	for i := range route.Groups() {
		g.loops[route.Group(i)] = true
	}
	if route.Len() >= fanoutReadersMin && g.began.IsZero() {
		g.began = time.Now()
	}
}

// open makes the last run one of route, and reports whether it is new.
func (g *roundLog) open(route *router.Route) (added bool) {
	if last := len(g.runs) - 1; last >= 0 && g.runs[last].route == route {
		return false
	}
	g.runs = append(g.runs, run{route: route, from: len(g.bytes)})
	return true
}

func (g *roundLog) end() { g.extend(1) }

// extend makes the last run reach to the end of bytes, with so many messages more.
func (g *roundLog) extend(messages uint64) {
	last := &g.runs[len(g.runs)-1]
	last.to = len(g.bytes)
	last.messages += messages
}

// merge appends those runs of another log that have readers on a loop.
func (g *roundLog) merge(other *roundLog, loop int) {
	if g.began.IsZero() || !other.began.IsZero() && other.began.Before(g.began) {
		g.began = other.began
	}
	for _, r := range other.runs {
		if len(r.route.Targets(loop)) == 0 {
			continue
		}
		g.open(r.route)
		g.bytes = append(g.bytes, other.bytes[r.from:r.to]...)
		g.extend(r.messages)
	}
}

func (g *roundLog) empty() bool { return len(g.runs) == 0 }

func (g *roundLog) release() {
	if g.refs.Add(-1) == 0 {
		g.pool.put(g)
	}
}

func (g *roundLog) reset() {
	g.bytes = g.bytes[:0]
	clear(g.runs) // keeps no route alive
	g.runs = g.runs[:0]
	clear(g.loops)
	g.began = time.Time{}
}

// logPool keeps a few empty logs of one loop. Any goroutine may put.
type logPool struct {
	mu    sync.Mutex
	free  []*roundLog // guarded by mu
	loops int         // immutable
}

const (
	logPoolMax  = 4       // logs kept (chosen: two in use and two on their way)
	logBytesCap = 1 << 20 // a log that grew past it, by one huge packet, is not kept
	logBytesNew = flushBytes + 64<<10
)

// get returns an empty log with one reference, the caller's.
func (p *logPool) get() *roundLog {
	p.mu.Lock()
	defer p.mu.Unlock()
	var g *roundLog
	if last := len(p.free) - 1; last >= 0 {
		g = p.free[last]
		p.free = p.free[:last]
	} else {
		g = &roundLog{bytes: make([]byte, 0, logBytesNew), loops: make([]bool, p.loops), pool: p}
	}
	g.refs.Store(1)
	return g
}

func (p *logPool) put(g *roundLog) {
	if cap(g.bytes) > logBytesCap {
		return
	}
	g.reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) < logPoolMax {
		p.free = append(p.free, g)
	}
}

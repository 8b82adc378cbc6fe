package reactor

import (
	"context"
	"errors"
	"net"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"

	"mqttd/router"
	"mqttd/session"
)

// loop is one event loop's share of the broker. All of it is loop-confined, except the mailbox,
// the log pool, the counters, the watch and the bell, which say themselves who may touch them.
type loop struct {
	server  *Server        // immutable
	config  *Config        // immutable
	index   int            // immutable; its group in routes
	engine  gnet.EventLoop // set by its bell, before there are clients; immutable then
	sockets atomic.Int64   // open ones, counted from accept to close

	mailbox mailbox
	bell    atomic.Pointer[syscall.RawConn] // one byte into it makes the loop drain its mailbox
	bellEnd *net.UnixConn                   // set before bell, immutable
	pool    logPool
	counters
	tickWaits atomic.Bool // a letterTick is in the mailbox
	watch     watch       // what others may know of the loop without asking it

	routes *router.Cache
	wheel  wheel

	log       *roundLog // what this round brought for subscribers
	flushTask flushTask // the Runnable, allocated once
	scheduled bool      // flushTask waits to run

	serving        *conn         // whose input is being handled; nil: nobody's
	published      [3]uint64     // PUBLISH packets in it, by QoS, not yet counted
	publishedBytes uint64        // their payloads
	replies        []byte        // packets for serving, written when its input is handled
	unsaved        uint64        // batch of the store that the replies to serving wait for; 0: none
	owed           []owed        // replies that wait for the flush, in order
	debt           []byte        // their bytes
	late           []lateReplies // replies that wait for the disk, in order
	lateBytes      int           // that these take
	lateDue        bool          // some of them need not wait any more
	codes          []byte        // scratch of onSubscribe

	// Scratch of deliver.
	spans   []span
	touched []*conn
	gather  []byte
	joined  roundLog // what was handed over and the loop's own, see deliverAll
	shares  shares

	// Readers that have to wait.
	items      items
	turn       turn
	turnBegins time.Time // zero: with the first look at the clock; tests have it later, for turns that last
	rung       bool      // another turn comes
	postponed  []*conn   // first come, first served
	lateBegan  time.Time // of a log that has some of them among its readers, see fannedOut; zero: none
	lateFirst  time.Time
	congested  []*conn // some of them not any more
	looking    bool    // a letterLook is on its way
	lookPause  time.Duration
	relieveDue bool // the buffers of all clients are full
	tally      tally

	congestedCount uint64       // of congested, blocked now
	largestBacklog atomic.Int64 // of a congested connection, about a second old; others may load it

	behind    []*loop  // scratch of flush: loops that had no room for its log
	gaveUp    []bool   // by loop index: it took nothing for awaitMax
	deferred  []letter // letters taken out of the mailbox, not opened yet
	replaying []*conn  // with retained messages still to send

	replayDue bool // a turn of replaying comes with the next settle

	toWake  []session.Handle // whose outboxes have got a message
	sending []*conn          // whose outboxes have something to be sent
	unsent  []*conn          // whose outboxes wait for the store
	parked  []*conn          // whose CONNACK waits for it, in order

	expired   []*conn // silent for too long, to be closed
	reaped    []*conn // closed, to be buried
	buried    []*conn // buried, to be released after the flush
	willsDone int     // of buried, have published their Will
	waiting   []*conn // those who waited for a connection that is released now

	quiesced bool // shutting down: input is thrown away
}

func newLoop(s *Server, index int) *loop {
	l := &loop{
		server: s,
		config: &s.config,
		index:  index,
		pool:   logPool{loops: s.config.Loops},
		routes: s.router.NewCache(),
		gaveUp: make([]bool, s.config.Loops),
		watch:  newWatch(),
	}
	l.mailbox.loop = index
	l.joined.merged = true
	l.log = l.pool.get()
	l.flushTask.loop = l
	return l
}

// flushTask is what gnet runs to flush a loop.
type flushTask struct{ loop *loop }

// Run settles the loop. It never schedules itself again: gnet would run the task before any
// input, for ever.
func (t *flushTask) Run(context.Context) error {
	if len(t.loop.server.loops) > 1 {
		runtime.Gosched() // loops that are ready hand over first, and this one writes once to each reader
	}
	t.loop.mailbox.attended.Store(false)
	t.loop.drain()
	t.loop.scheduled = false
	return nil
}

// schedule has the loop settle after the input that is waiting already. It is called in the
// loop's callbacks, never in the task itself, where scheduled is set.
func (l *loop) schedule() {
	if l.scheduled {
		return
	}
	l.scheduled = true
	l.mailbox.attended.Store(true)
	if err := l.engine.Execute(context.Background(), &l.flushTask); err != nil {
		l.scheduled = false // the engine is shutting down
		l.mailbox.attended.Store(false)
	}
}

// settle buries closed connections, which may publish Wills, flushes, and only then gives their
// Client Identifiers and slots free, until nothing is left to do or the turn is over.
func (l *loop) settle() {
	defer l.account()
	for l.pending() {
		l.openDeferred()
		l.closeExpired()
		l.reap()
		l.flush()
		l.releaseBuried()
		l.announceReleased()
		if len(l.owed) == 0 { // replies first: a CONNACK may be among them
			if l.replayDue && l.log.empty() {
				l.replayTurn()
			}
			l.sendTurn()
		}
		if l.relieveDue {
			l.relieve()
		}
		if l.turn.over {
			l.again()
			return
		}
	}
}

// pending reports whether settle has something to do.
func (l *loop) pending() bool {
	return !l.log.empty() || len(l.deferred) > 0 || len(l.owed) > 0 || l.lateDue || l.replayDue || l.relieveDue ||
		len(l.sending) > 0 || len(l.expired) > 0 || len(l.reaped) > 0 || len(l.buried) > 0 || len(l.waiting) > 0
}

// receive handles what was read from c.
func (l *loop) receive(c *conn, chunk []byte) {
	defer l.rescue(c)
	l.watch.busy.begin()
	l.bytesReceived.add(uint64(len(chunk)))
	switch {
	case c.state == session.Connected:
		c.seenTick = l.wheel.now
	case c.state == session.AwaitConnect && c.decoder.Held() == 0:
		if err := checkFirst(chunk); err != nil {
			l.server.lines.stranger(l.server, c, err)
			l.end(c, err)
			return
		}
	}
	c.decoder.Feed(chunk)
	l.serve(c)
	if l.replayDue && !l.turn.over {
		l.flush()
		l.replayTurn()
	}
	l.account()
	if l.pending() {
		l.schedule()
	} else {
		l.watch.busy.end()
	}
}

// opened is told by gnet that c, of which so far only its loop is set, has a socket.
func (l *loop) opened(c *conn, gc gnet.Conn) gnet.Action {
	defer l.rescue(nil)
	c.opened = true
	if l.server.stopping.Load() {
		gc.SetContext(nil)
		l.sockets.Add(-1)
		l.refusedSockets.add(1)
		return gnet.Close
	}
	l.accepted.add(1)
	c.gc = gc
	c.serves.Store(l)
	c.seenTick = l.wheel.now
	c.patienceTicks = connectPatience(l.config.ConnectTimeout)
	l.wheel.file(c)
	return gnet.None
}

// serve handles the packets that c's decoder has and writes the replies.
func (l *loop) serve(c *conn) {
	l.serving, l.unsaved = c, 0 // what was noted before, as with a Will, is not c's to wait for
	defer l.served(c)           // after a panic too
	defer l.rescue(c)
	if c.state == session.Parked && !c.awaiting {
		l.accept(c)
	}
	for c.state == session.AwaitConnect || c.state == session.Connected {
		frame, ok, err := c.decoder.Next(l.config.packetBytesMax(c.state))
		if err == nil && ok {
			err = l.dispatch(c, &frame)
		}
		if err != nil {
			l.end(c, l.config.explained(err))
			return
		}
		if !ok {
			return
		}
	}
	if c.state == session.Parked {
		if err := c.decoder.Hold(l.config.ConnectBytesMax); err != nil {
			l.protocolErrors.add(1)
			l.end(c, errParkedInput)
		}
	}
}

// served writes the replies to c, or keeps them for the flush, and counts what c published.
func (l *loop) served(c *conn) {
	if l.acknowledges(c) {
		l.oweReplies()
	} else {
		l.writeReplies()
	}
	l.serving, l.unsaved = nil, 0
	for qos, n := range l.published {
		if n > 0 {
			l.publishReceived[qos].add(n)
			l.published[qos] = 0
		}
	}
	if l.publishedBytes > 0 {
		l.publishBytesReceived.add(l.publishedBytes)
		l.publishedBytes = 0
	}
}

// end closes c because of err, after the replies that its packets have earned.
func (l *loop) end(c *conn, err error) {
	if isProtocolError(err) {
		l.protocolErrors.add(1)
	}
	if l.acknowledges(c) {
		l.flush()
	}
	l.writeReplies()
	l.close(c, err)
}

// close closes c now. What is left to do about it is done by the next settle.
func (l *loop) close(c *conn, reason error) {
	if !c.live() {
		return
	}
	c.reason = reason
	_ = l.engine.Close(c.gc) // calls closed; its error is about the descriptor, which is gone
}

// closed is told by gnet that c has no socket any more, at times from within a write. It only
// marks c; whatever needs other connections is left to reap.
func (l *loop) closed(c *conn, err error) {
	if c.reason == nil {
		c.reason = lostReason(err)
	}
	c.gc = nil
	c.serves.Store(nil)
	c.state = session.Closed
	l.endBacklog(c)
	c.decoder.Release()
	l.wheel.remove(c)
	l.list(&l.reaped, c, inReaped)
	l.sockets.Add(-1)
}

// rescue turns a panic into the loss of one connection, c, or of none when c is nil. The broker
// goes on. It must be deferred.
func (l *loop) rescue(c *conn) {
	if r := recover(); r != nil {
		l.panicked(c, r)
	}
}

func (l *loop) panicked(c *conn, r any) {
	l.panics.add(1)
	event := l.server.log.Error().Interface("panic", r).Bytes("stack", debug.Stack()).Int("loop", l.index)
	if c != nil {
		event = event.Str("client_id", cut(c.clientID()))
		if c == l.serving {
			l.replies = l.replies[:0]
		}
		l.close(c, errInternal)
	}
	event.Msg("recovered from a bug: please report it with this line")
}

var (
	errInternal    = errors.New("internal error")
	errParkedInput = errors.New("too much input before CONNACK; see -max-connect-size")
)

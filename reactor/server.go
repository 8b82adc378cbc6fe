package reactor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/rs/zerolog"

	"mqttd/router"
	"mqttd/session"
	"mqttd/session/store"
)

// Server is an MQTT broker. Make one with New, Run it once, and Shutdown it from another
// goroutine. It is gnet's event handler: the On… methods are gnet's to call.
type Server struct {
	gnet.BuiltinEventEngine

	config  Config // immutable: what New was given
	current current
	limits  Limits // immutable
	log     zerolog.Logger
	lines   lines

	table    *session.Table[conn]
	clients  *session.Clients[conn]
	absent   *session.Absent // immutable
	queues   session.Queues
	store    *store.Store  // immutable; nil: everything is in memory
	numbers  atomic.Uint64 // of the latest session in the store
	restored *restoration  // what of the store is to be put right once the port is taken; nil: nothing
	router   *router.Router
	retained *router.Retained
	sys      *sysTree

	address   string        // immutable once listening
	acceptor  *acceptor     // immutable
	listening chan struct{} // closed when clients can connect
	ending    chan struct{} // closed when the loops are to end, or one has ended by itself
	end       func()        // closes ending, at the first call
	stopped   chan struct{} // closed when the loops have ended

	loops       []*loop      // immutable
	buffered    atomic.Int64 // bytes that the backlogs of all loops take; what they share counts once
	bufferedMax atomic.Int64 // how many they may
	relieving   atomic.Bool  // a connection is going to be closed because they are full
	queuedMax   atomic.Int64 // bytes that QoS 1 and 2 messages may take that wait for all clients together
	expiry      atomic.Int64 // how long the Session of a client that is away is kept; a time.Duration
	stopping    atomic.Bool

	sessionsEvicted, sessionsExpired atomic.Uint64
	endedBatch                       atomic.Uint64             // of the store, with the latest end of a session with a QoS 2 exchange
	ended                            [2][Reasons]atomic.Uint64 // messages above QoS 0 that were lost with their session, by QoS - 1
	found                            [2]uint64                 // immutable; messages above QoS 0 that the store had, by QoS - 1
}

// ErrInUse is the error of Run when the port is taken.
var ErrInUse = errors.New("address already in use")

// New returns a server that is ready to Run, which must follow, or Close: it has the data directory open. The error
// lists every fault of the configuration, says that the process's descriptor limit is too small, or what is wrong with
// the data directory: then it is one of the store's.
func New(config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	descriptors, err := raiseDescriptorLimit()
	if err != nil {
		return nil, err
	}
	limits, err := fitLimits(descriptors, config.Loops, config.MaxClients)
	if err != nil {
		return nil, err
	}
	if limits.Sessions = config.SessionsMax; limits.Sessions == 0 {
		limits.Sessions = max(1, config.MaxClients/2) // with few descriptors, too: sessions that are there need none
	}
	s := &Server{
		config:    config,
		limits:    limits,
		log:       config.Log,
		table:     session.NewTable[conn](limits.MaxClients, limits.Connections-limits.MaxClients, limits.Sessions),
		clients:   session.NewClients[conn](),
		absent:    session.NewAbsent(),
		router:    router.NewWithLimits(config.Topics),
		retained:  router.NewRetained(config.RetainedMessagesMax, config.RetainedBytesMax),
		listening: make(chan struct{}),
		ending:    make(chan struct{}),
		stopped:   make(chan struct{}),
	}
	s.retained.Dropped = s.queues.Dropped
	s.current.config = &s.config
	s.apply(&s.config)
	s.end = sync.OnceFunc(func() { close(s.ending) })
	for i := range config.Loops {
		s.loops = append(s.loops, newLoop(s, i))
	}
	s.sys = newSysTree(s)
	s.acceptor = newAcceptor(s)
	if err := s.openStore(); err != nil {
		return nil, err
	}
	return s, nil
}

// Limits returns the limits in force.
func (s *Server) Limits() Limits {
	limits := s.limits
	limits.TotalBufferBytes, limits.TotalQueueBytes = int(s.bufferedMax.Load()), int(s.queuedMax.Load())
	return limits
}

// Listening is closed when the server accepts clients.
func (s *Server) Listening() <-chan struct{} { return s.listening }

// Addr returns the address the server listens on, once Listening is closed.
func (s *Server) Addr() string { return s.address }

// Close gives up a server that will not Run.
func (s *Server) Close() error { return s.store.Close() }

// Run serves clients until Shutdown and returns nil then. Any other return is an error: ErrInUse
// when the port is taken, ErrNotSaved when the data directory does not have all that it should, or what stopped the
// event loops.
func (s *Server) Run() error {
	return errors.Join(s.run(), s.saveRest())
}

func (s *Server) run() error {
	listener, err := listen(s.config.Host, s.config.Port)
	if err != nil {
		return err
	}
	s.restored.finish()
	s.address = addressOf(listener, s.config.Host)
	s.acceptor.listener = listener
	defer s.acceptor.close()
	// A client of gnet is its loops without a listener. A server that cannot accept for want of a
	// descriptor would end them.
	loops, err := gnet.NewClient(s,
		gnet.WithNumEventLoop(s.config.Loops),
		gnet.WithTicker(true),
		gnet.WithLogger(gnetLog{s.log}),
	)
	if err == nil {
		err = loops.Start()
	}
	if err != nil {
		return fmt.Errorf("start the event loops: %w", err)
	}
	if err = s.attach(loops); err == nil {
		go s.acceptor.run()
		close(s.listening)
		go s.sys.run()
		<-s.ending
	}
	s.acceptor.close()
	failed := loops.Stop()
	close(s.stopped)
	for _, l := range s.loops {
		l.unhang()
	}
	switch {
	case err != nil:
		return fmt.Errorf("attach to the event loops: %w", err)
	case s.stopping.Load():
		return nil
	case failed != nil:
		return fmt.Errorf("an event loop stopped by itself: %w", failed)
	}
	return errors.New("an event loop stopped by itself: see the log")
}

// OnTick is called once the loops run, and from then on every second, on a goroutine of its own.
func (s *Server) OnTick() (time.Duration, gnet.Action) {
	select {
	case <-s.listening:
	default:
		return time.Second, gnet.None // the loops have no bells yet
	}
	for _, l := range s.loops {
		if !l.tickWaits.Swap(true) { // a loop that stood still does not make up for the time: nobody was heard
			l.watch.posted()
			l.post(letter{kind: letterTick})
		}
	}
	s.lines.tick(s)
	s.expireSessions(time.Now())
	return time.Second, gnet.None
}

// OnOpen is called on the loop that the acceptor chose for a socket, and on each loop for its bell.
func (s *Server) OnOpen(gc gnet.Conn) (out []byte, action gnet.Action) {
	switch ctx := gc.Context().(type) {
	case *bell:
		ctx.hang(gc)
	case *conn:
		return nil, ctx.loop.opened(ctx, gc)
	}
	return nil, gnet.None
}

// OnTraffic is called on the loop of gc when it has read something. All of it is consumed, so
// gnet never buffers input.
func (s *Server) OnTraffic(gc gnet.Conn) gnet.Action {
	chunk, _ := gc.Peek(-1)
	switch ctx := gc.Context().(type) {
	case *conn:
		if l := ctx.loop; !l.quiesced {
			l.receive(ctx, chunk)
		}
	case *bell:
		if !ctx.loop.scheduled { // or the round's end is near, and brings one write for all
			ctx.loop.drain()
		}
	}
	_, _ = gc.Discard(-1)
	return gnet.None
}

// OnClose is called on the loop of gc when its socket is about to be closed, at times from
// within a write.
func (s *Server) OnClose(gc gnet.Conn, err error) gnet.Action {
	switch ctx := gc.Context().(type) {
	case *conn:
		defer ctx.loop.rescue(nil)
		ctx.loop.closed(ctx, err)
		ctx.loop.schedule()
	case *bell:
		s.end() // the loop ends, or is deaf to all others
	}
	return gnet.None
}

// Shutdown stops accepting, stops reading, sends what is queued for readers until ctx is done,
// and has Run return nil. It returns how many bytes were left unsent, less than 0 when the loops could
// not tell in time. Call it once, after Listening is closed: before that there is nothing to stop.
func (s *Server) Shutdown(ctx context.Context) (unsent int) {
	select {
	case <-s.listening:
	case <-ctx.Done():
		return 0
	}
	if s.stopping.Swap(true) {
		return 0
	}
	s.acceptor.close()
	select {
	case <-s.acceptor.ended:
	case <-ctx.Done():
	case <-s.stopped:
	}
	s.ask(ctx, letterQuiesce)
	unsent = -1
	for {
		// Every loop has handed its logs over by now, so a loop's answer comes after it
		// delivered them.
		bytes, all := s.ask(ctx, letterPending)
		if all {
			unsent = bytes
		}
		if unsent == 0 || !all {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.end()
	return unsent
}

// ask posts a letter to every loop and sums the answers. all is false when ctx was done before
// every loop had answered.
func (s *Server) ask(ctx context.Context, kind letterKind) (sum int, all bool) {
	answers := make(chan int, len(s.loops))
	for _, l := range s.loops {
		l.post(letter{kind: kind, answer: answers})
	}
	for range s.loops {
		select {
		case n := <-answers:
			sum += n
		case <-ctx.Done():
			return sum, false
		case <-s.stopped:
			return sum, false
		}
	}
	return sum, true
}

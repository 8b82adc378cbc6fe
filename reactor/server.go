package reactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"mqttd/router"
	"mqttd/session"
)

// Server is an MQTT broker. Make one with New, Run it once, and Shutdown it from another
// goroutine. It is gnet's event handler: the On… methods are gnet's to call.
type Server struct {
	gnet.BuiltinEventEngine

	config Config // immutable
	limits Limits // immutable
	log    zerolog.Logger
	lines  lines

	table    *session.Table[conn]
	clients  *session.Clients
	router   *router.Router
	retained *router.Retained
	sys      *sysTree

	address   string // immutable once listening
	engine    gnet.Engine
	listening chan struct{} // closed when clients can connect
	stopped   chan struct{} // closed when the loops have ended
	startErr  error         // why attach failed; read after gnet.Run

	loops    []*loop // immutable
	mu       sync.Mutex
	assigned map[gnet.EventLoop]*loop // guarded by mu

	open      atomic.Int64 // sockets
	waiting   atomic.Int64 // bytes in the backlogs of all loops
	relieving atomic.Bool  // a connection is going to be closed because they are full
	stopping  atomic.Bool
}

// ErrInUse is the error of Run when the port is taken.
var ErrInUse = errors.New("address already in use")

// New returns a server that is ready to Run. The error lists every fault of the configuration,
// or says that the process's descriptor limit is too small.
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
	limits.TotalBufferBytes = totalBuffer(config.TotalBufferBytes)
	s := &Server{
		config:    config,
		limits:    limits,
		log:       config.Log,
		table:     session.NewTable[conn](limits.MaxClients, limits.Connections-limits.MaxClients),
		clients:   session.NewClients(),
		router:    router.NewWithLimits(config.Topics),
		retained:  router.NewRetained(config.RetainedMessagesMax, config.RetainedBytesMax),
		listening: make(chan struct{}),
		stopped:   make(chan struct{}),
		assigned:  make(map[gnet.EventLoop]*loop),
	}
	for i := range config.Loops {
		s.loops = append(s.loops, newLoop(s, i))
	}
	s.sys = newSysTree(s)
	return s, nil
}

// Limits returns the limits in force.
func (s *Server) Limits() Limits { return s.limits }

// Listening is closed when the server accepts clients.
func (s *Server) Listening() <-chan struct{} { return s.listening }

// Addr returns the address the server listens on, once Listening is closed.
func (s *Server) Addr() string { return s.address }

// Run serves clients until Shutdown and returns nil then. Any other return is an error: ErrInUse
// when the port is taken, or what stopped the engine.
func (s *Server) Run() error {
	network, address, err := probe(s.config.Host, s.config.Port)
	if err != nil {
		return err
	}
	s.address = address
	err = gnet.Run(s, network+"://"+address,
		gnet.WithNumEventLoop(s.config.Loops),
		gnet.WithReusePort(true), // a listener per loop: a loop accepts, refuses and serves by itself
		gnet.WithReuseAddr(true), // or connections that are still closing keep the next broker off the port
		gnet.WithSocketSendBuffer(sendBufferBytes),
		gnet.WithTicker(true),
		gnet.WithLogger(gnetLog{s.log}),
	)
	close(s.stopped)
	for _, l := range s.loops {
		l.unhang()
	}
	switch {
	case s.startErr != nil:
		return s.startErr
	case err != nil:
		return fmt.Errorf("listen on %s: %w", s.address, inUse(err))
	case !s.stopping.Load():
		return errors.New("the event engine stopped by itself: see the log")
	}
	return nil
}

// OnBoot is called when the first listener is open.
func (s *Server) OnBoot(engine gnet.Engine) gnet.Action {
	s.engine = engine
	return gnet.None
}

// OnTick is called once the loops run, and from then on every second, on a goroutine of its own.
func (s *Server) OnTick() (time.Duration, gnet.Action) {
	select {
	case <-s.listening:
	default:
		if err := s.attach(); err != nil {
			s.startErr = fmt.Errorf("attach to the event loops: %w", err)
			return time.Hour, gnet.Shutdown
		}
		close(s.listening)
		go s.sys.run()
		return time.Second, gnet.None
	}
	for _, l := range s.loops {
		if !l.tickWaits.Swap(true) { // a loop that stood still does not make up for the time: nobody was heard
			l.post(letter{kind: letterTick})
		}
	}
	s.lines.tick(s)
	return time.Second, gnet.None
}

// OnOpen is called on the loop that accepted a socket.
func (s *Server) OnOpen(gc gnet.Conn) (out []byte, action gnet.Action) {
	if bell, ok := gc.Context().(*bell); ok {
		bell.hang(gc)
		return nil, gnet.None
	}
	l := s.loopOf(gc.EventLoop())
	defer l.rescue(nil)
	if s.open.Add(1) > int64(s.limits.Connections) || s.stopping.Load() {
		s.open.Add(-1)
		l.refusedSockets.add(1)
		return nil, gnet.Close
	}
	l.accepted.add(1)
	c := &conn{loop: l, gc: gc, seenTick: l.wheel.now, patienceTicks: connectPatience(s.config.ConnectTimeout)}
	gc.SetContext(c)
	if err := gc.SetKeepAlive(true, tcpKeepAliveIdle, tcpKeepAliveInterval, tcpKeepAliveProbes); err != nil {
		s.log.Debug().Err(err).Msg("no TCP keep-alive")
	}
	l.wheel.file(c)
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
	if c, ok := gc.Context().(*conn); ok {
		defer c.loop.rescue(nil)
		c.loop.closed(c, err)
		c.loop.schedule()
	}
	return gnet.None
}

// packetBytesMax is the largest packet that a connection may send in a state.
func (s *Server) packetBytesMax(state session.State) int {
	if state == session.AwaitConnect {
		return min(s.config.ConnectBytesMax, s.config.MaxPacketBytes)
	}
	return s.config.MaxPacketBytes
}

// repliesBytesMax is how much may wait for a client that is sent a reply.
func (s *Server) repliesBytesMax() int {
	return max(s.config.ClientBufferBytes, s.config.MaxPacketBytes+flushBytes) + repliesRoom
}

// Shutdown stops accepting, stops reading, sends what is queued for readers until ctx is done,
// and has Run return nil. It returns how many bytes were left unsent, as far as the loops could
// tell by then. Call it once, after Listening is closed: before that there is nothing to stop.
func (s *Server) Shutdown(ctx context.Context) (unsent int) {
	select {
	case <-s.listening:
	case <-ctx.Done():
		return 0
	}
	if s.stopping.Swap(true) {
		return 0
	}
	s.ask(ctx, letterQuiesce)
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
	go s.engine.Stop(ctx) // stops at once, but only looks every half second whether it did; Run knows sooner
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

// probe finds out whether the address can be listened on, and resolves port 0. gnet cannot be
// asked: with a listener per loop a second broker on the same port would start, and share the
// clients with the first.
func probe(host string, port int) (network, address string, err error) {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]") // as people write IPv6
	network = "tcp"
	if ip := net.ParseIP(host); ip != nil && ip.To4() != nil {
		network = "tcp4" // or 0.0.0.0 would mean IPv6 as well
	}
	listener, err := net.Listen(network, net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		return "", "", inUse(err)
	}
	defer listener.Close()
	if host == "" {
		return network, net.JoinHostPort("", fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)), nil
	}
	return network, listener.Addr().String(), nil // the one address that host stands for
}

// inUse makes a bind error speak of what is wrong.
func inUse(err error) error {
	if errors.Is(err, unix.EADDRINUSE) {
		return ErrInUse
	}
	return err
}

package reactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// acceptor takes connections out of the kernel's backlog, as fast as the configuration allows, and
// hands each one to the loop that has the fewest. It outlives every error of accept, which gnet's own
// listeners do not. One goroutine runs it; other fields than those marked are confined to that.
type acceptor struct {
	server   *Server      // immutable
	listener net.Listener // set before run; nil when the server never came to listen
	porters  []*porter    // immutable
	turn     int          // of the porters: who is asked first

	pacing     atomic.Pointer[pacing] // as configured, which may change; what it points to is immutable
	paced      *pacing                // what bucket and waitingMax are made of
	bucket     bucket
	waitingMax int // in the backlog, while there is no token

	failedPause time.Duration // after the latest failure in a row; 0: the last accept went well
	closing     chan struct{} // closed by close
	closed      sync.Once
	ended       chan struct{} // closed when nothing is accepted or on its way to a loop any more

	failed                      atomic.Uint64
	refusedSockets, refusedRate counter
}

const (
	// After an error of accept the next try waits, twice as long each time. (net/http's)
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second

	// backlogCheckEvery is how often the backlog is looked at while there is no token. (chosen)
	backlogCheckEvery = 5 * time.Millisecond

	// enrollingMax bounds the connections on their way to loops, one for each loop aside: each has
	// two descriptors until its loop has it. (measured: a third slower with 8, on a busy machine)
	enrollingMax = 32
)

func newAcceptor(s *Server) *acceptor {
	a := &acceptor{
		server:  s,
		closing: make(chan struct{}),
		ended:   make(chan struct{}),
	}
	a.pacing.Store(pacingOf(&s.config))
	a.adoptPacing()
	for _, l := range s.loops {
		p := &porter{acceptor: a, loop: l, enrolling: make(chan enrolment, enrollingMax/len(s.loops))}
		a.porters = append(a.porters, p)
	}
	return a
}

// pacing says how fast connections are accepted: see Config.
type pacing struct {
	perSecond, burst int
	waitMax          time.Duration
}

func pacingOf(c *Config) *pacing {
	return &pacing{perSecond: c.ConnectRate, burst: c.ConnectBurst, waitMax: c.ConnectTimeout}
}

// adoptPacing takes over how fast to accept, when that has changed, with all tokens of a quiet time.
func (a *acceptor) adoptPacing() {
	p := a.pacing.Load()
	if a.paced != nil && *p == *a.paced {
		return
	}
	a.paced, a.bucket, a.waitingMax = p, bucket{}, 0
	if p.perSecond > 0 {
		a.bucket = newBucket(p.perSecond, p.burst)
		a.waitingMax = int(p.waitMax / a.bucket.every)
	}
}

// run accepts until close.
func (a *acceptor) run() {
	var porters sync.WaitGroup
	for _, p := range a.porters {
		porters.Go(p.run)
	}
	for a.awaitToken() {
		if c := a.accept(); c != nil {
			a.bucket.take(time.Now())
			a.admit(c)
		}
	}
	for _, p := range a.porters {
		close(p.enrolling)
	}
	porters.Wait()
	close(a.ended)
}

// close stops accepting. What waits in the backlog is reset by the kernel. Any goroutine may call it.
func (a *acceptor) close() {
	a.closed.Do(func() {
		close(a.closing)
		if a.listener != nil {
			a.listener.Close()
		}
	})
}

// awaitToken returns when the rate allows a connection, and refuses meanwhile those that cannot
// wait. It returns false when the acceptor is closing.
func (a *acceptor) awaitToken() bool {
	for {
		select {
		case <-a.closing:
			return false
		default:
		}
		a.adoptPacing()
		wait := a.bucket.wait(time.Now())
		if wait == 0 {
			return true
		}
		a.refuseExcess()
		a.sleep(min(wait, backlogCheckEvery))
	}
}

// refuseExcess closes the oldest connections of a backlog that is about to overflow, when the kernel
// would leave clients without any answer, or in which one waits longer than it may take to connect.
func (a *acceptor) refuseExcess() {
	for {
		waiting, room := kernelBacklog(a.listener)
		if waiting <= min(a.waitingMax, room-room/4) {
			return
		}
		c := a.accept()
		if c == nil {
			return
		}
		a.refusedRate.add(1)
		a.server.lines.refusedRate(a.server, c.RemoteAddr(), a.paced)
		c.Close()
	}
}

// accept returns the oldest connection of the backlog, waiting for one to come, or nil after an
// error, which it counts, and a pause.
func (a *acceptor) accept() net.Conn {
	c, err := a.listener.Accept()
	if err == nil {
		a.failedPause = 0
		return c
	}
	select {
	case <-a.closing:
	default:
		a.fail(err)
		a.failedPause = min(max(2*a.failedPause, acceptPauseMin), acceptPauseMax)
		a.sleep(a.failedPause)
	}
	return nil
}

// fail counts a connection that could not be had.
func (a *acceptor) fail(err error) {
	a.failed.Add(1)
	a.server.lines.acceptFailed(a.server, err)
}

func (a *acceptor) sleep(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.closing:
	}
}

// admit hands a connection to a loop, or closes it when there are as many as may be.
func (a *acceptor) admit(tcp net.Conn) {
	p, open := a.choose()
	if open >= int64(a.server.limits.Connections) {
		a.refusedSockets.add(1)
		tcp.Close()
		return
	}
	ownAddresses(tcp)
	c := &conn{loop: p.loop}
	p.loop.sockets.Add(1)
	done, err := p.loop.engine.Enroll(gnet.NewContext(context.Background(), c), tcp)
	if err != nil { // it has not begun, or tcp would be gnet's to close
		tcp.Close()
		p.fail(err)
		return
	}
	p.enrolling <- enrolment{c, done}
}

// choose returns the porter of the loop with the fewest connections, and how many all loops have.
// A loop that is late to take what is on its way is passed over while another is not.
func (a *acceptor) choose() (best *porter, open int64) {
	var fewest int64
	var late bool
	for i := range a.porters {
		p := a.porters[(a.turn+i)%len(a.porters)]
		n, full := p.loop.sockets.Load(), len(p.enrolling) == cap(p.enrolling)
		open += n
		if best == nil || late && !full || late == full && n < fewest {
			best, fewest, late = p, n, full
		}
	}
	a.turn = (a.turn + 1) % len(a.porters)
	return best, open
}

// porter sees to it that connections arrive at one loop.
type porter struct {
	acceptor  *acceptor
	loop      *loop
	enrolling chan enrolment
}

// enrolment is a connection on its way.
type enrolment struct {
	conn *conn
	done <-chan gnet.RegisteredResult
}

func (p *porter) run() {
	for e := range p.enrolling {
		result := <-e.done
		switch {
		case result.Err != nil:
			p.fail(result.Err)
		case !e.conn.opened:
			p.fail(errNotWatched)
		}
	}
}

// fail counts a connection that did not arrive. gnet has closed it.
func (p *porter) fail(err error) {
	p.loop.sockets.Add(-1)
	p.acceptor.fail(err)
}

var errNotWatched = errors.New("the event loop cannot watch the socket")

// bucket holds tokens: one comes every so often, up to room of them. The zero bucket is never empty.
// It is no more than a time and has one user, who asks before he accepts and takes when somebody
// came; golang.org/x/time/rate would need a reservation, cancelled at times, for that.
type bucket struct {
	every, room time.Duration // room is that of as many tokens
	full        time.Time     // when nothing is missing any more
}

func newBucket(perSecond, burst int) bucket {
	every := time.Second / time.Duration(perSecond)
	return bucket{every: every, room: every * time.Duration(burst)}
}

// wait returns how long it takes until there is a token, 0 when there is one.
func (b *bucket) wait(now time.Time) time.Duration {
	if b.full.Before(now) {
		return 0
	}
	return max(0, b.full.Sub(now)+b.every-b.room)
}

// take takes a token, which must be there.
func (b *bucket) take(now time.Time) {
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(b.every)
}

// listen opens the one listening socket, whose options every connection inherits. An error of ErrInUse
// says that somebody else has the port.
func listen(host string, port int) (net.Listener, error) {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]") // as people write IPv6
	network := "tcp"
	if ip := net.ParseIP(host); ip != nil && ip.To4() != nil {
		network = "tcp4" // or 0.0.0.0 would mean IPv6 as well
	}
	config := net.ListenConfig{
		Control:   func(_, _ string, raw syscall.RawConn) error { return control(raw, setSocketOptions) },
		KeepAlive: -1, // set once on the listener, not on every connection
	}
	config.SetMultipathTCP(false)
	listener, err := config.Listen(context.Background(), network, net.JoinHostPort(host, strconv.Itoa(port)))
	return listener, listenFault(err)
}

// listenFault returns err, if it is one, with what can be done about it.
func listenFault(err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return ErrInUse
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: choose a -port above 1023, or give mqttd CAP_NET_BIND_SERVICE", err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w: choose a -host that is an address of this machine", err)
	}
	return err
}

// addressOf returns what to call a listener on host: that, or the one address it stands for.
func addressOf(listener net.Listener, host string) string {
	if host == "" {
		return net.JoinHostPort("", strconv.Itoa(listener.Addr().(*net.TCPAddr).Port))
	}
	return listener.Addr().String()
}

// setSocketOptions sets what accepted sockets are to have. Go sets TCP_NODELAY on them itself.
func setSocketOptions(fd int) error {
	for _, o := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_SNDBUF, sendBufferBytes},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(tcpKeepAliveIdle / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(tcpKeepAliveInterval / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, tcpKeepAliveProbes},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// kernelBacklog returns how many connections wait for accept, and for how many there is room. TCP_INFO of a
// listening socket has that in fields named for something else.
func kernelBacklog(listener net.Listener) (waiting, room int) {
	raw, err := listener.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, 0
	}
	_ = control(raw, func(fd int) error { // it fails when the listener is being closed
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			waiting, room = int(info.Unacked), int(info.Sacked)
		}
		return err
	})
	return waiting, room
}

// control calls f with the descriptor of raw.
func control(raw syscall.RawConn, f func(fd int) error) error {
	var err error
	if failed := raw.Control(func(fd uintptr) { err = f(int(fd)) }); failed != nil {
		return failed
	}
	return err
}

// ownAddresses gives the addresses of c memory of their own. gnet keeps them as long as c, and net has
// theirs inside of something larger. And gnet recycles the zones as buffers once it has closed c,
// which net shares between addresses.
func ownAddresses(c net.Conn) {
	for _, address := range []net.Addr{c.LocalAddr(), c.RemoteAddr()} {
		if tcp, ok := address.(*net.TCPAddr); ok {
			if v4 := tcp.IP.To4(); v4 != nil {
				tcp.IP = v4
			}
			tcp.IP, tcp.Zone = slices.Clone(tcp.IP), strings.Clone(tcp.Zone)
		}
	}
}

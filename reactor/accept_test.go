package reactor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"mqttd/codec"
)

func TestBucket(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := newBucket(50, 3)
	for range 3 {
		require.Zero(t, b.wait(now), "it is full at first")
		b.take(now)
	}
	assert.Equal(t, 20*time.Millisecond, b.wait(now), "a token comes 50 times a second")
	assert.Equal(t, 5*time.Millisecond, b.wait(now.Add(15*time.Millisecond)))
	now = now.Add(20 * time.Millisecond)
	require.Zero(t, b.wait(now))
	b.take(now)
	assert.Equal(t, 20*time.Millisecond, b.wait(now))

	now = now.Add(time.Hour)
	for range 3 {
		require.Zero(t, b.wait(now))
		b.take(now)
	}
	assert.Equal(t, 20*time.Millisecond, b.wait(now), "it holds no more than its room")

	var unlimited bucket
	for range 1000 {
		require.Zero(t, unlimited.wait(now))
		unlimited.take(now)
	}
}

// Whatever the steps of time, no span of it sees more than a burst and what the rate allows.
func TestBucketKeepsTheRate(t *testing.T) {
	const rate, burst = 1000, 20
	b, begun := newBucket(rate, burst), time.Unix(1e9, 0)
	now, taken := begun, 0
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		now = now.Add(time.Duration(random.IntN(int(2 * time.Millisecond))))
		for range random.IntN(4) {
			if b.wait(now) > 0 {
				break
			}
			b.take(now)
			taken++
		}
		require.LessOrEqual(t, taken, burst+int(now.Sub(begun)*rate/time.Second))
	}
	assert.Greater(t, taken, int(now.Sub(begun)*rate/time.Second)*9/10, "and nearly all of it is used")
}

// More clients than the rate allows come at once: a burst is answered, then as many as the rate
// allows; who cannot be answered in time is closed. Who was there before notices nothing.
func TestConnectRate(t *testing.T) {
	const rate, burst, clients = 50, 20, 300
	s := start(t, func(c *Config) {
		c.ConnectRate, c.ConnectBurst, c.ConnectTimeout = rate, burst, patience // nobody else is closed
	}, func(s *Server) { s.acceptor.waitingMax = rate }) // as many as are answered in a second
	established := connect(t, s, "established")
	begun := time.Now()
	var answered, turnedAway atomic.Int64
	var all sync.WaitGroup
	for i := range clients {
		c, err := net.Dial("tcp", s.Addr())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		all.Go(func() {
			p := codec.Connect{Version: codec.Version311, CleanSession: true, ClientID: fmt.Appendf(nil, "client-%d", i)}
			_, _ = c.Write(codec.AppendConnect(nil, &p))
			_ = c.SetReadDeadline(time.Now().Add(patience))
			switch _, err := io.ReadFull(c, make([]byte, 4)); {
			case err == nil:
				answered.Add(1)
			case !errors.Is(err, os.ErrDeadlineExceeded):
				turnedAway.Add(1)
			}
		})
	}
	established.ping()
	all.Wait()
	allowed := burst + int(time.Since(begun)*rate/time.Second)
	established.ping()
	assert.EqualValues(t, clients, answered.Load()+turnedAway.Load(), "nobody is left without an answer")
	assert.LessOrEqual(t, int(answered.Load()), allowed)
	assert.GreaterOrEqual(t, int(answered.Load()), burst)
	assert.Positive(t, turnedAway.Load())
	st := s.Stats()
	assert.EqualValues(t, turnedAway.Load(), st.RefusedRate)
	assert.EqualValues(t, answered.Load()+1, st.Accepted)
	assert.Zero(t, st.RefusedSockets+st.AcceptErrors)
}

// The backlog does not come to overflow: the kernel would leave clients without any answer.
func TestConnectRateKeepsRoomInTheBacklog(t *testing.T) {
	const room, clients = 8, 40
	s := start(t, nil)
	a, listener := secondAcceptor(t, s)
	a.bucket, a.waitingMax = newBucket(1, 1), 1000
	require.NoError(t, onDescriptor(t, listener.(*net.TCPListener), func(fd int) error { return unix.Listen(fd, room) }))
	_, most := kernelBacklog(listener)
	require.Equal(t, room, most)
	runAcceptor(t, a)
	for range clients {
		c, err := net.DialTimeout("tcp", listener.Addr().String(), patience)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
	}
	eventually(t, "room in the backlog", func() bool {
		waiting, _ := kernelBacklog(listener)
		return waiting <= room*3/4
	})
	a.close()
	<-a.ended
	st := s.Stats()
	assert.LessOrEqual(t, clients-room, int(a.refusedRate.load()+st.Accepted))
	assert.Positive(t, a.refusedRate.load())
}

// TCP_INFO of a listening socket tells its backlog.
func TestBacklog(t *testing.T) {
	listener, err := listen("127.0.0.1", 0)
	require.NoError(t, err)
	waiting, room := kernelBacklog(listener)
	assert.Zero(t, waiting)
	assert.Positive(t, room)
	for range 3 {
		c, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		defer c.Close()
	}
	eventually(t, "three wait", func() bool { waiting, _ := kernelBacklog(listener); return waiting == 3 })
	listener.Close()
	waiting, room = kernelBacklog(listener)
	assert.Zero(t, waiting+room)
}

// failingListener fails as often as it has errors.
type failingListener struct {
	*net.TCPListener
	errs []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
	}
	return l.TCPListener.Accept()
}

func TestAcceptOutlivesEveryError(t *testing.T) {
	s := start(t, nil)
	established := connect(t, s, "established")
	a, listener := secondAcceptor(t, s)
	errs := []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS, unix.EPERM, unix.EINVAL}
	a.listener = &failingListener{listener.(*net.TCPListener), errs}
	runAcceptor(t, a)
	s.address = listener.Addr().String()
	connect(t, s, "patient").ping()
	established.ping()
	assert.EqualValues(t, len(errs), a.failed.Load())
}

// A connection that cannot be handed to a loop costs nobody else anything.
func TestFailedEnrolmentIsCounted(t *testing.T) {
	s := start(t, nil)
	a, listener := secondAcceptor(t, s)
	var gone sync.WaitGroup
	for _, p := range a.porters {
		gone.Go(p.run)
	}
	client, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	c, err := listener.Accept()
	require.NoError(t, err)
	c.Close() // what dup fails for
	a.admit(c)
	for _, p := range a.porters {
		close(p.enrolling)
	}
	gone.Wait()
	assert.EqualValues(t, 1, a.failed.Load())
	assert.Zero(t, s.Stats().Connections)
}

func TestResetBeforeAcceptLeavesNothing(t *testing.T) {
	s := start(t, func(c *Config) { c.ConnectRate, c.ConnectBurst = 1000, 1 })
	connect(t, s, "first").conn.Close()
	none := func() bool { return s.Stats().Connections == 0 }
	eventually(t, "nobody", none)
	before := descriptors(t)
	const clients = 200
	for range clients {
		dial(t, s).abort()
	}
	eventually(t, "all were accepted and are gone", func() bool { return s.Stats().Accepted == clients+1 && none() })
	eventually(t, "no descriptor is left", func() bool { return descriptors(t) <= before })
	assert.Zero(t, s.Stats().AcceptErrors)
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(names)
}

func TestLoopsGetEqualShares(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 4 })
	var clients []*client
	for i := range 12 {
		clients = append(clients, connect(t, s, fmt.Sprint("client-", i)))
	}
	shares := func() (n [4]int) {
		for i, l := range s.loops {
			n[i] = int(l.sockets.Load())
		}
		return n
	}
	assert.Equal(t, [4]int{3, 3, 3, 3}, shares())
	for _, c := range clients[:6] {
		c.conn.Close()
	}
	eventually(t, "half are gone", func() bool { return s.Stats().Connections == 6 })
	for i := range 6 {
		connect(t, s, fmt.Sprint("new-", i))
	}
	assert.Equal(t, [4]int{3, 3, 3, 3}, shares())
}

// A loop that is late is passed over, unless all are.
func TestChooseAvoidsALoopThatIsLate(t *testing.T) {
	s := stillServer(t, 2)
	a := s.acceptor
	first, second := a.porters[0], a.porters[1]
	second.loop.sockets.Store(5)
	for len(first.enrolling) < cap(first.enrolling) {
		first.enrolling <- enrolment{}
	}
	for range 3 {
		p, open := a.choose()
		assert.Same(t, second, p)
		assert.EqualValues(t, 5, open)
	}
	for len(second.enrolling) < cap(second.enrolling) {
		second.enrolling <- enrolment{}
	}
	p, _ := a.choose()
	assert.Same(t, first, p)
}

func TestAcceptedSocketsHaveTheirOptions(t *testing.T) {
	listener, err := listen("127.0.0.1", 0)
	require.NoError(t, err)
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	c, err := listener.Accept()
	require.NoError(t, err)
	defer c.Close()
	for _, o := range []struct{ level, name, want int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.SOL_SOCKET, unix.SO_SNDBUF, 2 * sendBufferBytes}, // the kernel doubles it
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 60},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 12},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 5},
	} {
		var got int
		require.NoError(t, onDescriptor(t, c.(*net.TCPConn), func(fd int) (err error) {
			got, err = unix.GetsockoptInt(fd, o.level, o.name)
			return err
		}))
		assert.Equal(t, o.want, got, "option %d of level %d", o.name, o.level)
	}
}

// addressed is a connection of which only the addresses are asked.
type addressed struct {
	net.Conn
	local, remote net.TCPAddr
}

func (c *addressed) LocalAddr() net.Addr  { return &c.local }
func (c *addressed) RemoteAddr() net.Addr { return &c.remote }

func TestAddressesAreOwned(t *testing.T) {
	const zone = "eth0"
	c := &addressed{
		local:  net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 1883, Zone: zone},
		remote: net.TCPAddr{IP: net.ParseIP("192.0.2.7"), Port: 4711},
	}
	require.Len(t, c.remote.IP, net.IPv6len)
	ownAddresses(c)
	assert.Equal(t, "[fe80::1%eth0]:1883", c.local.String())
	assert.Equal(t, "192.0.2.7:4711", c.remote.String())
	assert.Len(t, c.remote.IP, net.IPv4len)
	assert.NotSame(t, unsafe.StringData(zone), unsafe.StringData(c.local.Zone))
}

// A loop that ends although nobody asked for it is a fault that Run tells of.
func TestLoopThatEndsByItself(t *testing.T) {
	config := DefaultConfig()
	config.Host, config.Port, config.Loops = "127.0.0.1", 0, 2
	s, err := New(config)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Run() }()
	<-s.Listening()
	end := gnetRunnable(func() error { return gneterrors.ErrEngineShutdown })
	require.NoError(t, s.loops[1].engine.Execute(t.Context(), end))
	select {
	case err := <-ended:
		assert.ErrorContains(t, err, "stopped by itself")
	case <-time.After(patience):
		t.Fatal("Run goes on")
	}
	_, err = net.Dial("tcp", s.Addr())
	assert.Error(t, err, "nobody listens any more")
}

type gnetRunnable func() error

func (f gnetRunnable) Run(context.Context) error { return f() }

func TestStartAgainOnThePort(t *testing.T) {
	first := start(t, nil)
	held := connect(t, first, "held")
	port := held.conn.RemoteAddr().(*net.TCPAddr).Port
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first.Shutdown(ctx)
	<-first.stopped
	second := start(t, func(c *Config) { c.Port = port })
	connect(t, second, "again").ping()
}

// secondAcceptor returns one that serves another port of a running server, by its configuration.
func secondAcceptor(t *testing.T, s *Server) (*acceptor, net.Listener) {
	t.Helper()
	listener, err := listen("127.0.0.1", 0)
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	a := newAcceptor(s)
	a.listener = listener
	return a, listener
}

func runAcceptor(t *testing.T, a *acceptor) {
	t.Helper()
	go a.run()
	t.Cleanup(func() {
		a.close()
		<-a.ended
	})
}

func onDescriptor(t *testing.T, c syscall.Conn, f func(fd int) error) error {
	t.Helper()
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	return control(raw, f)
}

// What keeps a broker from listening is said with a remedy.
func TestListenFaults(t *testing.T) {
	for _, test := range []struct {
		cause error
		want  string
	}{
		{unix.EACCES, "listen tcp :80: bind: permission denied: choose a -port above 1023, or give mqttd CAP_NET_BIND_SERVICE"},
		{unix.EADDRNOTAVAIL, "listen tcp :80: bind: cannot assign requested address: choose a -host that is an address of this machine"},
		{unix.EADDRINUSE, ErrInUse.Error()},
	} {
		err := &net.OpError{Op: "listen", Net: "tcp", Addr: &net.TCPAddr{Port: 80}, Err: os.NewSyscallError("bind", test.cause)}
		assert.EqualError(t, listenFault(err), test.want)
	}
	assert.NoError(t, listenFault(nil))
}

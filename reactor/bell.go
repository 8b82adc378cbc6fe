package reactor

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// bell is the context of the connection that wakes a loop up, see (*loop).ring.
type bell struct {
	server *Server
	loop   *loop         // set by hang
	end    *net.UnixConn // what is rung
}

// hang is called on the loop that the bell was registered with.
func (b *bell) hang(gc gnet.Conn) {
	b.loop = b.server.loopOf(gc.EventLoop())
	b.loop.bell.Store(b.end)
}

// unhang closes the end of the bell that gnet does not know of.
func (l *loop) unhang() {
	if end := l.bell.Swap(nil); end != nil {
		end.Close()
	}
}

// attach gives each loop its bell. gnet has no list of its loops, but what is registered with
// it goes to one loop after the other.
func (s *Server) attach() error {
	for range s.loops {
		if err := s.attachOne(); err != nil {
			return err
		}
	}
	for i, l := range s.loops {
		if l.bell.Load() == nil {
			return fmt.Errorf("loop %d got no bell", i)
		}
		l.ring() // for letters that came before the bell
	}
	return nil
}

func (s *Server) attachOne() error {
	inside, end, err := socketPair()
	if err != nil {
		return err
	}
	ctx := gnet.NewNetConnContext(context.Background(), inside)
	registered, err := s.engine.Register(gnet.NewContext(ctx, &bell{server: s, end: end}))
	if err != nil {
		inside.Close()
		end.Close()
		return err
	}
	return (<-registered).Err // gnet has closed inside and keeps a duplicate
}

func socketPair() (a, b *net.UnixConn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	if a, err = unixConn(fds[0]); err == nil {
		if b, err = unixConn(fds[1]); err == nil {
			return a, b, nil
		}
		a.Close()
	}
	return nil, nil, err
}

func unixConn(fd int) (*net.UnixConn, error) {
	file := os.NewFile(uintptr(fd), "bell")
	defer file.Close() // net keeps a duplicate
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// loopOf returns our loop for one of gnet's. It is called on that loop; the first call makes
// the one the other's.
func (s *Server) loopOf(engine gnet.EventLoop) *loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.assigned[engine]
	if l == nil {
		l = s.loops[len(s.assigned)]
		l.engine = engine
		s.assigned[engine] = l
	}
	return l
}

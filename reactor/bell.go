package reactor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// The bell of a loop is a connection of its own, into which others write a byte to have it drain
// its mailbox. So draining happens as input does, in turn with the clients' input. A gnet task would
// not do: tasks run until none is left, and a loop that is handed logs all the time would never come
// to read or to write what is buffered.

// bell is the context of that connection.
type bell struct {
	server *Server
	loop   *loop         // set by hang
	end    *net.UnixConn // what is rung
}

// ring wakes the loop up to drain its mailbox. Any goroutine may call it, after a push that found
// the mailbox empty and unattended. It never blocks: a bell that is full has been rung already.
func (l *loop) ring() {
	if bell := l.bell.Load(); bell != nil {
		_ = (*bell).Write(func(fd uintptr) bool {
			_, _ = unix.Write(int(fd), ringByte)
			return true
		})
	}
}

var ringByte = []byte{1}

// hang is called on the loop that the bell was registered with.
func (b *bell) hang(gc gnet.Conn) {
	b.loop = b.server.loopOf(gc.EventLoop())
	if raw, err := b.end.SyscallConn(); err == nil { // it fails for a nil connection only
		b.loop.bellEnd = b.end
		b.loop.bell.Store(&raw)
	}
}

// unhang closes the end of the bell that gnet does not know of.
func (l *loop) unhang() {
	if l.bell.Swap(nil) != nil {
		l.bellEnd.Close()
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
	select {
	case result := <-registered: // gnet has closed inside and keeps a duplicate
		return result.Err
	case <-time.After(attachMax):
		return errors.New("no answer")
	}
}

// attachMax is how long a loop may take to come up. (chosen)
const attachMax = 10 * time.Second

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

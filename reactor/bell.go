package reactor

import (
	"fmt"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// The bell of a loop is a connection of its own, into which others write a byte to have it drain
// its mailbox. So draining happens as input does, in turn with the clients' input. A gnet task would
// not do: tasks run until none is left, and a loop that is handed logs all the time would never come
// to read or to write what is buffered.

// bell is the context of that connection.
type bell struct {
	loop *loop
	end  *net.UnixConn // what is rung
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

// hang is called on the loop that the bell was enrolled with.
func (b *bell) hang(gc gnet.Conn) {
	if raw, err := b.end.SyscallConn(); err == nil { // it fails for a nil connection only
		b.loop.engine = gc.EventLoop()
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

// attach gives each loop its bell and learns which of gnet's it is. gnet has no list of its loops,
// but what is enrolled goes to the one with the fewest connections: to each in turn.
func (s *Server) attach(loops *gnet.Client) error {
	known := make(map[gnet.EventLoop]bool)
	for i, l := range s.loops {
		if err := l.attach(loops); err != nil {
			return err
		}
		if l.bell.Load() == nil || known[l.engine] {
			return fmt.Errorf("loop %d got no bell of its own", i)
		}
		known[l.engine] = true
		l.ring() // for letters that came before the bell
	}
	return nil
}

func (l *loop) attach(loops *gnet.Client) error {
	inside, end, err := socketPair()
	if err != nil {
		return err
	}
	_, err = loops.EnrollContext(inside, &bell{loop: l, end: end}) // closes inside, keeps a duplicate
	if err != nil {
		end.Close()
	}
	return err
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

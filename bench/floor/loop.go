package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	readBytesMax = 256 << 10 // one read, and the largest frame; chosen, as in other yardsticks
	eventsMax    = 4096      // of one epoll round; chosen: more than there are busy connections
)

// loop is everything there is: one epoll instance, one thread.
type loop struct {
	epoll, listener int
	each            bool
	conns           []*conn // by descriptor; nil: never used
	topics          topics
	failed          []*conn
	events          []unix.EpollEvent
	read            []byte
	codes, suback   []byte // scratch of subscribe
}

func newLoop(listener int, each bool) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	l := &loop{
		epoll: epoll, listener: listener, each: each, topics: newTopics(),
		events: make([]unix.EpollEvent, eventsMax), read: make([]byte, readBytesMax),
	}
	return l, l.watch(listener)
}

func (l *loop) watch(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// run returns only errors.
func (l *loop) run() error {
	for {
		n, errno := epollWait(l.epoll, l.events)
		if errno != 0 && errno != unix.EINTR {
			return fmt.Errorf("epoll: %w", errno)
		}
		for i := range l.events[:n] {
			if err := l.handle(&l.events[i]); err != nil {
				return err
			}
		}
		l.flush()
		l.closeFailed()
	}
}

// handle may see an event of a connection that has closed in this round, whose descriptor even has a
// new client: a read that finds nothing does no harm.
func (l *loop) handle(event *unix.EpollEvent) error {
	if int(event.Fd) == l.listener {
		return l.accept()
	}
	c := l.conns[event.Fd]
	if event.Events&unix.EPOLLOUT != 0 && c.out.len() > 0 {
		l.writeBacklog(c)
	}
	if event.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0 && c.fd >= 0 && !c.failed {
		l.receive(c)
	}
	return nil
}

func (l *loop) accept() error {
	for {
		fd, errno := accept(l.listener)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return nil
		case unix.EINTR, unix.ECONNABORTED:
			continue
		default: // such as no more descriptors: to go on would measure a busy loop
			return fmt.Errorf("accept: %w", errno)
		}
		for fd >= len(l.conns) {
			l.conns = append(l.conns, nil)
		}
		if l.conns[fd] == nil {
			l.conns[fd] = new(conn)
		}
		l.conns[fd].fd = fd
		if err := l.watch(fd); err != nil {
			return err
		}
	}
}

// receive reads once, behind the beginning of a frame that the last read left.
func (l *loop) receive(c *conn) {
	kept := copy(l.read, c.in.bytes())
	n, errno := recv(c.fd, l.read[kept:])
	if errno == unix.EAGAIN {
		return
	}
	if n == 0 {
		l.close(c)
		return
	}
	p := l.read[:kept+n]
	used, ok := l.frames(c, p)
	if !ok || len(p)-used == readBytesMax {
		l.close(c)
		return
	}
	c.in.reset()
	if used < len(p) {
		c.in.append(p[used:])
	}
}

// flush sends each dirty topic's bytes to its subscribers.
func (l *loop) flush() {
	for _, t := range l.topics.dirty {
		p := t.round.bytes()
		for _, c := range t.subscribers {
			l.write(c, p)
		}
		t.round.reset()
		t.dirty = false
	}
	l.topics.dirty = l.topics.dirty[:0]
}

func (l *loop) closeFailed() {
	for _, c := range l.failed {
		if c.failed { // else it closed in the meantime
			l.close(c)
		}
	}
	l.failed = l.failed[:0]
}

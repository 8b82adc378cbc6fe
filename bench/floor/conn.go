package main

import "golang.org/x/sys/unix"

const (
	// outboundBytesMax is what a connection may have waiting. The connection is closed beyond it:
	// a reader that stays so far behind would only measure memory. Chosen.
	outboundBytesMax = 64 << 20

	// outboundBytesKept is what stays mapped when a backlog has gone out. Chosen.
	outboundBytesKept = 64 << 10
)

// conn belongs to a descriptor number and serves one client after the other, so that clients that
// come and go allocate nothing.
type conn struct {
	fd      int    // -1 while closed
	in      buffer // the beginning of a frame whose end has not arrived
	out     buffer // bytes the socket did not take; then and only then epoll reports EPOLLOUT
	topics  []*topic
	failed  bool // in loop.failed: closed when the round ends
	waiting bool // for EPOLLOUT
}

// write sends p or keeps what the socket does not take.
func (l *loop) write(c *conn, p []byte) {
	if c.failed {
		return
	}
	if c.out.len() == 0 {
		n, errno := send(c.fd, p)
		if n == len(p) {
			return
		}
		if errno != 0 && errno != unix.EAGAIN {
			l.fail(c)
			return
		}
		p = p[n:]
	}
	if c.out.len()+len(p) > outboundBytesMax {
		l.fail(c)
		return
	}
	c.out.append(p)
	l.awaitWritable(c, true)
}

// writeBacklog continues where write stopped, when the socket takes bytes again.
func (l *loop) writeBacklog(c *conn) {
	n, errno := send(c.fd, c.out.bytes())
	if errno != 0 && errno != unix.EAGAIN {
		l.fail(c)
		return
	}
	c.out.drop(n)
	if c.out.len() > 0 {
		return
	}
	if len(c.out.mem) > outboundBytesKept {
		c.out.release()
	}
	l.awaitWritable(c, false)
}

func (l *loop) awaitWritable(c *conn, waiting bool) {
	if c.waiting == waiting {
		return
	}
	c.waiting = waiting
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}
	if waiting {
		event.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, c.fd, &event); err != nil {
		panic(err) // an open descriptor that accept added
	}
}

// fail has the connection closed at the end of the round: its topics' subscribers are being walked.
func (l *loop) fail(c *conn) {
	c.failed = true
	l.failed = append(l.failed, c)
}

// close is not for use while a topic's subscribers are walked.
func (l *loop) close(c *conn) {
	l.topics.leave(c)
	c.in.release()
	c.out.release()
	closeSocket(c.fd)
	c.fd, c.failed, c.waiting = -1, false, false
}

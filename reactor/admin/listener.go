package admin

import (
	stdlog "log"
	"net"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// limitedListener has at most so many connections open. Further ones wait in the kernel's queue.
type limitedListener struct {
	net.Listener
	room   chan struct{} // holds a token for each open connection
	closed chan struct{}
	once   sync.Once
}

func newLimitedListener(l net.Listener, connections int) *limitedListener {
	return &limitedListener{Listener: l, room: make(chan struct{}, connections), closed: make(chan struct{})}
}

// Accept waits for room, and then for a connection.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &limitedConn{Conn: c, room: l.room}, nil
}

// Close ends Accept too.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	room chan struct{}
	once sync.Once
}

// Close makes room for another connection.
func (c *limitedConn) Close() error {
	defer c.once.Do(func() { <-c.room })
	return c.Conn.Close()
}

// errorLog passes on what net/http complains about.
func errorLog(log zerolog.Logger) *stdlog.Logger { return stdlog.New(complaints{log}, "", 0) }

type complaints struct{ log zerolog.Logger }

func (c complaints) Write(line []byte) (int, error) {
	c.log.Debug().Str("error", strings.TrimSpace(string(line))).Msg("admin")
	return len(line), nil
}

package reactor

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"mqttd/codec"
)

// errDisconnect ends a connection as the client wished.
var errDisconnect = errors.New("sent DISCONNECT")

// onDisconnect discards the Will [MQTT-3.14.4-3] and ends the connection.
func (l *loop) onDisconnect(c *conn, f codec.Frame) error {
	if err := codec.ParseDisconnect(f, c.session.Version); err != nil {
		return err
	}
	c.discard = true
	return errDisconnect
}

// lostReason says in the words of the log why the peer's end of a connection went away.
func lostReason(err error) error {
	var syscallErr *os.SyscallError
	switch {
	case err == nil:
		return errors.New("closed by the server")
	case errors.Is(err, io.EOF):
		return errors.New("closed by the client without DISCONNECT")
	case errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return errors.New("reset by the client")
	case errors.As(err, &syscallErr):
		return fmt.Errorf("connection lost: %w", syscallErr.Err)
	default:
		return fmt.Errorf("connection lost: %w", err)
	}
}

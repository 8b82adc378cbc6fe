package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// ErrConnect is wrapped when a connection could not be opened, or was refused.
	ErrConnect = errors.New("bench: cannot connect")
	// ErrConnectionLost is wrapped when a connection ended, or broke the protocol, during a run.
	ErrConnectionLost = errors.New("bench: connection lost")
)

const (
	connectTimeout     = 10 * time.Second // for each connection, up to the last acknowledgement; chosen
	connectsInParallel = 16               // chosen: well below any listen backlog
	handshakeBytesMax  = 1 << 20          // largest packet read before SUBACK; a retained message may come first
)

// conn is a connection that is ready for load: CONNACK and SUBACK have been read, and not a byte more.
type conn struct {
	fd            int // non-blocking, owned
	local, remote netAddr
}

type netAddr = *net.TCPAddr

// openConn connects, and subscribes unless filter is empty.
func openConn(ctx context.Context, address, clientID, filter string) (conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return conn{}, connectError(ctx, address, err)
	}
	defer func() { _ = c.Close() }() // the load keeps a duplicate
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := handshake(c, clientID, filter); err != nil {
		return conn{}, connectError(ctx, address, err)
	}
	fd, err := takeDescriptor(c.(*net.TCPConn))
	if err != nil {
		return conn{}, connectError(ctx, address, err)
	}
	return conn{fd, c.LocalAddr().(*net.TCPAddr), c.RemoteAddr().(*net.TCPAddr)}, nil
}

func (c conn) close() {
	_, _ = unix.Write(c.fd, appendDisconnect(nil)) // a courtesy
	_ = unix.Close(c.fd)
}

func handshake(c net.Conn, clientID, filter string) error {
	if _, err := c.Write(appendConnect(nil, clientID)); err != nil {
		return err
	}
	body, err := readPacket(c, packetConnack)
	if err != nil {
		return fmt.Errorf("waiting for CONNACK: %w", err)
	}
	if err := parseConnack(body); err != nil || filter == "" {
		return err
	}
	if _, err := c.Write(appendSubscribe(nil, filter)); err != nil {
		return err
	}
	body, err = readPacket(c, packetSuback)
	if err != nil {
		return fmt.Errorf("waiting for SUBACK: %w", err)
	}
	return parseSuback(body)
}

// readPacket returns the body of the next packet of the type wanted. It skips PUBLISH, which a
// broker may send before SUBACK [MQTT-3.8.4], and reads not a byte beyond the packet.
func readPacket(r io.Reader, want byte) ([]byte, error) {
	for {
		first, body, err := readAnyPacket(r)
		switch {
		case err != nil:
			return nil, err
		case first == want:
			return body, nil
		case first&0xF0 != packetPublish:
			return nil, fmt.Errorf("%w: packet 0x%02x, 0x%02x expected", errMalformed, first, want)
		}
	}
}

func readAnyPacket(r io.Reader) (first byte, body []byte, err error) {
	var header [5]byte
	for n := 1; n <= len(header); n++ {
		if _, err := io.ReadFull(r, header[n-1:n]); err != nil {
			return 0, nil, err
		}
		headerBytes, remaining, err := parseLength(header[:n])
		if err != nil {
			return 0, nil, err
		}
		if headerBytes == 0 {
			continue
		}
		if remaining > handshakeBytesMax {
			return 0, nil, fmt.Errorf("%w: %d bytes before the subscription", errMalformed, remaining)
		}
		body = make([]byte, remaining)
		_, err = io.ReadFull(r, body)
		return header[0], body, err
	}
	return 0, nil, errMalformed
}

// connectError turns what Go says into one clear line.
func connectError(ctx context.Context, address string, err error) error {
	var op *net.OpError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case ctx.Err() != nil:
		return fmt.Errorf("%w to the broker at %s: no answer within %v", ErrConnect, address, connectTimeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w to the broker at %s: connection refused, nothing listens there", ErrConnect, address)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w to the broker at %s: it closed the connection", ErrConnect, address)
	case errors.As(err, &op):
		err = op.Err
	}
	return fmt.Errorf("%w to the broker at %s: %w", ErrConnect, address, err)
}

// takeDescriptor takes a descriptor out of the Go runtime's hands; it stays non-blocking.
func takeDescriptor(c *net.TCPConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, dupErr)
}

package bench

import (
	"errors"
	"fmt"
	"io"
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
	connectTimeout    = 10 * time.Second // for each connection, up to the last acknowledgement; chosen
	handshakeBytesMax = 1 << 20          // largest packet read before SUBACK; a retained message may come first
	filtersMax        = 100              // in one SUBSCRIBE; chosen
)

// handshake takes one connection from its socket to the last acknowledgement. Loop-confined.
type handshake struct {
	fd      int
	sinceNs int64 // when it began
	stage   stage
	unsent  []byte // what the kernel has not taken yet
	filters []string
	qos     int    // asked for
	granted int    // the lowest
	subacks int    // still to come
	held    []byte // read and not parsed; at the end what came after the last acknowledgement

	watching bool // for room to write
}

// stage is what a handshake waits for.
type stage uint8

const (
	connecting stage = iota
	connack
	suback
	ready
)

// newHandshake begins to connect; hello is the CONNECT packet.
func newHandshake(to, from unix.Sockaddr, hello []byte, filters []string, qos int, now int64) (*handshake, error) {
	fd, err := connectSocket(to, from)
	if err != nil {
		return nil, err
	}
	return &handshake{fd: fd, sinceNs: now, unsent: hello, filters: filters, qos: qos, granted: qos}, nil
}

// connectSocket returns a non-blocking socket that is being connected.
func connectSocket(to, from unix.Sockaddr) (int, error) {
	domain := unix.AF_INET
	if _, ok := to.(*unix.SockaddrInet6); ok {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if from != nil {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		err = unix.Bind(fd, from)
	}
	if err == nil {
		err = unix.Connect(fd, to)
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// step goes on as far as it can without waiting. When it returns with something unsent, it wants to
// be called again when there is room to write, and otherwise when there is something to read.
func (h *handshake) step(buffer []byte) error {
	if err := h.flush(); err != nil || len(h.unsent) > 0 {
		return err
	}
	if h.stage == connecting {
		h.stage = connack
		return nil
	}
	if err := h.read(buffer); err != nil {
		return err
	}
	return h.flush()
}

// flush writes what the kernel takes. Until the socket is connected that is nothing; when it could
// not be connected, write says why.
func (h *handshake) flush() (err error) {
	h.unsent, err = writeSome(h.fd, h.unsent)
	return err
}

func (h *handshake) read(buffer []byte) error {
	b, err := readSome(h.fd, buffer)
	if err != nil || len(b) == 0 {
		return err
	}
	h.held = append(h.held, b...)
	return h.parse()
}

// parse takes whole packets off what is held, until the handshake is complete.
func (h *handshake) parse() error {
	for h.stage != ready {
		first, body, total, err := splitPacket(h.held)
		if err != nil || total == 0 {
			return err
		}
		if err := h.accept(first, body); err != nil {
			return err
		}
		h.held = h.held[total:]
	}
	return nil
}

// accept takes one packet. It skips PUBLISH, which a broker may send before SUBACK [MQTT-3.8.4].
func (h *handshake) accept(first byte, body []byte) error {
	switch {
	case first == packetConnack && h.stage == connack:
		if err := parseConnack(body); err != nil {
			return err
		}
		h.subscribe()
		return nil
	case first == packetSuback && h.stage == suback:
		granted, err := parseSuback(body)
		if err != nil {
			return err
		}
		h.granted = min(h.granted, granted)
		if h.subacks--; h.subacks == 0 {
			h.stage = ready
		}
		return nil
	case first&0xF0 == packetPublish && h.stage == suback:
		return nil
	}
	return fmt.Errorf("%w: packet 0x%02x while waiting for %s", errMalformed, first, h.stage)
}

// subscribe asks for all filters at once.
func (h *handshake) subscribe() {
	h.stage = ready
	for i := 0; i < len(h.filters); i += filtersMax {
		h.stage = suback
		h.subacks++
		h.unsent = appendSubscribe(h.unsent, uint16(h.subacks), h.filters[i:min(i+filtersMax, len(h.filters))], h.qos)
	}
}

func (s stage) String() string {
	return [...]string{"the connection", "CONNACK", "SUBACK", "nothing"}[s]
}

// splitPacket returns the first packet of b; total is 0 when b does not hold it whole.
func splitPacket(b []byte) (first byte, body []byte, total int, err error) {
	headerBytes, remaining, err := parseLength(b)
	switch {
	case err != nil || headerBytes == 0:
		return 0, nil, 0, err
	case remaining > handshakeBytesMax:
		return 0, nil, 0, fmt.Errorf("%w: %d bytes before the subscription", errMalformed, remaining)
	case len(b) < headerBytes+remaining:
		return 0, nil, 0, nil
	}
	total = headerBytes + remaining
	return b[0], b[headerBytes:total], total, nil
}

// connectError turns what the kernel or the broker said into one clear line.
func connectError(address string, stage stage, err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w to the broker at %s: connection refused, nothing listens there", ErrConnect, address)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%w to the broker at %s: it closed the connection while %s was awaited", ErrConnect, address, stage)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w to the broker at %s: %w: no source port is free, or a source address is not this machine's; more source addresses bring more ports", ErrConnect, address, err)
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("%w to the broker at %s: %w: raise the limit of descriptors (ulimit -n)", ErrConnect, address, err)
	case stage > connecting:
		return fmt.Errorf("%w to the broker at %s: waiting for %s: %w", ErrConnect, address, stage, err)
	}
	return fmt.Errorf("%w to the broker at %s: %w", ErrConnect, address, err)
}

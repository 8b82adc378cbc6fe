package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// probePause is the time between two attempts; chosen.
const probePause = 10 * time.Millisecond

// awaitAnswer waits until the broker accepts a CONNECT, and says why when it never does. The limit
// cuts no attempt short, so that the error of the last one says what the broker does.
func (b *Broker) awaitAnswer(ctx context.Context) error {
	limit := time.NewTimer(b.limits.start)
	defer limit.Stop()
	for {
		err := probe(ctx, b.Port, b.limits.probe)
		if b.child.gone() {
			return b.child.obituary()
		}
		if err == nil {
			return nil
		}
		select {
		case <-b.child.ended:
			return b.child.obituary()
		case <-ctx.Done():
			return fmt.Errorf("peer: start of %s: %w", b.Peer.Name, ctx.Err())
		case <-limit.C:
			return fmt.Errorf("peer: %s does not accept CONNECT within %v: %w%s", b.Peer.Name, b.limits.start, err, b.child.lastWords())
		case <-time.After(probePause):
		}
	}
}

var (
	errRefused  = errors.New("it refuses")
	errSilent   = errors.New("it does not answer")
	errNotReply = errors.New("it answers no CONNACK")
)

// probeAddress keeps a probe from connecting to itself, which TCP allows when the kernel gives a
// socket the very port that it connects to, and which would take the port from the broker.
var probeAddress = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}

// The packets of the probe, of MQTT 3.1.1.
var (
	// connect has a clean session, a Keep Alive of 10 s and the Client Identifier "probe".
	connect = []byte{
		0x10, 17, // CONNECT, remaining length
		0, 4, 'M', 'Q', 'T', 'T',
		4,     // protocol level
		0x02,  // connect flags: Clean Session
		0, 10, // Keep Alive
		0, 5, 'p', 'r', 'o', 'b', 'e',
	}
	disconnect = []byte{0xE0, 0}
)

// probe connects as a client, and returns nil when CONNACK accepts it within patience.
func probe(ctx context.Context, port int, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dialer := net.Dialer{LocalAddr: probeAddress}
	conn, err := dialer.DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(connect); err != nil {
		return err
	}
	if err := readConnack(conn); err != nil {
		return err
	}
	_, _ = conn.Write(disconnect)
	return nil
}

// readConnack reads
//
//	0x20 | remaining length 2 | Session Present | return code
func readConnack(r io.Reader) error {
	var connack [4]byte
	if _, err := io.ReadFull(r, connack[:]); err != nil {
		return fmt.Errorf("%w: %w", errSilent, err)
	}
	switch {
	case connack[0] != 0x20 || connack[1] != 2:
		return fmt.Errorf("%w: % x", errNotReply, connack)
	case connack[3] != 0:
		return fmt.Errorf("%w: return code %d", errRefused, connack[3])
	}
	return nil
}

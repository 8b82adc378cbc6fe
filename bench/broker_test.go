package bench

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fakeBroker fans out QoS 0 publishes, plainly, and misbehaves as told.
type fakeBroker struct {
	listener net.Listener
	connack  byte // return codes
	suback   byte
	silent   bool // never answer
	noAcks   bool // to publishers
	answers  int  // CONNECT packets answered, then no more; 0: all

	mu          sync.Mutex
	conns       []net.Conn
	subscribers []*fakeSubscriber // in order of SUBSCRIBE
	published   int
	deliveries  int
	connects    int
	// Above QoS 0: PUBACK and PUBCOMP from subscribers, PUBREL from publishers, and what came unasked.
	acknowledged, released, wrong int
	flags                         map[string]byte // Connect Flags by Client Identifier
	unsubscribed                  []string        // filters, in order
	// deliver decides about one delivery; nil: send it. Called with mu held.
	deliver func(b *fakeBroker, to *fakeSubscriber, frame []byte)
	// onPublish is called with mu held, before the fan-out.
	onPublish func(b *fakeBroker)
}

type fakeSubscriber struct {
	conn       net.Conn
	filter     string
	qos        byte // granted
	packetID   uint16
	deliveries int
	kept       []byte // by a deliver function
}

func (s *fakeSubscriber) send(frames ...[]byte) {
	for _, frame := range frames {
		_, _ = s.conn.Write(frame)
	}
}

// start listens on a port of its own and stops with the test.
func (b *fakeBroker) start(t *testing.T) *fakeBroker {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b.listener = listener
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.conns = append(b.conns, c)
			b.mu.Unlock()
			running.Go(func() { b.serve(c) })
		}
	})
	t.Cleanup(func() {
		b.die()
		running.Wait()
	})
	return b
}

// die closes everything.
func (b *fakeBroker) die() {
	_ = b.listener.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closeConns()
}

func (b *fakeBroker) closeConns() {
	for _, c := range b.conns {
		_ = c.Close()
	}
}

// config aims a short run at the broker.
func (b *fakeBroker) config() Config {
	c := DefaultConfig()
	c.Port = b.listener.Addr().(*net.TCPAddr).Port
	c.Publishers, c.Subscribers, c.Window = 4, 5, 40
	c.Warmup, c.Duration = 50*time.Millisecond, 200*time.Millisecond
	return c
}

// runUntil runs a load, however slow the machine is, until some of it was measured and it is enough, which is called
// with mu held. The Result is that of a run that was interrupted.
func (b *fakeBroker) runUntil(t *testing.T, c Config, enough func(s Sample) bool) Result {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var measured uint64
	c.Duration, c.SampleInterval = time.Hour, 20*time.Millisecond
	c.OnSample = func(s Sample) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if s.Phase == PhaseMeasure {
			measured += s.Deliveries
		}
		if measured > 0 && enough(s) {
			cancel()
		}
	}
	r, err := Run(ctx, c)
	require.NoError(t, err)
	require.True(t, r.Interrupted)
	return r
}

// anything is enough.
func anything(Sample) bool { return true }

func (b *fakeBroker) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	for {
		first, body, err := readAnyPacket(c)
		if err != nil || first == packetDisconnect {
			return
		}
		if b.silent {
			continue
		}
		switch first {
		case packetConnect:
			if b.tired(body) {
				continue
			}
			_, _ = c.Write([]byte{packetConnack, 2, 0, b.connack})
		case packetSubscribe:
			b.subscribe(c, body)
		case packetUnsubscribe:
			b.unsubscribe(body)
		case packetPublish:
			b.publish(body, 0)
		case packetPublish | 2, packetPublish | 4:
			topicBytes := int(body[0])<<8 + int(body[1])
			id := uint16(body[2+topicBytes])<<8 + uint16(body[3+topicBytes])
			b.publish(slices.Delete(body, 2+topicBytes, 4+topicBytes), first>>1&3)
			answer := byte(packetPuback)
			if first == packetPublish|4 {
				answer = packetPubrec
			}
			if !b.noAcks {
				_, _ = c.Write(appendAck(nil, answer, id))
			}
		default:
			b.acknowledge(c, first, uint16(body[0])<<8+uint16(body[1]))
		}
	}
}

// tired takes a CONNECT packet and reports whether enough have been answered.
func (b *fakeBroker) tired(body []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.connects++
	if b.flags == nil {
		b.flags = map[string]byte{}
	}
	b.flags[string(body[12:])] = body[7]
	return b.answers > 0 && b.connects > b.answers
}

func (b *fakeBroker) subscribe(c net.Conn, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	suback := []byte{packetSuback, 2, body[0], body[1]}
	for rest := body[2:]; len(rest) > 0; suback[1]++ {
		n := int(rest[0])<<8 + int(rest[1])
		b.subscribers = append(b.subscribers, &fakeSubscriber{conn: c, filter: string(rest[2 : 2+n]), qos: b.suback & 3})
		suback = append(suback, b.suback)
		rest = rest[2+n+1:]
	}
	_, _ = c.Write(suback)
}

func (b *fakeBroker) unsubscribe(body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for rest := body[2:]; len(rest) > 0; {
		n := int(rest[0])<<8 + int(rest[1])
		b.unsubscribed = append(b.unsubscribed, string(rest[2:2+n]))
		rest = rest[2+n:]
	}
}

// acknowledge plays the rest of the handshakes of QoS 1 and 2, from either side.
func (b *fakeBroker) acknowledge(c net.Conn, first byte, id uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch first {
	case packetPuback, packetPubcomp:
		b.acknowledged++
	case packetPubrec:
		_, _ = c.Write(appendAck(nil, packetPubrel, id))
	case packetPubrel:
		b.released++
		_, _ = c.Write(appendAck(nil, packetPubcomp, id))
	default:
		b.wrong++
	}
}

func (b *fakeBroker) publish(body []byte, qos byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	topicBytes := int(body[0])<<8 + int(body[1])
	topic := string(body[2 : 2+topicBytes])
	b.published++
	if b.onPublish != nil {
		b.onPublish(b)
	}
	for _, s := range b.subscribers {
		if !matches(s.filter, topic) {
			continue
		}
		b.deliveries++
		s.deliveries++
		frame := s.frame(body, topicBytes, min(qos, s.qos))
		if b.deliver != nil {
			b.deliver(b, s, frame)
			continue
		}
		s.send(frame)
	}
}

func (s *fakeSubscriber) frame(body []byte, topicBytes int, qos byte) []byte {
	frame := appendLength([]byte{packetPublish | qos<<1}, len(body)+packetIDBytes(int(qos)))
	frame = append(frame, body[:2+topicBytes]...)
	if qos > 0 {
		s.packetID++
		frame = append(frame, byte(s.packetID>>8), byte(s.packetID))
	}
	return append(frame, body[2+topicBytes:]...)
}

// readAnyPacket reads one packet and not a byte more.
func readAnyPacket(r io.Reader) (first byte, body []byte, err error) {
	var header [5]byte
	for n := 2; n <= len(header); n++ {
		from := n - 1
		if n == 2 {
			from = 0
		}
		if _, err := io.ReadFull(r, header[from:n]); err != nil {
			return 0, nil, err
		}
		headerBytes, remaining, err := parseLength(header[:n])
		if err != nil {
			return 0, nil, err
		}
		if headerBytes > 0 {
			body = make([]byte, remaining)
			_, err = io.ReadFull(r, body)
			return header[0], body, err
		}
	}
	return 0, nil, errMalformed
}

// samePublisher reports whether two frames of equal layout come from one publisher.
func samePublisher(a, b []byte, payloadBytes int) bool {
	at := len(a) - payloadBytes + headerPublisher
	return len(a) == len(b) && [4]byte(a[at:]) == [4]byte(b[at:])
}

// absentPort returns a port on which nothing listens, nor comes to listen while the test runs.
func absentPort(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	address, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return address.(*unix.SockaddrInet4).Port
}

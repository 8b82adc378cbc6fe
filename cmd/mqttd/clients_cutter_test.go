package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
)

// cutter stands between a client and the broker, notes the packets that pass, unchanged, and can end
// the connection in place of one. Any goroutine may call its methods.
type cutter struct {
	listener net.Listener
	broker   string

	mu      sync.Mutex
	cuts    []packetKind  // guarded by mu: still to be made, in this order
	passed  []passed      // guarded by mu
	changed chan struct{} // guarded by mu: closed, and replaced, with each packet and cut
}

// packetKind is what a cut looks for.
type packetKind struct {
	fromClient bool
	packetType byte
}

func (k packetKind) String() string {
	return fmt.Sprintf("%s %s", map[bool]string{true: "the client's", false: "the broker's"}[k.fromClient],
		packets.PacketNames[k.packetType])
}

// passed is a packet that one side has sent and the other one gets, unless it is cut.
type passed struct {
	packetKind
	packet packets.ControlPacket
	size   int // bytes
	cut    bool
}

// startCutter listens for clients of the broker until the test ends.
func startCutter(t *testing.T, b *broker) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{listener: listener, broker: net.JoinHostPort(b.host, b.port), changed: make(chan struct{})}
	ctx, end := context.WithCancel(context.Background())
	var lines sync.WaitGroup
	lines.Go(func() {
		for client, err := listener.Accept(); err == nil; client, err = listener.Accept() {
			lines.Go(func() { c.serve(ctx, t, client) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		end()
		lines.Wait()
	})
	return c
}

// through returns the connection, by way of the cutter.
func (c *cutter) through(on connection) connection {
	on.host, on.port, _ = net.SplitHostPort(c.listener.Addr().String())
	return on
}

// serve carries packets both ways until one end closes, a packet is cut or the test ends.
func (c *cutter) serve(ctx context.Context, t *testing.T, client net.Conn) {
	defer client.Close()
	defer context.AfterFunc(ctx, func() { client.Close() })()
	broker, err := net.Dial("tcp", c.broker)
	if err != nil {
		t.Errorf("cutter: %v", err)
		return
	}
	defer broker.Close()
	var ways sync.WaitGroup
	carry := func(from, to net.Conn, fromClient bool) {
		defer from.Close()
		defer to.Close()
		for c.carryPacket(from, to, fromClient) {
		}
	}
	ways.Go(func() { carry(client, broker, true) })
	ways.Go(func() { carry(broker, client, false) })
	ways.Wait()
}

// carryPacket carries one packet, and reports whether there may be another.
func (c *cutter) carryPacket(from io.Reader, to io.Writer, fromClient bool) bool {
	var raw bytes.Buffer
	packet, err := packets.ReadPacket(io.TeeReader(from, &raw))
	if err != nil {
		return false
	}
	if c.note(packet, raw.Bytes(), fromClient) {
		return false
	}
	_, err = to.Write(raw.Bytes())
	return err == nil
}

// note reports whether the packet is to be cut.
func (c *cutter) note(packet packets.ControlPacket, raw []byte, fromClient bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := packetKind{fromClient, raw[0] >> 4}
	cut := len(c.cuts) > 0 && c.cuts[0] == kind
	if cut {
		c.cuts = c.cuts[1:]
	}
	c.passed = append(c.passed, passed{kind, packet, len(raw), cut})
	close(c.changed)
	c.changed = make(chan struct{})
	return cut
}

// cutAt ends connections in place of the next packet of the first kind, after that of the second, and
// so on.
func (c *cutter) cutAt(kinds ...packetKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cuts = slices.Clone(kinds)
}

// awaitPassed returns when so many packets of the kind have reached their receiver's side, and all
// cuts are made.
func (c *cutter) awaitPassed(t *testing.T, kind packetKind, count int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		done := len(c.cuts) == 0 && c.countPassed(kind) >= count
		changed := c.changed
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited %v for %v, %d times, and all cuts", patience, kind, count)
		}
	}
}

// countPassed must be called with mu held.
func (c *cutter) countPassed(kind packetKind) int {
	count := 0
	for _, p := range c.passed {
		if p.packetKind == kind && !p.cut {
			count++
		}
	}
	return count
}

// all returns the packets of the kind so far, whether cut or not.
func (c *cutter) all(kind packetKind) []passed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.passed), func(p passed) bool { return p.packetKind != kind })
}

// countFromBroker returns how many packets of each type the broker has sent.
func (c *cutter) countFromBroker() map[byte]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := make(map[byte]int)
	for _, p := range c.passed {
		if !p.fromClient {
			counts[p.packetType]++
		}
	}
	return counts
}

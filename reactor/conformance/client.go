package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// client is one Network Connection of a trial. Its expectations fail the trial.
type client struct {
	t      *trial
	origin connect // what it connected with
	conn   net.Conn
	in     *bufio.Reader
	early  [][]byte // packets read while waiting for another, oldest first
	lastID uint16   // last Packet Identifier handed out
	only   string   // when set, a PUBLISH whose topic lacks it belongs to another trial and is skipped
}

func newClient(t *trial, conn net.Conn) *client {
	return &client{t: t, conn: conn, in: bufio.NewReader(conn)}
}

// send writes the packets in one piece.
func (c *client) send(packets ...[]byte) {
	require.NoError(c.t, c.conn.SetWriteDeadline(time.Now().Add(c.t.patience)))
	_, err := c.conn.Write(join(packets...))
	require.NoError(c.t, err, "sending")
}

// trySend writes what the broker may refuse to take by closing the connection.
func (c *client) trySend(packets ...[]byte) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.t.patience))
	_, _ = c.conn.Write(join(packets...))
}

// drop ends the Network Connection without DISCONNECT. The broker learns of it later.
func (c *client) drop() { _ = c.conn.Close() }

// leave ends the Network Connection with DISCONNECT, and returns when the broker has closed it.
func (c *client) leave() {
	c.send(disconnect)
	c.expectClosed("DISCONNECT")
}

// fault breaks the protocol, and returns when the broker has closed the Network Connection for it. What the broker
// sent before does not matter.
func (c *client) fault() {
	c.trySend(packet(0x00))
	c.awaitClosed(c.t.patience, "a malformed packet")
}

// resume connects with the same CONNECT again, which must be one with Clean Session 0, and expects a stored Session.
func (c *client) resume() *client { return c.t.connectTo(c.origin, 1) }

// again connects with the same CONNECT again and expects no stored Session.
func (c *client) again() *client { return c.t.connectTo(c.origin, 0) }

// read returns the next packet, or the error that ended the wait.
func (c *client) read(wait time.Duration) ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	for {
		frame, err := readPacket(c.in)
		if err == nil && c.foreign(frame) {
			continue
		}
		return frame, err
	}
}

func (c *client) foreign(frame []byte) bool {
	if c.only == "" || frame[0]&0xF0 != firstPublish {
		return false
	}
	p, ok := parsePublish(frame)
	return ok && !strings.Contains(p.topic, c.only)
}

// next returns the next packet, which must come.
func (c *client) next(what string) []byte {
	if len(c.early) > 0 {
		frame := c.early[0]
		c.early = c.early[1:]
		return frame
	}
	frame, err := c.read(c.t.patience)
	require.NoError(c.t, err, "waiting for %s", what)
	return frame
}

// expect checks that the next packet is want, byte for byte.
func (c *client) expect(what string, want []byte) {
	if got := c.next(what); string(got) != string(want) {
		c.t.Errorf("expected %s: %s\n     got: %s", what, show(want), show(got))
		c.t.FailNow()
	}
}

func (c *client) expectConnack(sessionPresent, code byte) {
	c.expect(fmt.Sprintf("CONNACK %d/0x%02x", sessionPresent, code), connack(sessionPresent, code))
}

// expectBoth checks that the two packets are the next to come, in either order.
func (c *client) expectBoth(a, b []byte) {
	first := c.next(show(a))
	c.early = append([][]byte{first}, c.early...)
	if string(first) == string(b) {
		a, b = b, a
	}
	c.expect("one of two packets", a)
	c.expect("the other of two packets", b)
}

// expectPublish checks that the messages are the next to come, in this order.
func (c *client) expectPublish(messages ...publish) {
	for _, m := range messages {
		c.expect("PUBLISH", m.packet())
	}
}

// expectPublishSet checks that the messages are the next to come, in any order.
func (c *client) expectPublishSet(messages ...publish) {
	want, got := map[string]int{}, map[string]int{}
	for _, m := range messages {
		want[show(m.packet())]++
	}
	for range messages {
		got[show(c.next("PUBLISH"))]++
	}
	require.Equal(c.t, want, got)
}

// nextOrClosed returns the next packet, or nil when the connection has ended; one of the two must come.
func (c *client) nextOrClosed() []byte {
	frame, err := c.read(c.t.patience)
	require.NotErrorIs(c.t, err, errCutShort)
	require.NotErrorIs(c.t, err, os.ErrDeadlineExceeded)
	if err != nil {
		return nil
	}
	return frame
}

// expectClosed checks that the broker ends the connection and sends nothing before.
func (c *client) expectClosed(why string) {
	for _, frame := range c.early {
		c.t.Errorf("expected a closed connection after %s, got %s", why, show(frame))
		c.t.FailNow()
	}
	frame, err := c.read(c.t.patience)
	if err == nil {
		c.t.Errorf("expected a closed connection after %s, got %s", why, show(frame))
		c.t.FailNow()
	}
	require.NotErrorIs(c.t, err, errCutShort)
	c.requireEnded(err, why)
}

// requireEnded fails when err is not the end of the connection but of the wait.
func (c *client) requireEnded(err error, why string) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("the connection stayed open after %s", why)
		c.t.FailNow()
	}
}

// awaitClosed waits for the end of the connection, whatever the broker sends before, and returns when it came.
func (c *client) awaitClosed(wait time.Duration, why string) time.Time {
	for end := time.Now().Add(wait); ; {
		_, err := c.read(time.Until(end))
		if err == nil {
			continue
		}
		c.requireEnded(err, why)
		return time.Now()
	}
}

// ping shows that the connection is alive and that nothing waits to be read: PINGRESP must be the next packet.
func (c *client) ping() {
	c.send(pingreq)
	c.expect("PINGRESP", pingresp)
}

// expectSilence proves that the broker has nothing more for c of what by sent: see drain.
func (c *client) expectSilence(by *client) {
	for _, m := range c.drain(by) {
		c.t.Errorf("expected nothing, got %s", show(m.packet()))
		c.t.FailNow()
	}
}

// drain takes what the broker has for c until markers have come that by publishes now, and returns what was no marker.
// There is one at each QoS, for a broker may let a message overtake those of another QoS [MQTT-4.6.0-6].
func (c *client) drain(by *client) (others []publish) {
	marker := publish{topic: "marker/" + c.t.token, payload: "nothing before this"}
	c.subscribeQoS(subscription{marker.topic, 2})
	for qos := range byte(3) {
		marker.qos, marker.id = qos, 50_000+uint16(qos) // not an identifier that a case uses
		by.give(marker)
	}
	for markers := 0; markers < 3; {
		m := c.nextPublish()
		c.accept(m.qos, m.id)
		if m.topic == marker.topic {
			markers++
		} else {
			others = append(others, m)
		}
	}
	c.unsubscribe(marker.topic)
	for len(c.early) > 0 {
		others = append(others, c.nextPublish())
	}
	return others
}

// newID returns a Packet Identifier that is not in use.
func (c *client) newID() uint16 {
	c.lastID++
	return c.lastID
}

// subscribe asks for QoS 0 and waits for the SUBACK.
func (c *client) subscribe(filters ...string) {
	subscriptions := make([]subscription, len(filters))
	for i, filter := range filters {
		subscriptions[i].filter = filter
	}
	c.subscribeQoS(subscriptions...)
}

// subscribeQoS sends one SUBSCRIBE and waits for its SUBACK; retained messages may come before it.
func (c *client) subscribeQoS(subscriptions ...subscription) {
	id := c.newID()
	codes := make([]byte, len(subscriptions))
	for i, s := range subscriptions {
		codes[i] = c.t.granted(s.qos)
	}
	c.send(subscribe(id, subscriptions...))
	c.expectAfterPublishes("SUBACK", suback(id, codes...))
}

// unsubscribe waits for the UNSUBACK; messages may come before it.
func (c *client) unsubscribe(filters ...string) {
	id := c.newID()
	c.send(unsubscribe(id, filters...))
	c.expectAfterPublishes("UNSUBACK", acknowledge(firstUnsuback, id))
}

// expectAfterPublishes checks that want is the next packet that is not a PUBLISH, and keeps those for next.
func (c *client) expectAfterPublishes(what string, want []byte) {
	var early [][]byte
	for {
		frame := c.next(what)
		if frame[0]&0xF0 == firstPublish {
			early = append(early, frame)
			continue
		}
		if string(frame) != string(want) {
			c.t.Errorf("expected %s: %s\n     got: %s", what, show(want), show(frame))
			c.t.FailNow()
		}
		c.early = append(early, c.early...)
		return
	}
}

// show renders a packet for a failure, cut where it is long.
func show(frame []byte) string {
	const shownMax = 96
	name := [16]string{"reserved 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
		"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "reserved 15"}[frame[0]>>4]
	if len(frame) <= shownMax {
		return fmt.Sprintf("%s %q", name, frame)
	}
	return fmt.Sprintf("%s %q... (%d bytes)", name, frame[:shownMax], len(frame))
}

package main_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// First bytes of packets. Packets are written here once more, because an instrument must not share parts
// with what it judges.
const (
	byteConnect    = 0x10
	byteConnack    = 0x20
	bytePublish    = 0x30 // at QoS 0
	bytePublishQ1  = 0x32
	bytePuback     = 0x40
	byteSubscribe  = 0x82
	byteSuback     = 0x90
	bytePingreq    = 0xC0
	bytePingresp   = 0xD0
	byteDisconnect = 0xE0
)

// connectPacket is a CONNECT of MQTT 3.1.1 with Clean Session and without Keep Alive.
func connectPacket(clientID string) []byte {
	return appendText(append(fixedHeader(byteConnect, 10+2+len(clientID)), "\x00\x04MQTT\x04\x02\x00\x00"...), clientID)
}

func subscribePacket(packetID uint16, filters ...string) []byte {
	length := 2
	for _, filter := range filters {
		length += 2 + len(filter) + 1
	}
	p := binary.BigEndian.AppendUint16(fixedHeader(byteSubscribe, length), packetID)
	for _, filter := range filters {
		p = append(appendText(p, filter), 0)
	}
	return p
}

func publishPacket(topic string, payload []byte) []byte {
	return append(appendText(fixedHeader(bytePublish, 2+len(topic)+len(payload)), topic), payload...)
}

func publishPacketQoS1(packetID uint16, topic string, payload []byte) []byte {
	p := appendText(fixedHeader(bytePublishQ1, 2+len(topic)+2+len(payload)), topic)
	return append(binary.BigEndian.AppendUint16(p, packetID), payload...)
}

func fixedHeader(first byte, length int) []byte {
	p := []byte{first}
	for ; length >= 0x80; length >>= 7 {
		p = append(p, byte(length)|0x80)
	}
	return append(p, byte(length))
}

func appendText(p []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(p, uint16(len(text))), text...)
}

// peer is a bare MQTT client, which does what it is told, faults included. One goroutine may write
// while another reads.
type peer struct {
	*net.TCPConn
	in       *bufio.Reader
	body     []byte
	progress atomic.Int64 // one more than the number of the latest message of a flood that was read
}

// packet is one packet from the broker; its body is valid until the next one is read.
type packet struct {
	first byte
	body  []byte
}

var peerCount atomic.Uint32

// dialPeer connects from loopback addresses in turn, so that no pair of addresses runs out of ports and no
// broker's port is taken. receiveBytes, unless 0, is the size of the receive buffer asked for.
func dialPeer(b *broker, receiveBytes int) (*peer, error) {
	dialer := net.Dialer{
		Timeout:   faultPatience,
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+peerCount.Add(1)%200))},
		Control: func(_, _ string, raw syscall.RawConn) (err error) {
			const ipBindAddressNoPort = 24 // the port is chosen with the destination: TIME_WAIT does not use it up
			if e := raw.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
				if receiveBytes > 0 && err == nil {
					err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveBytes)
				}
			}); e != nil {
				return e
			}
			return err
		},
	}
	conn, err := dialer.Dial("tcp", net.JoinHostPort(b.host, b.port))
	if err != nil {
		return nil, err
	}
	return &peer{TCPConn: conn.(*net.TCPConn), in: bufio.NewReaderSize(conn, 4<<10)}, nil
}

// newPeer returns a peer that has connected and subscribed. It is closed when the test ends.
func newPeer(t *testing.T, b *broker, receiveBytes int, filters ...string) *peer {
	t.Helper()
	p := newStranger(t, b, receiveBytes)
	require.NoError(t, p.connect(fmt.Sprint("peer-", peerCount.Add(1))))
	if len(filters) > 0 {
		_, err := p.subscribe(1, filters...)
		require.NoError(t, err)
	}
	return p
}

// newStranger returns a peer that has sent nothing. It is closed when the test ends.
func newStranger(t *testing.T, b *broker, receiveBytes int) *peer {
	t.Helper()
	p, err := dialPeer(b, receiveBytes)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// errRefused is that a broker answered CONNECT with another code than 0.
var errRefused = errors.New("CONNECT refused")

func (p *peer) connect(clientID string) error {
	if err := p.send(connectPacket(clientID)); err != nil {
		return err
	}
	return p.accepted()
}

// accepted reads the CONNACK.
func (p *peer) accepted() error {
	got, err := p.await(byteConnack)
	if err == nil && (len(got.body) != 2 || got.body[1] != 0) {
		return fmt.Errorf("%w: %x", errRefused, got.body)
	}
	return err
}

// subscribe returns the codes of the SUBACK. What is published meanwhile is lost.
func (p *peer) subscribe(packetID uint16, filters ...string) (codes []byte, err error) {
	if err := p.send(subscribePacket(packetID, filters...)); err != nil {
		return nil, err
	}
	got, err := p.await(byteSuback)
	if err != nil {
		return nil, err
	}
	return got.body[2:], nil
}

// ping returns when the broker has handled all that was sent. What is published meanwhile is lost.
func (p *peer) ping() error {
	if err := p.send([]byte{bytePingreq, 0}); err != nil {
		return err
	}
	_, err := p.await(bytePingresp)
	return err
}

func (p *peer) send(packet []byte) error {
	_ = p.SetWriteDeadline(time.Now().Add(faultPatience)) // fails when closed, which Write says as well
	_, err := p.Write(packet)
	return err
}

// await reads until a packet of a kind comes, for as long as the patience lasts.
func (p *peer) await(first byte) (packet, error) {
	_ = p.SetReadDeadline(time.Now().Add(faultPatience))
	defer p.SetReadDeadline(time.Time{})
	for {
		got, err := p.next()
		if err != nil || got.first == first {
			return got, err
		}
	}
}

// next reads one packet.
func (p *peer) next() (packet, error) {
	first, err := p.in.ReadByte()
	if err != nil {
		return packet{}, err
	}
	length, err := binary.ReadUvarint(p.in) // which is what the Remaining Length is
	if err != nil {
		return packet{}, err
	}
	if length > 256<<20 {
		return packet{}, fmt.Errorf("not a packet: %#x with %d bytes", first, length)
	}
	if uint64(cap(p.body)) < length {
		p.body = make([]byte, length)
	}
	p.body = p.body[:length]
	_, err = io.ReadFull(p.in, p.body)
	return packet{first, p.body}, err
}

// message returns what a PUBLISH at QoS 0 carries.
func (got packet) message() (topic, payload []byte, err error) {
	if got.first != bytePublish || len(got.body) < 2 || len(got.body) < 2+int(binary.BigEndian.Uint16(got.body)) {
		return nil, nil, fmt.Errorf("not a PUBLISH as it should be: %#x with %d bytes", got.first, len(got.body))
	}
	end := 2 + int(binary.BigEndian.Uint16(got.body))
	return got.body[2:end], got.body[end:], nil
}

// reset closes the connection with a RST, throwing away what is under way.
func (p *peer) reset() {
	_ = p.SetLinger(0) // fails when closed, as does Close
	p.Close()
}

// awaitClosed reads on until the broker has closed the connection, and returns an error if it does not within the
// given time.
func (p *peer) awaitClosed(within time.Duration) error {
	_ = p.SetReadDeadline(time.Now().Add(within))
	for {
		if _, err := p.in.Discard(1); err != nil {
			if isTimeout(err) {
				return fmt.Errorf("not closed within %v", within)
			}
			return nil
		}
	}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

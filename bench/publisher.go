package bench

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// batchBytesMax bounds the frames written at once by one publisher; chosen.
const batchBytesMax = 256 << 10

// publisher is one publishing connection, or one at a time. Loop-confined.
type publisher struct {
	fd   int // -1: not connected
	flow *flow

	topics     []string // taken in turn, all of one length
	batch      []byte   // whole prebuilt frames, patched in place before each write
	frameBytes int
	frames     int // in batch
	header     int // where the payload begins in a frame
	qos        int
	idBytes    int // of the Packet Identifier before the payload

	pending  []byte              // the part of batch that the kernel has not taken yet
	releases []byte              // PUBREL packets that come after it
	held     []byte              // the beginning of an acknowledgement
	acked    uint64              // messages whose handshake is complete; above QoS 0 acked <= flow.sent
	inUse    map[uint16]struct{} // Packet Identifiers of the others, flow.sent - acked of them
	excused  int                 // of the others, those that a closed loop no longer waits for
	watching bool                // for room to write
}

// inFlightMax is how many messages of a connection may wait for their acknowledgement: their Packet
// Identifiers must differ [MQTT-2.3.1-2].
const inFlightMax = 65_535

// newPublisher prebuilds a batch of up to framesMax frames.
func newPublisher(f *flow, index int, topics []string, tag uint32, qos, payloadBytes, framesMax int) *publisher {
	frame := appendPublish(nil, topics[0], qos, payloadBytes)
	p := &publisher{fd: -1, flow: f, topics: topics, frameBytes: len(frame), header: len(frame) - payloadBytes, qos: qos, idBytes: packetIDBytes(qos), inUse: map[uint16]struct{}{}}
	binary.LittleEndian.PutUint32(frame[p.header:], tag)
	binary.LittleEndian.PutUint32(frame[p.header+headerPublisher:], uint32(index))
	p.frames = max(1, min(framesMax, batchBytesMax/len(frame)))
	for range p.frames {
		p.batch = append(p.batch, frame...)
	}
	return p
}

// send writes the next n messages, or as many as the kernel takes now. Message i carries the time
// atNs + i*stepNs. Nothing may wait to be written, and n is at most p.room.
func (p *publisher) send(n int, atNs, stepNs int64) error {
	for i := range n {
		frame := p.batch[i*p.frameBytes:]
		sequence := p.flow.sent + uint64(i)
		if topics := uint64(len(p.topics)); topics > 1 {
			topic := p.topics[sequence%topics]
			copy(frame[p.header-p.idBytes-len(topic):], topic)
		}
		if p.idBytes > 0 {
			packetID := uint16(1 + sequence%inFlightMax)
			binary.BigEndian.PutUint16(frame[p.header-p.idBytes:], packetID)
			p.inUse[packetID] = struct{}{}
		}
		header := frame[p.header:]
		binary.LittleEndian.PutUint64(header[headerSequence:], sequence)
		binary.LittleEndian.PutUint64(header[headerTime:], uint64(atNs+int64(i)*stepNs))
	}
	p.flow.sent += uint64(n)
	p.pending = p.batch[:n*p.frameBytes]
	return p.flush()
}

// room returns how many messages can be sent at once now.
func (p *publisher) room() int {
	switch {
	case p.blocked():
		return 0
	case p.idBytes == 0:
		return p.frames
	}
	return min(p.frames, inFlightMax-p.inFlight())
}

// inFlight returns how many messages wait for their acknowledgement.
func (p *publisher) inFlight() int {
	if p.idBytes == 0 {
		return 0
	}
	return int(p.flow.sent - p.acked)
}

// outstanding returns how many messages count in a closed loop: those that some subscriber waits for, or
// those that the publisher waits for itself, whichever are more.
func (p *publisher) outstanding() int {
	return max(p.flow.outstanding(), p.inFlight()-p.excused)
}

// giveUp stops counting every message sent so far.
func (p *publisher) giveUp() {
	p.flow.giveUp()
	p.excused = p.inFlight()
}

// blocked reports whether something waits to be written.
func (p *publisher) blocked() bool { return len(p.pending)+len(p.releases) > 0 }

// flush writes what is pending, or as much of it as the kernel takes now.
func (p *publisher) flush() (err error) {
	if p.pending, err = writeSome(p.fd, p.pending); err == nil && len(p.pending) == 0 {
		p.releases, err = writeSome(p.fd, p.releases)
	}
	return err
}

// writeSome returns what the kernel does not take now.
func writeSome(fd int, b []byte) ([]byte, error) {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return b, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return b, err
		}
		b = b[n:]
	}
	return b, nil
}

// acknowledge takes what the broker sent: acknowledgements, in whatever pieces.
func (p *publisher) acknowledge(b []byte) error {
	p.held = append(p.held, b...)
	b = p.held
	for len(b) >= ackBytes {
		first, packetID := b[0], binary.BigEndian.Uint16(b[2:])
		_, used := p.inUse[packetID]
		switch {
		case b[1] != ackBytes-2 || !used:
			return fmt.Errorf("%w: packet 0x%02x, which a publisher did not ask for", errMalformed, first)
		case first == packetPuback && p.qos == 1, first == packetPubcomp && p.qos == 2:
			p.acked++
			p.excused = min(p.excused, p.inFlight())
			delete(p.inUse, packetID)
		case first == packetPubrec && p.qos == 2:
			p.releases = appendAck(p.releases, packetPubrel, packetID)
		default:
			return fmt.Errorf("%w: packet 0x%02x, an acknowledgement expected", errMalformed, first)
		}
		b = b[ackBytes:]
	}
	p.held = append(p.held[:0], b...)
	return nil
}

// unwritten returns the number of messages that did not leave whole.
func (p *publisher) unwritten() uint64 {
	return uint64((len(p.pending) + p.frameBytes - 1) / p.frameBytes)
}

// hangUp ends the connection; a message that did not leave whole is lost with it.
func (p *publisher) hangUp() {
	hangUp(p.fd)
	p.fd, p.watching, p.held, p.releases = -1, false, p.held[:0], p.releases[:0]
}

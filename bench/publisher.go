package bench

import (
	"encoding/binary"
	"errors"

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

	pending  []byte // the part of batch that the kernel has not taken yet
	watching bool   // for room to write
}

// newPublisher prebuilds a batch of up to framesMax frames.
func newPublisher(f *flow, index int, topics []string, tag uint32, payloadBytes, framesMax int) *publisher {
	frame := appendPublish(nil, topics[0], payloadBytes)
	p := &publisher{fd: -1, flow: f, topics: topics, frameBytes: len(frame), header: len(frame) - payloadBytes}
	binary.LittleEndian.PutUint32(frame[p.header:], tag)
	binary.LittleEndian.PutUint32(frame[p.header+headerPublisher:], uint32(index))
	p.frames = max(1, min(framesMax, batchBytesMax/len(frame)))
	for range p.frames {
		p.batch = append(p.batch, frame...)
	}
	return p
}

// send writes the next n messages, or as many as the kernel takes now. Message i carries the time
// atNs + i*stepNs. Nothing may be pending, and n is at most p.frames.
func (p *publisher) send(n int, atNs, stepNs int64) error {
	for i := range n {
		frame := p.batch[i*p.frameBytes:]
		sequence := p.flow.sent + uint64(i)
		if topics := uint64(len(p.topics)); topics > 1 {
			topic := p.topics[sequence%topics]
			copy(frame[p.header-len(topic):], topic)
		}
		header := frame[p.header:]
		binary.LittleEndian.PutUint64(header[headerSequence:], sequence)
		binary.LittleEndian.PutUint64(header[headerTime:], uint64(atNs+int64(i)*stepNs))
	}
	p.flow.sent += uint64(n)
	p.pending = p.batch[:n*p.frameBytes]
	return p.flush()
}

// flush writes what is pending, or as much of it as the kernel takes now.
func (p *publisher) flush() error {
	for len(p.pending) > 0 {
		n, err := unix.Write(p.fd, p.pending)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		}
		p.pending = p.pending[n:]
	}
	return nil
}

// unwritten returns the number of messages that did not leave whole.
func (p *publisher) unwritten() uint64 {
	return uint64((len(p.pending) + p.frameBytes - 1) / p.frameBytes)
}

// hangUp ends the connection; a message that did not leave whole is lost with it.
func (p *publisher) hangUp() {
	hangUp(p.fd)
	p.fd, p.watching = -1, false
}

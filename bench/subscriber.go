package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// subscriber is one subscribing connection and its account. Loop-confined.
type subscriber struct {
	fd      int
	class   int32 // what it reads, see plan
	ordinal int   // its place in a flow

	held []byte // the beginning of a frame that has not arrived whole
	skip int    // bytes still to come of a frame that is too large to be ours

	account account
}

// account counts what one subscriber received.
type account struct {
	received   uint64 // every delivery of this run, duplicates included
	duplicated uint64
	outOfOrder uint64
	unexpected uint64 // PUBLISH packets that this run did not send, or not to this subscriber
}

// unique returns the number of different messages received.
func (a account) unique() uint64 { return a.received - a.duplicated }

// read reads once into buffer, whose first bytes must have room for what is held, and returns the
// bytes to parse, or nil when there are none.
func (s *subscriber) read(buffer []byte) ([]byte, error) {
	held := copy(buffer, s.held)
	n, err := unix.Read(s.fd, buffer[held:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil, nil
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.EOF
	}
	s.held = s.held[:0]
	return buffer[:held+n], nil
}

// parse hands every whole PUBLISH in b to the meter and holds the rest.
func (s *subscriber) parse(b []byte, m *meter) error {
	if s.skip > 0 {
		n := min(s.skip, len(b))
		s.skip -= n
		b = b[n:]
	}
	for len(b) >= 2 {
		headerBytes, remaining := 2, int(b[1])
		if remaining >= 0x80 {
			var err error
			if headerBytes, remaining, err = parseLength(b); err != nil {
				return err
			}
			if headerBytes == 0 {
				break
			}
		}
		if b[0]&^0x01 != packetPublish { // RETAIN may be set
			return fmt.Errorf("%w: packet 0x%02x, a QoS 0 PUBLISH expected", errMalformed, b[0])
		}
		total := headerBytes + remaining
		if total > len(b) {
			if total > m.frameBytesMax {
				s.account.unexpected++
				s.skip, b = total-len(b), nil
			}
			break
		}
		s.publish(b[headerBytes:total], m)
		b = b[total:]
	}
	s.held = append(s.held, b...)
	return nil
}

// publish accounts for one PUBLISH: the Topic Name's length, the Topic Name, the payload.
func (s *subscriber) publish(body []byte, m *meter) {
	if len(body) < 2 {
		s.account.unexpected++
		return
	}
	topicBytes := int(binary.BigEndian.Uint16(body))
	if len(body) != 2+topicBytes+m.payloadBytes {
		s.account.unexpected++
		return
	}
	payload := body[2+topicBytes:]
	header := payload[:PayloadBytesMin]
	publisher := binary.LittleEndian.Uint32(header[headerPublisher:])
	if binary.LittleEndian.Uint32(header) != m.tag || publisher >= uint32(len(m.flows)) {
		s.account.unexpected++
		return
	}
	f := m.flows[publisher]
	if f.class != s.class {
		s.account.unexpected++
		return
	}
	sequence := binary.LittleEndian.Uint64(header[headerSequence:])
	if f.deliverNext(s.ordinal, sequence) {
		s.account.received++
	} else if !s.disorder(f, sequence, m) {
		return
	}
	m.delivered(publisher, f, int64(binary.LittleEndian.Uint64(header[headerTime:])))
}

// disorder accounts for a delivery that was not the next one, and reports whether it is new.
func (s *subscriber) disorder(f *flow, sequence uint64, m *meter) bool {
	v, missing := f.deliver(s.ordinal, sequence)
	if v == unexpected {
		s.account.unexpected++
		return false
	}
	s.account.received++
	m.missing += missing
	switch v {
	case duplicate:
		s.account.duplicated++
		m.now.duplicated++
		return false
	case outOfOrder:
		s.account.outOfOrder++
	}
	return true
}

package bench

import (
	"encoding/binary"
	"fmt"
)

// subscriber is one subscribing connection and its account. Loop-confined.
type subscriber struct {
	fd      int
	class   int32 // what it reads, see plan
	ordinal int   // its place in a flow

	qos  int    // asked for
	held []byte // the beginning of a frame that has not arrived whole
	skip int    // bytes still to come of a frame that is too large to be ours

	acks     []byte // not written yet; always empty at QoS 0
	awaited  int    // PUBREL packets that the broker owes
	watching bool   // for room to write them

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
	b, err := readSome(s.fd, buffer[held:])
	if err != nil || len(b) == 0 {
		return nil, err
	}
	s.held = s.held[:0]
	return buffer[:held+len(b)], nil
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
		if b[0]&^0x01 != packetPublish && !s.expects(b[0]) { // RETAIN may be set
			return fmt.Errorf("%w: packet 0x%02x, a PUBLISH at QoS %d expected", errMalformed, b[0], s.qos)
		}
		total := headerBytes + remaining
		if total > len(b) {
			if total > m.frameBytesMax {
				s.account.unexpected++
				s.skip, b = total-len(b), nil
			}
			break
		}
		body := b[headerBytes:total]
		if b[0]&^0x01 == packetPublish {
			s.publish(body, 0, m)
		} else if err := s.acknowledge(b[0], body, m); err != nil {
			return err
		}
		b = b[total:]
	}
	s.held = append(s.held, b...)
	return nil
}

// expects reports whether a packet may arrive above QoS 0.
func (s *subscriber) expects(first byte) bool {
	qos := int(first>>1) & 3
	return first == packetPubrel && s.qos == 2 || first&0xF0 == packetPublish && 0 < qos && qos <= s.qos
}

// acknowledge takes a packet of QoS 1 or 2 and answers it.
func (s *subscriber) acknowledge(first byte, body []byte, m *meter) error {
	if first == packetPubrel {
		if len(body) != 2 {
			return fmt.Errorf("%w: PUBREL of %d bytes", errMalformed, len(body))
		}
		if s.awaited == 0 {
			return fmt.Errorf("%w: PUBREL where no PUBREC was sent", errMalformed)
		}
		s.awaited--
		s.acks = appendAck(s.acks, packetPubcomp, binary.BigEndian.Uint16(body))
		return nil
	}
	if len(body) < 2 || len(body) < 4+int(binary.BigEndian.Uint16(body)) {
		return fmt.Errorf("%w: PUBLISH of %d bytes", errMalformed, len(body))
	}
	packetID := binary.BigEndian.Uint16(body[2+int(binary.BigEndian.Uint16(body)):])
	if packetID == 0 { // [MQTT-2.3.1-1]
		return fmt.Errorf("%w: PUBLISH with the Packet Identifier 0", errMalformed)
	}
	answer := byte(packetPuback)
	if first&0x04 != 0 {
		s.awaited++
		answer = packetPubrec
	}
	s.acks = appendAck(s.acks, answer, packetID)
	s.publish(body, 2, m)
	return nil
}

// publish accounts for one PUBLISH: the Topic Name's length, the Topic Name, above QoS 0 the Packet
// Identifier, the payload.
func (s *subscriber) publish(body []byte, idBytes int, m *meter) {
	if len(body) < 2 {
		s.account.unexpected++
		return
	}
	topicBytes := int(binary.BigEndian.Uint16(body))
	if len(body) != 2+topicBytes+idBytes+m.payloadBytes {
		s.account.unexpected++
		return
	}
	payload := body[2+topicBytes+idBytes:]
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
		m.now.outOfOrder++
	}
	return true
}

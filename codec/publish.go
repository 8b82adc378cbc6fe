package codec

import "encoding/binary"

// Publish is a PUBLISH packet. Topic and Payload are borrowed.
//
//	byte 1                 3<<4 | DUP<<3 | QoS<<1 | RETAIN
//	byte 2 to 5            Remaining Length
//	2 bytes, n bytes       Topic Name
//	2 bytes                Packet Identifier, with QoS 1 and 2 only
//	the rest               payload
type Publish struct {
	Topic    []byte // Topic Name
	Payload  []byte
	PacketID uint16 // 0 if and only if QoS is QoS0 [MQTT-2.3.1-1] [MQTT-2.3.1-5]
	QoS      QoS
	Retain   bool
	Dup      bool // only with QoS 1 and 2 [MQTT-3.3.1-2]
}

// ParsePublish reads a PUBLISH frame as a Decoder returned it, of MQTT 3.1 or 3.1.1, which are alike here.
//
// It checks the structure only: lengths, and a Packet Identifier other than 0 [MQTT-2.3.1-1]. It does not look at
// the characters of the topic. Callers check each distinct topic once with [CheckTopicName] before they act on it.
func ParsePublish(f Frame, version Version) (p Publish, err error) {
	err = p.Parse(&f, version)
	return p, err
}

// Parse is [ParsePublish] without its two copies of large structs, for who parses millions of them. p must be zero.
//
// It fills p field by field for the reason given at Frame.set.
func (p *Publish) Parse(f *Frame, _ Version) error {
	rest, flags := f.Body, f.Flags
	if len(rest) < 2 {
		return errPublishShort
	}
	end := 2 + int(binary.BigEndian.Uint16(rest))
	if end > len(rest) {
		return errPublishShort
	}
	topic, rest := rest[2:end:end], rest[end:]
	if qos := QoS(flags >> flagQoSShift & flagQoSMask); qos != QoS0 {
		if len(rest) < 2 {
			return errPublishShort
		}
		p.PacketID, rest = binary.BigEndian.Uint16(rest), rest[2:]
		if p.PacketID == 0 {
			return errPublishNoID
		}
		p.QoS = qos
	}
	p.Topic, p.Payload = topic, rest
	p.Retain, p.Dup = flags&flagRetain != 0, flags&flagDup != 0
	return nil
}

var (
	errPublishShort = truncated(PUBLISH)
	errPublishNoID  = noPacketID(PUBLISH)
)

// AppendPublish grows dst by the packet. It panics when p breaks an invariant of Publish, when QoS is above 2 or the
// topic longer than 65,535 bytes; it does not look at the characters of the topic.
func AppendPublish(dst []byte, p *Publish) []byte {
	switch {
	case p.QoS > QoS2:
		panic("codec: PUBLISH with QoS above 2")
	case (p.QoS == QoS0) != (p.PacketID == 0):
		panic("codec: PUBLISH needs a Packet Identifier with QoS 1 and 2, and none with QoS 0")
	case p.QoS == QoS0 && p.Dup:
		panic("codec: PUBLISH with DUP and QoS 0")
	}
	length := fieldSize(len(p.Topic)) + len(p.Payload)
	if p.QoS != QoS0 {
		length += 2
	}
	dst = appendHeader(dst, PUBLISH, publishFlags(p), length)
	dst = appendField(dst, p.Topic)
	if p.QoS != QoS0 {
		dst = binary.BigEndian.AppendUint16(dst, p.PacketID)
	}
	return append(dst, p.Payload...)
}

func publishFlags(p *Publish) byte {
	flags := byte(p.QoS) << flagQoSShift
	if p.Dup {
		flags |= flagDup
	}
	if p.Retain {
		flags |= flagRetain
	}
	return flags
}

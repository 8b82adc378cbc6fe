package codec

import "encoding/binary"

// ParseAck reads a PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK frame, which all are nothing but a Packet Identifier:
//
//	byte 1        type<<4 | 0, or 2 for PUBREL [MQTT-3.6.1-1]
//	byte 2        Remaining Length, 2
//	byte 3, 4     Packet Identifier, not 0
//
// MQTT 3.1 and 3.1.1 are alike here.
func ParseAck(f Frame, _ Version) (packetID uint16, err error) {
	r := newReader(f)
	packetID = r.packetID()
	if err := r.end(); err != nil {
		return 0, err
	}
	return packetID, nil
}

// AppendAck grows dst by the packet. It panics when t is none of the types that ParseAck reads, or packetID is 0.
func AppendAck(dst []byte, t PacketType, packetID uint16) []byte {
	flags := byte(0)
	switch t {
	case PUBREL:
		flags = 0x02
	case PUBACK, PUBREC, PUBCOMP, UNSUBACK:
	default:
		panic("codec: " + t.String() + " is not an acknowledgement of this shape")
	}
	return appendPacketID(appendHeader(dst, t, flags, 2), packetID)
}

// appendPacketID grows dst by a Packet Identifier. One of 0 is a bug of the caller [MQTT-2.3.1-1].
func appendPacketID(dst []byte, packetID uint16) []byte {
	if packetID == 0 {
		panic("codec: Packet Identifier is 0")
	}
	return binary.BigEndian.AppendUint16(dst, packetID)
}

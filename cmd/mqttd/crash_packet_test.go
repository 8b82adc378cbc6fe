package main_test

import (
	"encoding/binary"
	"fmt"
)

// First bytes of the packets of QoS 2, and the flags of a PUBLISH.
const (
	bytePubrec  = 0x50
	bytePubrel  = 0x62
	bytePubcomp = 0x70

	flagDUP    = 0x08
	flagRetain = 0x01
)

// connectPersistent is a CONNECT of MQTT 3.1.1 without Clean Session and without Keep Alive.
func connectPersistent(clientID string) []byte {
	return appendText(append(fixedHeader(byteConnect, 10+2+len(clientID)), "\x00\x04MQTT\x04\x00\x00\x00"...), clientID)
}

func subscribePacketAt(packetID uint16, qos byte, filters ...string) []byte {
	p := subscribePacket(packetID, filters...)
	end := len(p)
	for i := len(filters) - 1; i >= 0; i-- { // the byte after each filter
		p[end-1] = qos
		end -= 2 + len(filters[i]) + 1
	}
	return p
}

// publishPacketAt is a PUBLISH with a Packet Identifier; flags are flagDUP and flagRetain.
func publishPacketAt(qos, flags byte, packetID uint16, topic string, payload []byte) []byte {
	p := appendText(fixedHeader(bytePublish|qos<<1|flags, 2+len(topic)+2+len(payload)), topic)
	return append(binary.BigEndian.AppendUint16(p, packetID), payload...)
}

// ackPacket is a PUBACK, PUBREC, PUBREL or PUBCOMP.
func ackPacket(first byte, packetID uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{first, 2}, packetID)
}

// packetID returns what a PUBACK, PUBREC, PUBREL or PUBCOMP is about.
func (got packet) packetID() (uint16, error) {
	if len(got.body) != 2 {
		return 0, fmt.Errorf("not an acknowledgement as it should be: %#x with %d bytes", got.first, len(got.body))
	}
	return binary.BigEndian.Uint16(got.body), nil
}

// crashPublish is a PUBLISH that came; it is valid until the next packet is read.
type crashPublish struct {
	qos           byte
	dup, retained bool
	topic         []byte
	packetID      uint16 // 0 at QoS 0
	payload       []byte
}

// publish parses a PUBLISH at any QoS.
func (got packet) publish() (m crashPublish, err error) {
	m.qos, m.dup, m.retained = got.first>>1&3, got.first&flagDUP != 0, got.first&flagRetain != 0
	rest := got.body
	length := 0
	if len(rest) >= 2 {
		length = int(binary.BigEndian.Uint16(rest))
		rest = rest[2:]
	}
	after := 0
	if m.qos > 0 {
		after = 2
	}
	if got.first&0xF0 != bytePublish || len(got.body) < 2 || len(rest) < length+after || m.qos == 3 {
		return m, fmt.Errorf("not a PUBLISH as it should be: %#x with %d bytes", got.first, len(got.body))
	}
	m.topic, m.payload = rest[:length], rest[length+after:]
	if m.qos > 0 {
		m.packetID = binary.BigEndian.Uint16(rest[length:])
		if m.packetID == 0 {
			return m, fmt.Errorf("a PUBLISH at QoS %d with Packet Identifier 0", m.qos)
		}
	}
	return m, nil
}

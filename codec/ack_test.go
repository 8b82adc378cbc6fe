package codec

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// An acknowledgement is its first byte, a Remaining Length of 2, and the Packet Identifier.
var goldenAcks = map[PacketType]golden[uint16]{
	PUBACK:   {name: "PUBACK", wire: []byte{0x40, 2, 0x12, 0x34}, value: 0x1234},
	PUBREC:   {name: "PUBREC", wire: []byte{0x50, 2, 0x12, 0x34}, value: 0x1234},
	PUBREL:   {name: "PUBREL", wire: []byte{0x62, 2, 0x12, 0x34}, value: 0x1234},
	PUBCOMP:  {name: "PUBCOMP", wire: []byte{0x70, 2, 0x12, 0x34}, value: 0x1234},
	UNSUBACK: {name: "UNSUBACK", wire: []byte{0xB0, 2, 0xFF, 0xFF}, value: 0xFFFF},
}

func appendAckOf(kind PacketType) appendFunc[uint16] {
	return func(dst []byte, id uint16) []byte { return AppendAck(dst, kind, id) }
}

func TestAck(t *testing.T) {
	for kind, c := range goldenAcks {
		testGolden(t, []golden[uint16]{c}, ParseAck, appendAckOf(kind))
		testTruncated(t, c.wire, Version311, ParseAck)
	}
}

func TestAckFaults(t *testing.T) {
	testFaults(t, []faulty{
		{"PUBACK of 0", 0, []byte{0x40, 2, 0, 0}, "MQTT-2.3.1-6", ErrMalformed},
		{"PUBREC of 0", 0, []byte{0x50, 2, 0, 0}, "MQTT-2.3.1-6", ErrMalformed},
		{"PUBREL of 0", 0, []byte{0x62, 2, 0, 0}, "MQTT-2.3.1-6", ErrMalformed},
		{"PUBCOMP of 0", 0, []byte{0x70, 2, 0, 0}, "MQTT-2.3.1-6", ErrMalformed},
		{"UNSUBACK of 0", 0, []byte{0xB0, 2, 0, 0}, "MQTT-2.3.1-7", ErrMalformed},
		{"no body", 0, []byte{0x40, 0}, ruleClose, ErrMalformed},
		{"a byte too many", 0, []byte{0x40, 3, 0, 1, 0}, ruleClose, ErrMalformed},
	}, ParseAck)
}

func TestAppendAckPreconditions(t *testing.T) {
	assert.Panics(t, func() { AppendAck(nil, PUBACK, 0) })
	assert.Panics(t, func() { AppendAck(nil, SUBACK, 1) })
}

func FuzzParseAck(f *testing.F) {
	fuzzParser(f, PUBREL, [][]byte{goldenAcks[PUBREL].wire}, ParseAck, appendAckOf(PUBREL))
}

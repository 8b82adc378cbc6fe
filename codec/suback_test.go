package codec

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

type subackValue struct {
	packetID uint16
	codes    []byte
}

var goldenSubacks = []golden[subackValue]{
	{
		name: "all codes",
		wire: []byte{
			0x90,       // SUBACK
			6,          // Remaining Length
			0x12, 0x34, // Packet Identifier
			0, 1, 2, // granted QoS of the first three filters
			0x80, // the fourth is refused
		},
		value: subackValue{0x1234, []byte{0, 1, 2, 0x80}},
	},
}

func parseSubackValue(f Frame, v Version) (value subackValue, err error) {
	value.packetID, value.codes, err = ParseSuback(f, v)
	return value, err
}

func appendSubackValue(dst []byte, value subackValue) []byte {
	return AppendSuback(dst, value.packetID, value.codes)
}

func TestSuback(t *testing.T) {
	testGolden(t, goldenSubacks, parseSubackValue, appendSubackValue)
}

func TestSubackFaults(t *testing.T) {
	testFaults(t, []faulty{
		{"no body", 0, []byte{0x90, 0}, ruleClose, ErrMalformed},
		{"packet identifier 0", 0, []byte{0x90, 3, 0, 0, 0}, "MQTT-2.3.1-7", ErrMalformed},
		{"no code", 0, []byte{0x90, 2, 0, 1}, ruleClose, ErrMalformed},
		{"reserved code", 0, []byte{0x90, 4, 0, 1, 0, 3}, "MQTT-3.9.3-2", ErrMalformed},
	}, parseSubackValue)
}

func TestAppendSubackPreconditions(t *testing.T) {
	assert.Panics(t, func() { AppendSuback(nil, 1, nil) })
	assert.Panics(t, func() { AppendSuback(nil, 0, []byte{0}) })
	assert.Panics(t, func() { AppendSuback(nil, 1, []byte{3}) })
}

func FuzzParseSuback(f *testing.F) {
	fuzzParser(f, SUBACK, wires(goldenSubacks), parseSubackValue, appendSubackValue)
}

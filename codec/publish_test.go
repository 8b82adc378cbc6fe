package codec

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

var goldenPublishes = []golden[Publish]{
	{
		name: "QoS 0",
		wire: []byte{
			0x30,                // PUBLISH, no flags
			7,                   // Remaining Length
			0, 3, 'a', '/', 'b', // Topic Name
			'h', 'i', // payload
		},
		value: Publish{Topic: []byte("a/b"), Payload: []byte("hi")},
	},
	{
		name: "QoS 0, retained, without a payload",
		wire: []byte{
			0x31,      // PUBLISH, RETAIN
			3,         // Remaining Length
			0, 1, 'a', // Topic Name
		},
		value: Publish{Topic: []byte("a"), Payload: []byte{}, Retain: true},
	},
	{
		name: "QoS 1, sent again",
		wire: []byte{
			0x3A,      // PUBLISH, DUP, QoS 1
			6,         // Remaining Length
			0, 1, 'a', // Topic Name
			0x12, 0x34, // Packet Identifier
			0xFF, // payload
		},
		value: Publish{Topic: []byte("a"), Payload: []byte{0xFF}, PacketID: 0x1234, QoS: QoS1, Dup: true},
	},
	{
		name: "QoS 2, all flags",
		wire: []byte{
			0x3D,      // PUBLISH, DUP, QoS 2, RETAIN
			5,         // Remaining Length
			0, 1, 'a', // Topic Name
			0, 1, // Packet Identifier
		},
		value: Publish{Topic: []byte("a"), Payload: []byte{}, PacketID: 1, QoS: QoS2, Dup: true, Retain: true},
	},
	{
		name: "characters are not looked at",
		wire: []byte{
			0x30,            // PUBLISH
			4,               // Remaining Length
			0, 2, '#', 0xFF, // Topic Name with a wildcard and ill-formed UTF-8
		},
		value: Publish{Topic: []byte("#\xFF"), Payload: []byte{}},
	},
}

func appendPublishValue(dst []byte, p Publish) []byte { return AppendPublish(dst, &p) }

func TestPublish(t *testing.T) {
	testGolden(t, goldenPublishes, ParsePublish, appendPublishValue)
}

func TestPublishFaults(t *testing.T) {
	testFaults(t, []faulty{
		{"no body", 0, []byte{0x30, 0}, ruleClose, ErrMalformed},
		{"half a topic length", 0, []byte{0x30, 1, 0}, ruleClose, ErrMalformed},
		{"topic longer than the packet", 0, []byte{0x30, 3, 0, 2, 'a'}, ruleClose, ErrMalformed},
		{"QoS 1 without a packet identifier", 0, []byte{0x32, 3, 0, 1, 'a'}, ruleClose, ErrMalformed},
		{"half a packet identifier", 0, []byte{0x32, 4, 0, 1, 'a', 0}, ruleClose, ErrMalformed},
		{"packet identifier 0", 0, []byte{0x32, 5, 0, 1, 'a', 0, 0}, "MQTT-2.3.1-1", ErrMalformed},
	}, ParsePublish)
}

func TestPublishBorrowsItsFrame(t *testing.T) {
	f := frameIn(t, goldenPublishes[2].wire)
	p, err := ParsePublish(f, Version311)
	assert.NoError(t, err)
	assert.Same(t, &f.Body[2], &p.Topic[0])
	assert.Same(t, &f.Body[5], &p.Payload[0])
	assert.Equal(t, len(p.Topic), cap(p.Topic), "an append to the topic must not reach the payload")
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = ParsePublish(f, Version311) }))
}

func TestAppendPublishPreconditions(t *testing.T) {
	for name, p := range map[string]Publish{
		"QoS 3":                         {Topic: []byte("a"), QoS: 3, PacketID: 1},
		"QoS 1 without an identifier":   {Topic: []byte("a"), QoS: QoS1},
		"QoS 0 with an identifier":      {Topic: []byte("a"), PacketID: 1},
		"QoS 0 with DUP":                {Topic: []byte("a"), Dup: true},
		"topic of 65,536 bytes":         {Topic: make([]byte, 65_536)},
		"packet longer than MQTT knows": {Topic: []byte("a"), Payload: make([]byte, remainingLengthMax)},
	} {
		t.Run(name, func(t *testing.T) { assert.Panics(t, func() { AppendPublish(nil, &p) }) })
	}
}

func FuzzParsePublish(f *testing.F) {
	fuzzParser(f, PUBLISH, wires(goldenPublishes), ParsePublish, appendPublishValue)
}

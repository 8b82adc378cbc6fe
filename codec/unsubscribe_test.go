package codec

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// unsubscribeValue is an UNSUBSCRIBE with its filters in a list.
type unsubscribeValue struct {
	packetID uint16
	filters  []string
}

var goldenUnsubscribes = []golden[unsubscribeValue]{
	{
		name: "one filter",
		wire: []byte{
			0xA2,       // UNSUBSCRIBE
			5,          // Remaining Length
			0x12, 0x34, // Packet Identifier
			0, 1, '#', // Topic Filter
		},
		value: unsubscribeValue{0x1234, []string{"#"}},
	},
	{
		name: "two filters",
		wire: []byte{
			0xA2, // UNSUBSCRIBE
			10,   // Remaining Length
			0, 1, // Packet Identifier
			0, 3, 'a', '/', 'b', // first Topic Filter
			0, 1, '+', // second Topic Filter
		},
		value: unsubscribeValue{1, []string{"a/b", "+"}},
	},
}

func parseUnsubscribeValue(f Frame, v Version) (value unsubscribeValue, err error) {
	u, err := ParseUnsubscribe(f, v)
	value.packetID = u.PacketID
	for filter, ok := u.Next(); ok; filter, ok = u.Next() {
		value.filters = append(value.filters, string(filter))
	}
	if len(value.filters) != u.Count {
		panic("Count does not tell the number of filters")
	}
	return value, err
}

func appendUnsubscribeValue(dst []byte, value unsubscribeValue) []byte {
	return AppendUnsubscribe(dst, value.packetID, value.filters)
}

func TestUnsubscribe(t *testing.T) {
	testGolden(t, goldenUnsubscribes, parseUnsubscribeValue, appendUnsubscribeValue)
}

func TestUnsubscribeFaults(t *testing.T) {
	testFaults(t, []faulty{
		{"no body", 0, []byte{0xA2, 0}, ruleClose, ErrMalformed},
		{"packet identifier 0", 0, []byte{0xA2, 5, 0, 0, 0, 1, 'a'}, "MQTT-2.3.1-1", ErrMalformed},
		{"no filter", 0, []byte{0xA2, 2, 0, 1}, "MQTT-3.10.3-2", ErrMalformed},
		{"filter is cut", 0, []byte{0xA2, 5, 0, 1, 0, 2, 'a'}, ruleClose, ErrMalformed},
		{"filter is not UTF-8", 0, []byte{0xA2, 5, 0, 1, 0, 1, 0xFF}, "MQTT-1.5.3-1", ErrMalformed},
		{"filter holds NUL", 0, []byte{0xA2, 5, 0, 1, 0, 1, 0x00}, "MQTT-1.5.3-2", ErrMalformed},
	}, parseUnsubscribeValue)
	testTruncated(t, goldenUnsubscribes[0].wire, 0, parseUnsubscribeValue)
}

func TestAppendUnsubscribePreconditions(t *testing.T) {
	assert.Panics(t, func() { AppendUnsubscribe(nil, 1, nil) })
	assert.Panics(t, func() { AppendUnsubscribe(nil, 0, []string{"a"}) })
	assert.Panics(t, func() { AppendUnsubscribe(nil, 1, []string{string(make([]byte, 65_536))}) })
}

func FuzzParseUnsubscribe(f *testing.F) {
	fuzzParser(f, UNSUBSCRIBE, wires(goldenUnsubscribes), parseUnsubscribeValue, appendUnsubscribeValue)
}

package codec

import "testing"

// empty is the value of a packet that says nothing beyond its type.
type empty struct{}

// emptyCase makes a packet without a body fit the tests of the others.
type emptyCase struct {
	golden   golden[empty]
	parse    func(Frame, Version) error
	appendTo func([]byte) []byte
}

// A packet without a body is its first byte and a Remaining Length of 0.
var emptyCases = []emptyCase{
	{golden[empty]{name: "PINGREQ", wire: []byte{0xC0, 0}}, ParsePing, AppendPingreq},
	{golden[empty]{name: "PINGRESP", wire: []byte{0xD0, 0}}, ParsePing, AppendPingresp},
	{golden[empty]{name: "DISCONNECT", wire: []byte{0xE0, 0}}, ParseDisconnect, AppendDisconnect},
}

func (c emptyCase) parseValue(f Frame, v Version) (empty, error) { return empty{}, c.parse(f, v) }

func (c emptyCase) appendValue(dst []byte, _ empty) []byte { return c.appendTo(dst) }

func TestEmptyPackets(t *testing.T) {
	for _, c := range emptyCases {
		testGolden(t, []golden[empty]{c.golden}, c.parseValue, c.appendValue)
		testFaults(t, []faulty{
			{c.golden.name + " with a body", 0, []byte{c.golden.wire[0], 1, 0}, ruleClose, ErrMalformed},
		}, c.parseValue)
	}
}

func FuzzParsePing(f *testing.F) {
	c := emptyCases[0]
	fuzzParser(f, PINGREQ, [][]byte{c.golden.wire}, c.parseValue, c.appendValue)
}

package codec

import "testing"

// The golden packet of DISCONNECT is among those of TestEmptyPackets.

func FuzzParseDisconnect(f *testing.F) {
	c := emptyCases[2]
	fuzzParser(f, DISCONNECT, [][]byte{c.golden.wire}, c.parseValue, c.appendValue)
}

package codec

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

var goldenConnacks = []golden[Connack]{
	{
		name: "accepted, session present", version: Version311,
		wire: []byte{
			0x20, // CONNACK
			2,    // Remaining Length
			0x01, // Session Present
			0,    // Connect Return code
		},
		value: Connack{SessionPresent: true},
	},
	{
		name: "refused", version: Version311,
		wire: []byte{
			0x20, // CONNACK
			2,    // Remaining Length
			0x00, // no Session Present
			5,    // Connect Return code
		},
		value: Connack{Code: NotAuthorized},
	},
}

func TestConnack(t *testing.T) {
	testGolden(t, goldenConnacks, ParseConnack, AppendConnack)
	testLenient(t, []golden[Connack]{
		{"3.1 ignores the flags", Version31, []byte{0x20, 2, 0xFF, 2}, Connack{Code: IdentifierRejected}},
	}, ParseConnack)
}

func TestConnackFaults(t *testing.T) {
	testFaults(t, []faulty{
		{"reserved flags", Version311, []byte{0x20, 2, 0x02, 0}, ruleClose, ErrMalformed},
		{"reserved code", Version311, []byte{0x20, 2, 0, 6}, ruleClose, ErrMalformed},
		{"session present in a refusal", Version311, []byte{0x20, 2, 1, 2}, "MQTT-3.2.2-4", ErrMalformed},
		{"a byte too many", Version311, []byte{0x20, 3, 0, 0, 0}, ruleClose, ErrMalformed},
	}, ParseConnack)
	testTruncated(t, goldenConnacks[0].wire, Version311, ParseConnack)
}

func TestAppendConnackPreconditions(t *testing.T) {
	assert.Panics(t, func() { AppendConnack(nil, Connack{Code: 6}) })
	assert.Panics(t, func() { AppendConnack(nil, Connack{SessionPresent: true, Code: NotAuthorized}) })
}

func FuzzParseConnack(f *testing.F) {
	fuzzParser(f, CONNACK, wires(goldenConnacks), ParseConnack, AppendConnack)
}

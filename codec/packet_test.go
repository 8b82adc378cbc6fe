package codec

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// This file holds what the tests of all packets share.

type (
	parseFunc[T any]  func(Frame, Version) (T, error)
	appendFunc[T any] func([]byte, T) []byte
)

// golden is a packet on the wire and what it means.
type golden[T any] struct {
	name    string
	version Version // 0 where versions do not differ
	wire    []byte
	value   T
}

// testGolden checks both directions.
func testGolden[T any](t *testing.T, cases []golden[T], parse parseFunc[T], appendTo appendFunc[T]) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, append([]byte("before"), c.wire...), appendTo([]byte("before"), c.value), "append")
			testParse(t, c, parse)
		})
	}
}

// testLenient checks packets that are accepted but that we would not write.
func testLenient[T any](t *testing.T, cases []golden[T], parse parseFunc[T]) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { testParse(t, c, parse) })
	}
}

func testParse[T any](t *testing.T, c golden[T], parse parseFunc[T]) {
	t.Helper()
	value, err := parse(frameIn(t, c.wire), c.version)
	require.NoError(t, err)
	assert.Equal(t, c.value, value, "parse")
}

// faulty is a packet that must be refused with a fault of this kind, citing this rule.
type faulty struct {
	name    string
	version Version
	wire    []byte
	rule    string
	kind    error
}

func testFaults[T any](t *testing.T, cases []faulty, parse parseFunc[T]) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := frameIn(t, c.wire)
			_, err := parse(f, c.version)
			require.ErrorIs(t, err, c.kind)
			requireFault(t, err, f.Type, c.rule)
		})
	}
}

// testTruncated cuts the body of a packet at every length: none of them may be accepted.
func testTruncated[T any](t *testing.T, wire []byte, v Version, parse parseFunc[T]) {
	t.Helper()
	whole := frameIn(t, wire)
	for n := range whole.Body {
		f := frameIn(t, packetOf(whole.Type, whole.Flags, whole.Body[:n]))
		_, err := parse(f, v)
		require.ErrorIs(t, err, ErrMalformed, "cut at %d", n)
		require.ErrorAs(t, err, new(*Error))
	}
}

func requireFault(t testing.TB, err error, kind PacketType, rule string) {
	t.Helper()
	var fault *Error
	require.ErrorAs(t, err, &fault)
	assert.Equal(t, kind, fault.Type, "packet type of %v", err)
	assert.Equal(t, rule, fault.Rule, "rule of %v", err)
	assert.NotEmpty(t, fault.Text)
}

// fuzzParser checks of any body: no panic, no read past the frame (a Decoder's frames have no spare capacity, so that
// one would panic), a fault that names the packet, and parse(append(p)) == p.
func fuzzParser[T any](f *testing.F, kind PacketType, seeds [][]byte, parse parseFunc[T], appendTo appendFunc[T]) {
	f.Helper()
	for _, seed := range seeds {
		frame := frameIn(f, seed)
		f.Add(frame.Flags, byte(Version311), frame.Body)
		f.Add(frame.Flags, byte(Version31), frame.Body)
	}
	f.Fuzz(func(t *testing.T, flags, version byte, body []byte) {
		wire := packetOf(kind, flags&0x0F, body)
		if firstByteFault(wire[0], Version311) != nil {
			t.Skip("no Decoder lets it through")
		}
		value, err := parse(frameIn(t, wire), Version(version))
		if err != nil {
			var fault *Error
			require.ErrorAs(t, err, &fault)
			require.Equal(t, kind, fault.Type)
			return
		}
		again, err := parse(frameIn(t, appendTo(nil, value)), Version(version))
		require.NoError(t, err)
		require.Equal(t, value, again)
	})
}

func packetOf(t PacketType, flags byte, body []byte) []byte {
	return append(appendHeader(nil, t, flags, len(body)), body...)
}

// wires returns the packets of golden cases, as seeds.
func wires[T any](cases []golden[T]) (all [][]byte) {
	for _, c := range cases {
		all = append(all, c.wire)
	}
	return all
}

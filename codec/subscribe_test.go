package codec

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// subscribeValue is a SUBSCRIBE with its filters in a list.
type subscribeValue struct {
	packetID uint16
	subs     []Subscription
}

var goldenSubscribes = []golden[subscribeValue]{
	{
		name: "one filter",
		wire: []byte{
			0x82,       // SUBSCRIBE
			6,          // Remaining Length
			0x12, 0x34, // Packet Identifier
			0, 1, '#', // Topic Filter
			0, // requested QoS
		},
		value: subscribeValue{0x1234, []Subscription{{"#", QoS0}}},
	},
	{
		name: "three filters",
		wire: []byte{
			0x82, // SUBSCRIBE
			18,   // Remaining Length
			0, 1, // Packet Identifier
			0, 3, 'a', '/', 'b', // first Topic Filter
			2,         // requested QoS
			0, 1, '+', // second Topic Filter
			1,                   // requested QoS
			0, 3, 'b', '+', 'c', // third, which breaks a rule of wildcards
			0, // requested QoS
		},
		value: subscribeValue{1, []Subscription{{"a/b", QoS2}, {"+", QoS1}, {"b+c", QoS0}}},
	},
	{
		name: "a filter that is empty",
		wire: []byte{
			0x82, // SUBSCRIBE
			5,    // Remaining Length
			0, 1, // Packet Identifier
			0, 0, // Topic Filter
			1, // requested QoS
		},
		value: subscribeValue{1, []Subscription{{"", QoS1}}},
	},
}

func parseSubscribeValue(f Frame, v Version) (value subscribeValue, err error) {
	s, err := ParseSubscribe(f, v)
	value.packetID = s.PacketID
	for filter, qos, ok := s.Next(); ok; filter, qos, ok = s.Next() {
		value.subs = append(value.subs, Subscription{string(filter), qos})
	}
	if len(value.subs) != s.Count {
		panic("Count does not tell the number of filters")
	}
	return value, err
}

func appendSubscribeValue(dst []byte, value subscribeValue) []byte {
	return AppendSubscribe(dst, value.packetID, value.subs)
}

func TestSubscribe(t *testing.T) {
	testGolden(t, goldenSubscribes, parseSubscribeValue, appendSubscribeValue)
}

func TestSubscribeFaults(t *testing.T) {
	testFaults(t, []faulty{
		{"no body", 0, []byte{0x82, 0}, ruleClose, ErrMalformed},
		{"packet identifier 0", 0, []byte{0x82, 6, 0, 0, 0, 1, 'a', 0}, "MQTT-2.3.1-1", ErrMalformed},
		{"no filter", 0, []byte{0x82, 2, 0, 1}, "MQTT-3.8.3-3", ErrMalformed},
		{"no QoS", 0, []byte{0x82, 5, 0, 1, 0, 1, 'a'}, ruleClose, ErrMalformed},
		{"QoS 3", 0, []byte{0x82, 6, 0, 1, 0, 1, 'a', 3}, "MQTT-3.8.3-4", ErrMalformed},
		{"reserved bits", 0, []byte{0x82, 6, 0, 1, 0, 1, 'a', 0x04}, "MQTT-3.8.3-4", ErrMalformed},
		{"QoS 0x80", 0, []byte{0x82, 6, 0, 1, 0, 1, 'a', 0x80}, "MQTT-3.8.3-4", ErrMalformed},
		{"filter is not UTF-8", 0, []byte{0x82, 6, 0, 1, 0, 1, 0xFF, 0}, "MQTT-1.5.3-1", ErrMalformed},
		{"filter holds NUL", 0, []byte{0x82, 6, 0, 1, 0, 1, 0x00, 0}, "MQTT-1.5.3-2", ErrMalformed},
		{
			"second filter is cut", 0,
			[]byte{0x82, 9, 0, 1, 0, 1, 'a', 0, 0, 2, 'b'}, ruleClose, ErrMalformed,
		},
	}, parseSubscribeValue)
	testTruncated(t, goldenSubscribes[0].wire, 0, parseSubscribeValue)
}

func TestSubscribeDoesNotAllocate(t *testing.T) {
	f := frameIn(t, goldenSubscribes[1].wire)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		s, _ := ParseSubscribe(f, Version311)
		for _, _, ok := s.Next(); ok; _, _, ok = s.Next() {
			_ = ok
		}
	}))
}

func TestSubscribeOfManyFilters(t *testing.T) {
	subs := make([]Subscription, 1000)
	for i := range subs {
		subs[i] = Subscription{Filter: string(bytes.Repeat([]byte("x"), i%50+1)), QoS: QoS(i % 3)}
	}
	s, err := ParseSubscribe(frameIn(t, AppendSubscribe(nil, 1, subs)), Version311)
	require.NoError(t, err)
	assert.Equal(t, 1000, s.Count)
	before := s // a copy iterates on its own
	for i := range subs {
		filter, qos, ok := s.Next()
		require.True(t, ok)
		require.Equal(t, subs[i], Subscription{string(filter), qos})
	}
	_, _, ok := s.Next()
	assert.False(t, ok)
	first, _, ok := before.Next()
	assert.True(t, ok)
	assert.Equal(t, "x", string(first))
}

func TestAppendSubscribePreconditions(t *testing.T) {
	assert.Panics(t, func() { AppendSubscribe(nil, 1, nil) })
	assert.Panics(t, func() { AppendSubscribe(nil, 0, []Subscription{{"a", QoS0}}) })
	assert.Panics(t, func() { AppendSubscribe(nil, 1, []Subscription{{"a", GrantFailure}}) })
	assert.Panics(t, func() { AppendSubscribe(nil, 1, []Subscription{{string(make([]byte, 65_536)), QoS0}}) })
}

func FuzzParseSubscribe(f *testing.F) {
	fuzzParser(f, SUBSCRIBE, wires(goldenSubscribes), parseSubscribeValue, appendSubscribeValue)
}

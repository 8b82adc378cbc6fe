package session

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// parseConnect returns the packet as the broker reads it, and the bytes that it borrows.
func parseConnect(t testing.TB, c codec.Connect) (parsed codec.Connect, wire []byte) {
	t.Helper()
	wire = codec.AppendConnect(nil, &c)
	var d codec.Decoder
	d.Feed(wire)
	f, ok, err := d.Next(len(wire))
	require.NoError(t, err)
	require.True(t, ok)
	parsed, err = codec.ParseConnect(f)
	require.NoError(t, err)
	return parsed, wire
}

func newSession() *Session {
	return New(makeHandle(0, 1), "anna", &codec.Connect{Version: codec.Version311, CleanSession: true})
}

// The session lives on when the bytes of CONNECT are used for something else.
func TestNewKeepsNothingOfThePacket(t *testing.T) {
	p, wire := parseConnect(t, codec.Connect{
		Version: codec.Version311, CleanSession: true, KeepAliveSeconds: 60, ClientID: []byte("anna"),
		HasWill: true,
		Will:    codec.Will{Topic: []byte("wills/anna"), Payload: []byte("gone"), QoS: codec.QoS1, Retain: true},
	})
	s := New(makeHandle(3, 4), string(p.ClientID), &p)
	for i := range wire {
		wire[i] = 0xFF
	}
	p.Will = codec.Will{}
	assert.Equal(t, &Session{
		ClientID: "anna", Handle: makeHandle(3, 4), Version: codec.Version311, CleanSession: true, KeepAliveSeconds: 60,
		Will: &Will{Topic: "wills/anna", Payload: []byte("gone"), QoS: codec.QoS1, Retain: true},
	}, s)
}

func TestNewWithoutWill(t *testing.T) {
	p, _ := parseConnect(t, codec.Connect{Version: codec.Version31, ClientID: []byte("ben")})
	s := New(makeHandle(0, 1), "assigned", &p)
	assert.Equal(t, &Session{ClientID: "assigned", Handle: makeHandle(0, 1), Version: codec.Version31}, s)
	assert.Empty(t, filtersOf(s))
}

// A Will Message of zero bytes is a Will Message (section 3.1.3.3).
func TestNewWithEmptyWillMessage(t *testing.T) {
	p, _ := parseConnect(t, codec.Connect{
		Version: codec.Version311, ClientID: []byte("ben"), HasWill: true, Will: codec.Will{Topic: []byte("w")},
	})
	s := New(makeHandle(0, 1), "ben", &p)
	require.NotNil(t, s.Will)
	assert.Equal(t, "w", s.Will.Topic)
	assert.Empty(t, s.Will.Payload)
}

func TestSubscriptions(t *testing.T) {
	s := newSession()
	assert.False(t, s.Unsubscribe(nil, []byte("a/b")), "there is none")
	assert.True(t, s.Subscribe(nil, "a/b", codec.QoS0, filtersMax))
	assert.True(t, s.Subscribe(nil, "a/+", codec.QoS1, filtersMax))
	assert.True(t, s.Subscribe(nil, "a/b", codec.QoS2, filtersMax), "replaces [MQTT-3.8.4-3]")
	assert.Equal(t, map[string]codec.QoS{"a/b": codec.QoS2, "a/+": codec.QoS1}, filtersOf(s))
	assert.False(t, s.Unsubscribe(nil, []byte("a/c")), "compared character by character [MQTT-3.10.4-1]")
	assert.False(t, s.Unsubscribe(nil, []byte("A/b")))
	assert.True(t, s.Unsubscribe(nil, []byte("a/b")))
	assert.False(t, s.Unsubscribe(nil, []byte("a/b")), "once is enough")
	assert.Equal(t, map[string]codec.QoS{"a/+": codec.QoS1}, filtersOf(s))
}

const filtersMax = 10_000

func TestFiltersMax(t *testing.T) {
	s := newSession()
	for i := range filtersMax {
		require.True(t, s.Subscribe(nil, fmt.Sprint(i), codec.QoS0, filtersMax))
	}
	assert.False(t, s.Subscribe(nil, "one more", codec.QoS0, filtersMax))
	assert.NotContains(t, filtersOf(s), "one more")
	assert.True(t, s.Subscribe(nil, "0", codec.QoS2, filtersMax), "one that is there")
	assert.Equal(t, codec.QoS2, filtersOf(s)["0"])
	assert.True(t, s.Unsubscribe(nil, []byte("1")))
	assert.True(t, s.Subscribe(nil, "one more", codec.QoS0, filtersMax))
	assert.False(t, s.Subscribe(nil, "1", codec.QoS0, filtersMax))
	assert.Len(t, filtersOf(s), filtersMax)
}

// A QoS 2 PUBLISH is published once, until PUBREL ends the use of its Packet Identifier
// [MQTT-4.3.3-2].
func TestReceive(t *testing.T) {
	s := newSession()
	s.Release(nil, 1) // unknown, of an earlier session
	assert.True(t, s.Receive(nil, 1))
	assert.False(t, s.Receive(nil, 1), "a duplicate")
	assert.True(t, s.Receive(nil, 2), "another message")
	assert.False(t, s.Receive(nil, 1))
	s.Release(nil, 1)
	assert.True(t, s.Receive(nil, 1), "a new message with the same Packet Identifier")
	assert.False(t, s.Receive(nil, 2))
	s.Release(nil, 1)
	s.Release(nil, 1)
	s.Release(nil, 2)
	assert.Empty(t, s.unreleased)
}

func TestReceiveHasRoomForAll(t *testing.T) {
	s := newSession()
	for id := 1; id <= 65_535; id++ {
		require.True(t, s.Receive(nil, uint16(id)))
	}
	for id := 1; id <= 65_535; id++ {
		if s.Receive(nil, uint16(id)) {
			require.Fail(t, "a duplicate was taken for new", id)
		}
		s.Release(nil, uint16(id))
	}
	assert.Empty(t, s.unreleased)
}

func filtersOf(s *Session) map[string]codec.QoS { return maps.Collect(s.Filters()) }

// Few filters stand in a list and many in a map: both do the same.
func TestFewAndManyFilters(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s, want := New(1, "client", &codec.Connect{}), map[string]codec.QoS{}
	for range 5000 {
		filter, qos := fmt.Sprint("f/", random.IntN(2*fewMax)), codec.QoS(random.IntN(3))
		if _, known := want[filter]; random.IntN(2) == 0 {
			assert.Equal(t, known, s.Unsubscribe(nil, []byte(filter)))
			delete(want, filter)
		} else {
			assert.True(t, s.Subscribe(nil, filter, qos, filtersMax))
			want[filter] = qos
		}
		require.Equal(t, want, filtersOf(s))
		require.Equal(t, len(want), s.FilterCount())
	}
}

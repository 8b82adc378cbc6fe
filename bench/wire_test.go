package bench

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGoldenPackets(t *testing.T) {
	assert.Equal(t, []byte{
		0x10, 14, // CONNECT, Remaining Length
		0, 4, 'M', 'Q', 'T', 'T', 4, // protocol name, level 3.1.1
		0x02, 0, 0, // Clean Session, Keep Alive off
		0, 2, 'i', 'd',
	}, appendConnect(nil, "id", connectClean))
	assert.Equal(t, []byte{
		0x10, 14, // CONNECT, Remaining Length
		0, 4, 'M', 'Q', 'T', 'T', 4, // protocol name, level 3.1.1
		0, 0, 0, // Clean Session 0, Keep Alive off
		0, 2, 'i', 'd',
	}, appendConnect(nil, "id", connectPersistent))
	assert.Equal(t, []byte{
		0x82, 12, // SUBSCRIBE, Remaining Length
		1, 2, // Packet Identifier
		0, 3, 'a', '/', '#', 1, // filter, QoS 1
		0, 1, 'b', 1,
	}, appendSubscribe(nil, 0x102, []string{"a/#", "b"}, 1))
	assert.Equal(t, []byte{
		0xA2, 10, // UNSUBSCRIBE, Remaining Length
		1, 2, // Packet Identifier
		0, 3, 'a', '/', '#', // filters
		0, 1, 'b',
	}, appendUnsubscribe(nil, 0x102, []string{"a/#", "b"}))
	assert.Equal(t, []byte{
		0x30, 5, // PUBLISH, Remaining Length
		0, 1, 'a', // topic
		0, 0, // payload
	}, appendPublish(nil, "a", 0, 2))
	assert.Equal(t, []byte{
		0x34, 7, // PUBLISH at QoS 2, Remaining Length
		0, 1, 'a', // topic
		0, 0, // Packet Identifier, to be filled in
		0, 0, // payload
	}, appendPublish(nil, "a", 2, 2))
	assert.Equal(t, []byte{0x62, 2, 1, 2}, appendAck(nil, packetPubrel, 0x102))
	assert.Equal(t, []byte{0xE0, 0}, appendDisconnect(nil))
}

func TestParseLength(t *testing.T) {
	for _, n := range []int{0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455} {
		b := appendLength([]byte{0x30}, n)
		headerBytes, remaining, err := parseLength(append(b, 0xFF))
		require.NoError(t, err)
		assert.Equal(t, len(b), headerBytes)
		assert.Equal(t, n, remaining)
		headerBytes, _, err = parseLength(b[:len(b)-1])
		require.NoError(t, err)
		assert.Zero(t, headerBytes)
	}
	_, _, err := parseLength([]byte{0x30, 0x80, 0x80, 0x80, 0x80, 0})
	assert.ErrorIs(t, err, errMalformed)
}

func TestAcknowledgements(t *testing.T) {
	assert.NoError(t, parseConnack([]byte{0, 0}))
	assert.ErrorContains(t, parseConnack([]byte{0, 2}), "identifier rejected")
	assert.ErrorContains(t, parseConnack([]byte{0, 9}), "unknown")
	assert.ErrorIs(t, parseConnack([]byte{0}), errMalformed)
	granted, err := parseSuback([]byte{0, 1, 2, 0, 1})
	assert.NoError(t, err)
	assert.Equal(t, 0, granted, "the lowest")
	granted, err = parseSuback([]byte{0, 1, 2})
	assert.NoError(t, err)
	assert.Equal(t, 2, granted)
	_, err = parseSuback([]byte{0, 1, 0, 0x80})
	assert.ErrorContains(t, err, "0x80")
	_, err = parseSuback([]byte{0, 1})
	assert.ErrorIs(t, err, errMalformed)
}

func TestHandshakeTakesPacketsInAnyPieces(t *testing.T) {
	connackPacket := []byte{packetConnack, 2, 0, 0}
	answer := appendPublish(nil, "retained", 0, 300) // may come before SUBACK
	answer = append(answer, packetSuback, 3, 0, 1, 0, 'x')
	for cut := range answer {
		h := &handshake{fd: -1, stage: connack, filters: []string{"a"}}
		h.held = append(h.held, connackPacket...)
		require.NoError(t, h.parse())
		assert.Equal(t, suback, h.stage)
		assert.Equal(t, appendSubscribe(nil, 1, []string{"a"}, 0), h.unsent)
		h.held = append(h.held, answer[:cut]...)
		require.NoError(t, h.parse())
		h.held = append(h.held, answer[cut:]...)
		require.NoError(t, h.parse())
		assert.Equal(t, ready, h.stage)
		assert.Equal(t, "x", string(h.held), "what follows is left")
	}
}

func TestHandshakeOfAPublisherEndsWithConnack(t *testing.T) {
	h := &handshake{fd: -1, stage: connack, held: []byte{packetConnack, 2, 0, 0}}
	require.NoError(t, h.parse())
	assert.Equal(t, ready, h.stage)
	assert.Empty(t, h.unsent)
}

func TestHandshakeSplitsFiltersOverPackets(t *testing.T) {
	h := &handshake{fd: -1, stage: connack, filters: make([]string, filtersMax+1), held: []byte{packetConnack, 2, 0, 0}}
	require.NoError(t, h.parse())
	assert.Equal(t, 2, h.subacks)
	one := []byte{packetSuback, 3, 0, 1, 0}
	h.held = append(h.held, one...)
	require.NoError(t, h.parse())
	assert.Equal(t, suback, h.stage)
	h.held = append(h.held, one...)
	require.NoError(t, h.parse())
	assert.Equal(t, ready, h.stage)
}

func TestHandshakeRefusesWhatABrokerMayNotSend(t *testing.T) {
	for name, b := range map[string]string{
		"a PINGRESP":                      "\xd0\x00",
		"SUBACK before SUBSCRIBE":         "\x90\x03\x00\x01\x00",
		"PUBLISH before CONNACK":          "\x30\x03\x00\x01a",
		"a length that never ends":        "\x20\xff\xff\xff\xff\xff",
		"a packet of more than can be":    "\x20\xff\xff\xff\x7f",
		"a CONNACK that is not one":       "\x20\x01\x00",
		"a CONNACK that is a bit too big": "\x20\x03\x00\x00\x00",
	} {
		h := &handshake{fd: -1, stage: connack, held: []byte(b)}
		assert.ErrorIs(t, h.parse(), errMalformed, name)
	}
}

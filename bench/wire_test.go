package bench

import (
	"bytes"
	"strings"
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
	}, appendConnect(nil, "id"))
	assert.Equal(t, []byte{
		0x82, 8, // SUBSCRIBE, Remaining Length
		0, 1, // Packet Identifier
		0, 3, 'a', '/', '#', 0, // filter, QoS 0
	}, appendSubscribe(nil, "a/#"))
	assert.Equal(t, []byte{
		0x30, 5, // PUBLISH, Remaining Length
		0, 1, 'a', // topic
		0, 0, // payload
	}, appendPublish(nil, "a", 2))
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
	assert.NoError(t, parseSuback([]byte{0, 1, 0}))
	assert.ErrorContains(t, parseSuback([]byte{0, 1, 0x80}), "0x80")
	assert.ErrorIs(t, parseSuback([]byte{0, 1}), errMalformed)
}

func TestReadPacketSkipsMessagesBeforeSuback(t *testing.T) {
	b := appendPublish(nil, "retained", 300)
	b = append(b, packetSuback, 3, 0, 1, 0, 'x')
	r := bytes.NewReader(b)
	body, err := readPacket(r, packetSuback)
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 1, 0}, body)
	assert.Equal(t, 1, r.Len(), "what follows is left")

	_, err = readPacket(strings.NewReader("\xd0\x00"), packetSuback)
	assert.ErrorIs(t, err, errMalformed)
}

package codec

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// frameIn returns the only frame in packet, as a Decoder cuts it.
func frameIn(t testing.TB, packet []byte) Frame {
	t.Helper()
	var d Decoder
	d.Feed(packet)
	f, ok, err := d.Next(remainingLengthMax + 5)
	require.NoError(t, err)
	require.True(t, ok, "the packet is not complete: % x", packet)
	require.Len(t, f.Bytes, len(packet), "bytes after the packet")
	return f
}

// Table 2.2 of MQTT 3.1.1, for all 256 first bytes.
func TestFirstByte(t *testing.T) {
	resend31 := map[int]bool{0x6A: true, 0x8A: true, 0xAA: true}
	for first := range 256 {
		kind, flags := PacketType(first>>4), byte(first&0x0F)
		rule := "MQTT-2.2.2-2"
		switch kind {
		case 0, 15:
			rule = ruleClose
		case PUBLISH:
			rule = map[byte]string{
				0x6: "MQTT-3.3.1-4", 0x7: "MQTT-3.3.1-4", 0xE: "MQTT-3.3.1-4", 0xF: "MQTT-3.3.1-4",
				0x8: "MQTT-3.3.1-2", 0x9: "MQTT-3.3.1-2",
			}[flags]
		case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
			if flags == 2 {
				rule = ""
			}
		default:
			if flags == 0 {
				rule = ""
			}
		}
		for _, version := range []Version{0, Version31, Version311} {
			var d Decoder
			d.SetVersion(version)
			d.Feed([]byte{byte(first)}) // nothing else has come
			_, ok, err := d.Next(100)
			assert.False(t, ok)
			if rule == "" || version == Version31 && resend31[first] {
				assert.NoError(t, err, "%#x in %v", first, version)
				assert.Equal(t, 1, d.Held())
				continue
			}
			assert.ErrorIs(t, err, ErrMalformed, "%#x in %v", first, version)
			requireFault(t, err, kind, rule)
			assert.Zero(t, d.Held())
		}
	}
}

func TestRemainingLength(t *testing.T) {
	for _, c := range []struct {
		name   string
		length int
		bytes  []byte
	}{
		{"the smallest of one byte", 0, []byte{0x00}},
		{"the largest of one byte", 127, []byte{0x7F}},
		{"the smallest of two bytes", 128, []byte{0x80, 0x01}},
		{"the example of section 2.2.3", 321, []byte{0xC1, 0x02}},
		{"the largest of two bytes", 16_383, []byte{0xFF, 0x7F}},
		{"the smallest of three bytes", 16_384, []byte{0x80, 0x80, 0x01}},
		{"the largest of three bytes", 2_097_151, []byte{0xFF, 0xFF, 0x7F}},
		{"the smallest of four bytes", 2_097_152, []byte{0x80, 0x80, 0x80, 0x01}},
		{"the largest of four bytes", 268_435_455, []byte{0xFF, 0xFF, 0xFF, 0x7F}},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := append([]byte{0x30}, c.bytes...)
			assert.Equal(t, header, appendHeader(nil, PUBLISH, 0, c.length))
			head, size, fault := readHeader(append(header, 0), remainingLengthMax+5, Version311)
			assert.Nil(t, fault)
			assert.Equal(t, len(header), head)
			assert.Equal(t, len(header)+c.length, size)
		})
	}
	assert.Panics(t, func() { appendHeader(nil, PUBLISH, 0, remainingLengthMax+1) })
}

// MQTT 3.1.1 does not ask for the shortest encoding.
func TestRemainingLengthInMoreBytesThanItNeeds(t *testing.T) {
	for _, packet := range [][]byte{{0xC0, 0x80, 0x00}, {0xC0, 0x80, 0x80, 0x80, 0x00}} {
		f := frameIn(t, packet)
		assert.Equal(t, PINGREQ, f.Type)
		assert.Empty(t, f.Body)
		assert.Equal(t, packet, f.Bytes)
	}
}

func TestPacketSizeAndTopicOfWholePackets(t *testing.T) {
	for _, payload := range []int{0, 1, 100, 127 - 5, 128 - 5, 16_383 - 5, 16_384 - 5, 2_097_152 - 5, 2_097_160} {
		packet := AppendPublish(nil, &Publish{Topic: []byte("a/b"), Payload: make([]byte, payload)})
		followed := append(packet[:len(packet):len(packet)], AppendPingreq(nil)...)
		assert.Equal(t, len(packet), PacketSize(followed), "payload of %d bytes", payload)
		assert.Equal(t, "a/b", string(PublishTopic(followed)))
	}
	assert.Equal(t, 2, PacketSize(AppendPingresp(nil)))
	assert.Panics(t, func() { PacketSize([]byte{0x30, 0x80}) }, "a broken precondition is our own bug")
}

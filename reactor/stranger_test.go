package reactor

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"mqttd/codec"
)

func TestStrangersAreToldApartByTheirFirstBytes(t *testing.T) {
	for _, test := range []struct{ name, sent, hint string }{
		{"TLS", "\x16\x03\x01\x02\x00", "TLS handshake"},
		{"HTTP", "GET / HTTP/1.1\r\n", "HTTP request"},
		{"HTTP POST", "POST / HTTP/1.1\r\n", "HTTP request"},
		{"PROXY, version 1", "PROXY TCP4 192.0.2.1", "PROXY protocol"},
		{"PROXY, version 2", "\r\n\r\n\x00\r\nQUIT\n\x21\x11", "PROXY protocol"},
		{"SSH", "SSH-2.0-OpenSSH", "SSH client"},
		{"another packet", "\x30\x64\x00\x01a", "PUBLISH: first packet is not CONNECT [MQTT-3.1.0-1]"},
	} {
		err := checkFirst([]byte(test.sent))
		assert.ErrorContains(t, err, test.hint, test.name)
		assert.True(t, isProtocolError(err), test.name)
		assert.Equal(t, !isStranger(err), strings.Contains(err.Error(), "codec"), "%s: it is no packet", test.name)
	}
	assert.NoError(t, checkFirst(nil))
	assert.NoError(t, checkFirst([]byte("\x11\x10")), "a CONNECT with flags: the decoder says so")
	assert.NoError(t, checkFirst(codec.AppendConnect(nil, &codec.Connect{Version: codec.Version311, CleanSession: true})))
}

// A stranger is closed at once, also when its bytes look like the beginning of a long packet.
func TestStrangersAreClosedAtOnce(t *testing.T) {
	s := start(t, nil)
	for _, sent := range []string{"PROXY TCP4 192.0.2.1", "\x70\xd8", "\x30\x64\x00\x01a", "\x16\x03\x01", "\x11"} {
		c := dial(t, s)
		c.send([]byte(sent))
		c.expectClosed()
	}
	assert.EqualValues(t, 5, s.Stats().ProtocolErrors)
}

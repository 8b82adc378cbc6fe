package reactor

import (
	"bytes"
	"errors"
	"fmt"

	"mqttd/codec"
	"mqttd/session"
)

// A connection begins with CONNECT [MQTT-3.1.0-1], so its first byte says whether a client of something else
// is at the wrong port. It is told apart at once: a frame of another protocol might be a long wait for a
// packet's end. The log says which protocol it looks like, for whoever configured the port.

// connectByte is the first byte of every CONNECT.
const connectByte = byte(codec.CONNECT) << 4

// checkFirst returns why the first input of a connection begins no CONNECT, nil if it may.
func checkFirst(chunk []byte) error {
	if len(chunk) == 0 || chunk[0] == connectByte {
		return nil
	}
	fault := illegal(session.AwaitConnect, codec.PacketType(chunk[0]>>4))
	for _, p := range strangers {
		if bytes.HasPrefix(chunk, p.prefix) {
			return fmt.Errorf("%w: %w", stranger{p.hint}, fault)
		}
	}
	return fault
}

// stranger is a client of another protocol.
type stranger struct{ hint string }

func (s stranger) Error() string { return s.hint }

// isStranger reports whether err says that the peer speaks another protocol, which is known.
func isStranger(err error) bool {
	var s stranger
	return errors.As(err, &s)
}

// strangers are protocols whose clients come to the wrong port, by what they send first.
var strangers = []struct {
	prefix []byte
	hint   string
}{
	{[]byte{0x16, 0x03}, "a TLS handshake: this port speaks MQTT without TLS"},
	{[]byte("GET "), "an HTTP request: this port speaks MQTT, without WebSocket"},
	{[]byte("POST "), "an HTTP request: this port speaks MQTT, without WebSocket"},
	{[]byte("HEAD "), "an HTTP request: this port speaks MQTT, without WebSocket"},
	{[]byte("PROXY "), "a PROXY protocol header: this port expects MQTT from its first byte"},
	{[]byte("\r\n\r\n\x00\r\nQUIT\n"), "a PROXY protocol header: this port expects MQTT from its first byte"},
	{[]byte("SSH-"), "an SSH client: this port speaks MQTT"},
}

package reactor

import (
	"bytes"
	"errors"

	"mqttd/codec"
	"mqttd/session"
)

// A connection begins with CONNECT [MQTT-3.1.0-1], so its first byte says whether a client of something else
// is at the wrong port. It is told apart at once: a frame of another protocol might be a long wait for a
// packet's end. The log says which protocol it looks like, for whoever configured the port.

// connectByte is the first byte of every CONNECT.
const connectByte = byte(codec.CONNECT) << 4

// checkFirst returns why the first input of a connection begins no CONNECT, nil if it may, or if its decoder knows
// better: the flags of the CONNECT are wrong.
func checkFirst(chunk []byte) error {
	if len(chunk) == 0 || chunk[0] == connectByte {
		return nil
	}
	first := codec.PacketType(chunk[0] >> 4)
	for _, p := range strangers {
		if bytes.HasPrefix(chunk, p.prefix) {
			return stranger{p.hint, illegal(session.AwaitConnect, first)}
		}
	}
	if first == codec.CONNECT {
		return nil
	}
	return illegal(session.AwaitConnect, first)
}

// stranger is a client of another protocol. What its bytes would be in MQTT is a violation, and of no use to a reader.
type stranger struct {
	hint  string
	fault error
}

func (s stranger) Error() string { return s.hint }
func (s stranger) Unwrap() error { return s.fault }

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

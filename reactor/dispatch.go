package reactor

import (
	"errors"
	"fmt"

	"mqttd/codec"
	"mqttd/session"
)

// dispatch handles one packet. An error ends the connection. A PUBLISH frame is passed on uncopied: at
// millions a second its 56 bytes count (BenchmarkPublish).
func (l *loop) dispatch(c *conn, f *codec.Frame) error {
	if !session.Legal(c.state, f.Type) {
		return illegal(c.state, f.Type)
	}
	if f.Type == codec.PUBLISH {
		return l.onPublish(c, f)
	}
	err := l.dispatchRare(c, f)
	if !isProtocolError(err) {
		l.handled[f.Type].add(1)
	}
	return err
}

// dispatchRare handles a packet that is no PUBLISH.
func (l *loop) dispatchRare(c *conn, f *codec.Frame) error {
	switch f.Type {
	case codec.CONNECT:
		return l.onConnect(c, *f)
	case codec.SUBSCRIBE:
		return l.onSubscribe(c, *f)
	case codec.UNSUBSCRIBE:
		return l.onUnsubscribe(c, *f)
	case codec.PUBACK, codec.PUBREC, codec.PUBREL, codec.PUBCOMP:
		return l.onAck(c, *f)
	case codec.PINGREQ:
		return l.onPingreq(c, *f)
	case codec.DISCONNECT:
		return l.onDisconnect(c, *f)
	default:
		panic("reactor: no handler for " + f.Type.String())
	}
}

func illegal(s session.State, t codec.PacketType) error {
	rule, text := "MQTT-4.8.0-1", "only servers send it"
	switch {
	case s == session.AwaitConnect:
		rule, text = "MQTT-3.1.0-1", "first packet is not CONNECT"
	case t == codec.CONNECT:
		rule, text = "MQTT-3.1.0-2", "second CONNECT"
	}
	return &codec.Error{Type: t, Rule: rule, Code: codec.CodeProtocolError, Text: text}
}

// explained returns err with the flags that move the limit which a packet is beyond, if that is what err says.
func (c *Config) explained(err error) error {
	var fault *codec.Error
	switch {
	case !errors.As(err, &fault) || fault.Limit == 0:
		return err
	case !errors.Is(fault, codec.ErrTooLarge):
		return fmt.Errorf("%w; see -max-topic-length and -max-topic-levels", err)
	case fault.Limit < c.MaxPacketBytes:
		return fmt.Errorf("%w; see -max-connect-size", err)
	default:
		return fmt.Errorf("%w; see -max-packet-size", err)
	}
}

// isProtocolError reports whether err is a violation by the peer.
func isProtocolError(err error) bool {
	if err == nil { // as it is for almost every packet: what errors.As is given is allocated
		return false
	}
	var fault *codec.Error
	return errors.As(err, &fault)
}

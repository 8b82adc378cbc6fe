package reactor

import "mqttd/codec"

// onPingreq answers with PINGRESP [MQTT-3.12.4-1].
func (l *loop) onPingreq(c *conn, f codec.Frame) error {
	if err := codec.ParsePing(f, c.session.Version); err != nil {
		return err
	}
	l.replies = codec.AppendPingresp(l.replies)
	return nil
}

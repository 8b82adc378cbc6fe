package reactor

import "mqttd/codec"

// onPingreq answers with PINGRESP [MQTT-3.12.4-1].
func (l *loop) onPingreq(c *conn, f codec.Frame) error {
	if err := codec.ParsePing(f, c.session.Version); err != nil {
		return err
	}
	if l.waitsForDisk(c) { // it shall not take the broker for dead while the disk fails; CONNACK has gone out
		l.reply(c, codec.AppendPingresp(nil))
		return nil
	}
	l.replies = codec.AppendPingresp(l.replies)
	return nil
}

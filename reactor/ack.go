package reactor

import "mqttd/codec"

// onAck handles the packets that follow a QoS 1 or 2 PUBLISH.
func (l *loop) onAck(c *conn, f codec.Frame) error {
	packetID, err := codec.ParseAck(f, c.session.Version)
	if err != nil {
		return err
	}
	switch f.Type {
	case codec.PUBREL: // the sender will not send this message again [MQTT-4.3.3-2]
		c.session.Release(packetID)
		l.replies = codec.AppendAck(l.replies, codec.PUBCOMP, packetID)
	case codec.PUBREC:
		// Nothing is sent at QoS 2 yet, so the client speaks of an earlier session. PUBREL
		// lets it come to an end.
		l.replies = codec.AppendAck(l.replies, codec.PUBREL, packetID)
	}
	return nil
}

package reactor

import "mqttd/codec"

// onUnsubscribe ends the subscriptions with exactly these filters [MQTT-3.10.4-1] and answers
// with UNSUBACK, whether there were any or not [MQTT-3.10.4-5]. A filter that breaks the rules ends the
// connection.
func (l *loop) onUnsubscribe(c *conn, f codec.Frame) error {
	p, err := codec.ParseUnsubscribe(f, c.session.Version)
	if err != nil {
		return err
	}
	for filter, ok := p.Next(); ok; filter, ok = p.Next() {
		if err := filterViolation(filter, l.config.Topics); err != nil {
			return err
		}
		tx := l.server.store.Begin()
		known := c.session.Unsubscribe(tx, filter)
		l.keeps(tx)
		if known {
			l.server.router.Unsubscribe(string(filter), uint64(c.handle))
			c.replay.remove(string(filter))
		}
	}
	l.replies = codec.AppendAck(l.replies, codec.UNSUBACK, p.PacketID)
	return nil
}

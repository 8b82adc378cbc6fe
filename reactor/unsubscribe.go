package reactor

import (
	"mqttd/codec"
	"mqttd/session/store"
)

// onUnsubscribe ends the subscriptions with exactly these filters [MQTT-3.10.4-1] and answers
// with UNSUBACK, whether there were any or not [MQTT-3.10.4-5]. A filter that breaks the rules ends the
// connection, and no subscription.
func (l *loop) onUnsubscribe(c *conn, f codec.Frame) error {
	p, err := codec.ParseUnsubscribe(f, c.session.Version)
	if err != nil {
		return err
	}
	all := p
	for filter, ok := all.Next(); ok; filter, ok = all.Next() { // before any of them takes effect
		if err := filterViolation(filter, l.config.Topics); err != nil {
			return err
		}
	}
	for filter, ok := p.Next(); ok; filter, ok = p.Next() {
		known := false
		l.noting(func(tx *store.Tx) { known = c.session.Unsubscribe(tx, filter) })
		l.server.lines.unsubscribed(l.server, c, filter, known)
		if known {
			l.server.router.Unsubscribe(string(filter), uint64(c.handle))
			c.replay.remove(string(filter))
			if c.replay != nil && c.pace == held { // it may be through, and wait for no acknowledgement
				l.replaySoon(c)
			}
		}
	}
	l.replies = codec.AppendAck(l.replies, codec.UNSUBACK, p.PacketID)
	return nil
}

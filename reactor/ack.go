package reactor

import (
	"mqttd/codec"
	"mqttd/session"
	"mqttd/session/store"
)

// onAck handles the packets that follow a QoS 1 or 2 PUBLISH. One that names no message that is due for it changes
// nothing.
func (l *loop) onAck(c *conn, f codec.Frame) error {
	packetID, err := codec.ParseAck(f, c.session.Version)
	if err != nil {
		return err
	}
	if f.Type != codec.PUBREL {
		l.acknowledged(c, f.Type, packetID)
		return nil
	}
	l.noting(func(tx *store.Tx) { c.session.Release(tx, packetID) }) // it will not be sent again [MQTT-4.3.3-2]
	l.replies = codec.AppendAck(l.replies, codec.PUBCOMP, packetID)
	return nil
}

// acknowledged goes on with a message that was sent to c: PUBREC is answered with PUBREL [MQTT-4.3.3-1], also when it
// speaks of an earlier session, so that the client comes to an end with it.
func (l *loop) acknowledged(c *conn, t codec.PacketType, packetID uint16) {
	progress, qos := session.Nothing, codec.QoS0
	if o := c.session.Outbox; o != nil {
		l.noting(func(tx *store.Tx) { progress, qos = o.Acknowledge(tx, t, packetID) })
	}
	if progress == session.Received || progress == session.Done && qos == codec.QoS1 {
		l.above[qos-1].delivered.add(1)
	}
	if t == codec.PUBREC {
		l.replies = codec.AppendAck(l.replies, codec.PUBREL, packetID)
	}
	if progress == session.Done { // the window has room
		l.goOn(c)
	}
}

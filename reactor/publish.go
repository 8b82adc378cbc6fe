package reactor

import (
	"mqttd/codec"
	"mqttd/router"
	"mqttd/session"
)

// onPublish acknowledges a PUBLISH as its QoS demands and sends it on at QoS 0.
func (l *loop) onPublish(c *conn, f *codec.Frame) error {
	var p codec.Publish
	if err := p.Parse(f, c.session.Version); err != nil {
		return err
	}
	route, err := l.routes.Route(p.Topic) // checks the topic
	if err != nil {
		return err
	}
	l.published[p.QoS]++
	l.publishedBytes += uint64(len(p.Payload))
	switch p.QoS {
	case codec.QoS1:
		l.replies = codec.AppendAck(l.replies, codec.PUBACK, p.PacketID)
	case codec.QoS2:
		l.replies = codec.AppendAck(l.replies, codec.PUBREC, p.PacketID)
		if !c.session.Receive(p.PacketID) {
			return nil // published when it came first [MQTT-4.3.3-2]
		}
	}
	if p.Topic[0] == '$' && underSys(p.Topic) {
		l.refusePublish(c, p.Topic)
		return nil
	}
	if p.Retain {
		l.retain(p.Topic, p.Payload)
		// Who subscribed meanwhile is in the route, or finds the message retained.
		if route, err = l.routes.Route(p.Topic); err != nil {
			return err
		}
	}
	if route.Len() == 0 {
		return nil
	}
	if p.QoS == codec.QoS0 && isMinimal(f) {
		l.append(f.Bytes, route)
	} else {
		l.encode(p.Topic, p.Payload, route)
	}
	return nil
}

// isMinimal reports whether the Remaining Length takes no more bytes than it needs, so that the
// packet may go out as it came in.
func isMinimal(f *codec.Frame) bool {
	header := len(f.Bytes) - len(f.Body)
	return header == 2 || len(f.Body) >= 1<<(7*(header-2))
}

// append puts a QoS 0 PUBLISH into the round log as it came in, with RETAIN cleared: live
// deliveries never have it [MQTT-3.3.1-9].
func (l *loop) append(packet []byte, route *router.Route) {
	l.log.begin(route)
	at := len(l.log.bytes)
	l.log.bytes = append(l.log.bytes, packet...)
	l.log.bytes[at] = byte(codec.PUBLISH) << 4
	l.log.end()
	l.flushIfLarge()
}

// encode puts a message into the round log as a new QoS 0 PUBLISH.
func (l *loop) encode(topic, payload []byte, route *router.Route) {
	l.log.begin(route)
	l.log.bytes = codec.AppendPublish(l.log.bytes, &codec.Publish{Topic: topic, Payload: payload})
	l.log.end()
	l.flushIfLarge()
}

func (l *loop) flushIfLarge() {
	if len(l.log.bytes) >= flushBytes {
		l.flush()
	}
}

// retain stores the message for later subscribers [MQTT-3.3.1-5], or with an empty payload
// removes the one there was [MQTT-3.3.1-10] [MQTT-3.3.1-11].
func (l *loop) retain(topic, payload []byte) {
	if len(payload) == 0 {
		l.server.retained.Clear(topic)
		return
	}
	if !l.server.retained.Store(topic, retainedPacket(topic, payload)) {
		l.retainedRefused.add(1)
		l.server.lines.retainedFull(l.server)
	}
}

// refusePublish drops a message from a client for a topic that is the broker's own. In MQTT 3.1.1 there is no
// way to say so: it is acknowledged like any other [MQTT-3.3.5-2].
func (l *loop) refusePublish(c *conn, topic []byte) {
	l.publishRefused.add(1)
	l.server.lines.publishRefused(l.server, c, topic)
}

// publishWill publishes c's Will Message [MQTT-3.1.2-8].
func (l *loop) publishWill(c *conn, w *session.Will) {
	topic := []byte(w.Topic)
	if underSys(topic) {
		l.refusePublish(c, topic)
		return
	}
	if w.Retain {
		l.retain(topic, w.Payload)
	}
	l.spread(topic, w.Payload)
}

// spread sends a message of the broker's own, or a Will, to its subscribers. The topic must be valid.
func (l *loop) spread(topic, payload []byte) {
	route, err := l.routes.Route(topic)
	if err == nil && route.Len() > 0 {
		l.encode(topic, payload, route)
	}
}

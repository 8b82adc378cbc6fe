package reactor

import (
	"mqttd/codec"
	"mqttd/router"
	"mqttd/session"
	"mqttd/session/store"
)

// onPublish sends a PUBLISH on: here at QoS 0.
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
	if p.QoS > codec.QoS0 {
		return l.onPublishAbove(c, &p, route)
	}
	if p.Topic[0] == '$' && underSys(p.Topic) {
		l.refusePublish(c, p.Topic)
		return nil
	}
	if p.Retain {
		l.noting(func(tx *store.Tx) {
			tx.Lazy()
			l.retain(tx, p.Topic, p.Payload, p.QoS)
		})
		// Who subscribed meanwhile is in the route, or finds the message retained.
		if route, err = l.routes.Route(p.Topic); err != nil {
			return err
		}
	}
	if route.Len() == 0 {
		return nil
	}
	if isMinimal(f) {
		l.append(f.Bytes, route)
	} else {
		l.encode(p.Topic, p.Payload, route)
	}
	return nil
}

// onPublishAbove acknowledges a PUBLISH of QoS 1 or 2 and sends it on, to each subscriber at the lower of its QoS and
// the granted one [MQTT-3.8.4-6].
func (l *loop) onPublishAbove(c *conn, p *codec.Publish, route *router.Route) error {
	answer := codec.PUBACK
	if p.QoS == codec.QoS2 {
		answer = codec.PUBREC
	}
	l.replies = codec.AppendAck(l.replies, answer, p.PacketID)
	route.Part() // worked out before others have to wait for the store
	return l.spread(p.Topic, p.Payload, p.QoS, func(tx *store.Tx) bool {
		switch {
		case p.QoS == codec.QoS2 && !c.session.Receive(tx, p.PacketID):
			return false // published when it came first [MQTT-4.3.3-2]
		case p.Topic[0] == '$' && underSys(p.Topic):
			l.refusePublish(c, p.Topic)
			return false
		case p.Retain:
			l.retain(tx, p.Topic, p.Payload, p.QoS)
		}
		return true
	})
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
func (l *loop) retain(tx *store.Tx, topic, payload []byte, qos codec.QoS) {
	if len(payload) == 0 {
		l.server.retained.Clear(tx, topic)
		tx.Await() // a PUBACK: another client may have cleared it a moment ago
		return
	}
	if !l.server.retained.Store(tx, topic, retainedPacket(topic, payload, qos)) {
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
	_ = l.spread(topic, w.Payload, w.QoS, func(tx *store.Tx) bool {
		if w.Retain {
			l.retain(tx, topic, w.Payload, w.QoS)
		}
		return true
	})
}

// spread sends a message to its subscribers, unless before says no. What before notes, and what is queued, is saved as
// a whole or not at all. The error is that of a topic beyond the limits, of which nothing is sent.
func (l *loop) spread(topic, payload []byte, qos codec.QoS, before func(tx *store.Tx) bool) (err error) {
	var route *router.Route
	l.noting(func(tx *store.Tx) {
		if !before(tx) {
			return
		}
		if route, err = l.routes.Route(topic); err == nil && qos > codec.QoS0 {
			route = l.enqueue(tx, topic, payload, qos, route)
		}
	})
	l.wakeAll()
	if err == nil && route != nil && route.Len() > 0 {
		l.encode(topic, payload, route)
	}
	return err
}

// retainedPacket returns the packet of a retained message as router.RetainedMessage has it.
func retainedPacket(topic, payload []byte, qos codec.QoS) []byte {
	packet := codec.AppendPublish(nil, &codec.Publish{Topic: topic, Payload: payload, Retain: true})
	packet[0] |= byte(qos) << 1
	return packet
}

// retainedQoS returns the QoS at which it was published.
func retainedQoS(packet []byte) codec.QoS { return codec.QoS(packet[0] >> 1 & 3) }

// appendRetained appends it as it goes out at QoS 0.
func appendRetained(dst, packet []byte) []byte {
	at := len(dst)
	dst = append(dst, packet...)
	dst[at] &^= 3 << 1
	return dst
}

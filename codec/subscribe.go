package codec

// Subscribe is a SUBSCRIBE packet, and an iterator over its filters. Copies iterate on their own.
//
//	byte 1                 8<<4 | 2 [MQTT-3.8.1-1]
//	byte 2 to 5            Remaining Length
//	2 bytes                Packet Identifier
//	2 bytes, n bytes, 1    Topic Filter and requested QoS, once or more
type Subscribe struct {
	PacketID uint16 // not 0
	Count    int    // number of filters in the packet; Count > 0
	rest     reader // what Next has not returned; validated by ParseSubscribe
}

// ParseSubscribe reads a SUBSCRIBE frame and validates all of it before anything is returned: structure, at least
// one filter [MQTT-3.8.3-3], filters that are UTF-8 encoded strings [MQTT-3.8.3-1], a requested QoS of at most 2
// [MQTT-3.8.3-4]. A filter may still break the rules of wildcards or be too long, which [CheckTopicFilter] tells.
// MQTT 3.1 and 3.1.1 are alike here.
func ParseSubscribe(f Frame, _ Version) (Subscribe, error) {
	r := newReader(f)
	s := Subscribe{PacketID: r.packetID(), rest: r}
	for ; r.more(); s.Count++ {
		r.text()
		if QoS(r.byte()) > QoS2 {
			r.fail(malformed(SUBSCRIBE, "MQTT-3.8.3-4", "requested QoS is above 2"))
		}
	}
	if s.Count == 0 {
		r.fail(malformed(SUBSCRIBE, "MQTT-3.8.3-3", "no topic filter"))
	}
	if err := r.end(); err != nil {
		return Subscribe{}, err
	}
	return s, nil
}

// Next returns the next filter, borrowed, with the QoS requested for it; ok is false when there is none.
func (s *Subscribe) Next() (filter []byte, qos QoS, ok bool) {
	if !s.rest.more() {
		return nil, 0, false
	}
	return s.rest.field(), QoS(s.rest.byte()), true
}

// Subscription is a Topic Filter and the QoS requested for it.
type Subscription struct {
	Filter string
	QoS    QoS
}

// AppendSubscribe grows dst by a SUBSCRIBE packet. It panics when packetID is 0, subs is empty, a QoS is above 2 or
// a filter longer than 65,535 bytes; it does not look at the characters of the filters.
func AppendSubscribe(dst []byte, packetID uint16, subs []Subscription) []byte {
	if len(subs) == 0 {
		panic("codec: SUBSCRIBE without a filter")
	}
	length := 2
	for _, s := range subs {
		length += fieldSize(len(s.Filter)) + 1
	}
	dst = appendPacketID(appendHeader(dst, SUBSCRIBE, 0x02, length), packetID)
	for _, s := range subs {
		if s.QoS > QoS2 {
			panic("codec: SUBSCRIBE with QoS above 2")
		}
		dst = append(appendField(dst, s.Filter), byte(s.QoS))
	}
	return dst
}

package codec

// Unsubscribe is an UNSUBSCRIBE packet, and an iterator over its filters. Copies iterate on their own.
//
//	byte 1                 10<<4 | 2 [MQTT-3.10.1-1]
//	byte 2 to 5            Remaining Length
//	2 bytes                Packet Identifier
//	2 bytes, n bytes       Topic Filter, once or more
type Unsubscribe struct {
	PacketID uint16 // not 0
	Count    int    // number of filters in the packet; Count > 0
	rest     reader // what Next has not returned; validated by ParseUnsubscribe
}

// ParseUnsubscribe reads an UNSUBSCRIBE frame and validates all of it before anything is returned: structure, at
// least one filter [MQTT-3.10.3-2], filters that are UTF-8 encoded strings [MQTT-3.10.3-1]. A filter that breaks
// other rules cannot have been subscribed to. MQTT 3.1 and 3.1.1 are alike here.
func ParseUnsubscribe(f Frame, _ Version) (Unsubscribe, error) {
	r := newReader(f)
	u := Unsubscribe{PacketID: r.packetID(), rest: r}
	for ; r.more(); u.Count++ {
		r.text()
	}
	if u.Count == 0 {
		r.fail(malformed(UNSUBSCRIBE, "MQTT-3.10.3-2", "no topic filter"))
	}
	if err := r.end(); err != nil {
		return Unsubscribe{}, err
	}
	return u, nil
}

// Next returns the next filter, borrowed; ok is false when there is none.
func (u *Unsubscribe) Next() (filter []byte, ok bool) {
	if !u.rest.more() {
		return nil, false
	}
	return u.rest.field(), true
}

// AppendUnsubscribe grows dst by an UNSUBSCRIBE packet. It panics when packetID is 0, filters is empty or a filter
// longer than 65,535 bytes; it does not look at the characters of the filters.
func AppendUnsubscribe(dst []byte, packetID uint16, filters []string) []byte {
	if len(filters) == 0 {
		panic("codec: UNSUBSCRIBE without a filter")
	}
	length := 2
	for _, filter := range filters {
		length += fieldSize(len(filter))
	}
	dst = appendPacketID(appendHeader(dst, UNSUBSCRIBE, 0x02, length), packetID)
	for _, filter := range filters {
		dst = appendField(dst, filter)
	}
	return dst
}

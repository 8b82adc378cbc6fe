package codec

// ParseSuback reads a SUBACK frame. The codes are borrowed, at least one, in the order of the filters of the
// SUBSCRIBE [MQTT-3.9.3-1]: the granted QoS, or GrantFailure.
//
//	byte 1                 9<<4
//	byte 2 to 5            Remaining Length
//	2 bytes                Packet Identifier
//	the rest               a return code for each filter
//
// MQTT 3.1 has no GrantFailure, but servers send it there too: it is accepted.
func ParseSuback(f Frame, _ Version) (packetID uint16, codes []byte, err error) {
	r := newReader(f)
	packetID = r.packetID()
	codes = r.take(max(1, len(r.rest)))
	for _, code := range codes {
		if !isSubackCode(code) {
			r.fail(errSubackCode)
		}
	}
	if err := r.end(); err != nil {
		return 0, nil, err
	}
	return packetID, codes, nil
}

var errSubackCode = malformed(SUBACK, "MQTT-3.9.3-2", "reserved return code")

// AppendSuback grows dst by the packet. It panics when packetID is 0, codes is empty or has a reserved one.
func AppendSuback(dst []byte, packetID uint16, codes []byte) []byte {
	if len(codes) == 0 {
		panic("codec: SUBACK without a return code")
	}
	for _, code := range codes {
		if !isSubackCode(code) {
			panic("codec: SUBACK with a reserved return code")
		}
	}
	dst = appendHeader(dst, SUBACK, 0, 2+len(codes))
	return append(appendPacketID(dst, packetID), codes...)
}

func isSubackCode(code byte) bool { return code <= byte(QoS2) || code == byte(GrantFailure) }

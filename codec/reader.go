package codec

import "encoding/binary"

// reader reads the fields of a packet's body in their order. The first fault sticks: later reads return zero values,
// and end returns it. All it returns is borrowed.
type reader struct {
	rest  []byte
	kind  PacketType
	fault *Error
}

func newReader(f Frame) reader { return reader{rest: f.Body, kind: f.Type} }

// take returns the next n bytes, nil when there are fewer.
func (r *reader) take(n int) []byte {
	if r.fault != nil {
		return nil
	}
	if n > len(r.rest) {
		r.fault = truncated(r.kind)
		return nil
	}
	field := r.rest[:n:n]
	r.rest = r.rest[n:]
	return field
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// packetID reads a Packet Identifier, which is never 0 [MQTT-2.3.1-1].
func (r *reader) packetID() uint16 {
	id := r.uint16()
	if id == 0 {
		r.fail(noPacketID(r.kind))
	}
	return id
}

// field reads bytes that are preceded by their number in two bytes.
func (r *reader) field() []byte { return r.take(int(r.uint16())) }

// text reads a field that must be a UTF-8 encoded string [MQTT-1.5.3-1] [MQTT-1.5.3-2].
func (r *reader) text() []byte {
	field := r.field()
	if fault := checkUTF8(field); fault != nil {
		r.fail(fault.in(r.kind))
	}
	return field
}

// more reports whether fields follow.
func (r *reader) more() bool { return r.fault == nil && len(r.rest) != 0 }

// fail keeps the fault if it is the first.
func (r *reader) fail(fault *Error) {
	if r.fault == nil {
		r.fault = fault
	}
}

// end returns the fault; bytes that are left over are one.
func (r *reader) end() error {
	if len(r.rest) != 0 {
		r.fail(malformed(r.kind, closeRule(r.kind), "bytes after the end of the packet"))
	}
	return asError(r.fault)
}

// truncated is the fault of a packet whose body ends before its last field does.
func truncated(t PacketType) *Error {
	return malformed(t, closeRule(t), "packet ends before its last field")
}

// noPacketID is the fault of a Packet Identifier of 0. Acknowledgements repeat the identifier of the packet they
// answer, which has none of 0.
func noPacketID(t PacketType) *Error {
	rule := "MQTT-2.3.1-1"
	switch t {
	case PUBACK, PUBREC, PUBREL, PUBCOMP:
		rule = "MQTT-2.3.1-6"
	case SUBACK, UNSUBACK:
		rule = "MQTT-2.3.1-7"
	}
	return malformed(t, rule, "packet identifier is 0")
}

// closeRule is the rule behind faults of layout: a CONNECT has its own.
func closeRule(t PacketType) string {
	if t == CONNECT {
		return "MQTT-3.1.4-1"
	}
	return ruleClose
}

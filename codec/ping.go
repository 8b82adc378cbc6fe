package codec

// ParsePing checks that a PINGREQ or PINGRESP frame has no body:
//
//	byte 1    12<<4 or 13<<4
//	byte 2    Remaining Length, 0
func ParsePing(f Frame, _ Version) error { return parseEmpty(f) }

// AppendPingreq grows dst by a PINGREQ.
func AppendPingreq(dst []byte) []byte { return appendHeader(dst, PINGREQ, 0, 0) }

// AppendPingresp grows dst by a PINGRESP.
func AppendPingresp(dst []byte) []byte { return appendHeader(dst, PINGRESP, 0, 0) }

// parseEmpty refuses a body.
func parseEmpty(f Frame) error {
	r := newReader(f)
	return r.end()
}

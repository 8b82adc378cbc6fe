package codec

// ParseDisconnect checks that a DISCONNECT frame has no body:
//
//	byte 1    14<<4, flags 0 [MQTT-3.14.1-1]
//	byte 2    Remaining Length, 0
func ParseDisconnect(f Frame, _ Version) error { return parseEmpty(f) }

// AppendDisconnect grows dst by a DISCONNECT.
func AppendDisconnect(dst []byte) []byte { return appendHeader(dst, DISCONNECT, 0, 0) }

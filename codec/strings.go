package codec

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

const fieldBytesMax = 65_535 // two bytes of length (MQTT 3.1.1, section 1.5.3)

var (
	errNotUTF8 = malformed(0, "MQTT-1.5.3-1", "string is not well-formed UTF-8")
	errHasNUL  = malformed(0, "MQTT-1.5.3-2", "string holds the null character U+0000")
)

// CheckUTF8 checks that b may be a UTF-8 encoded string of MQTT: well-formed, without encodings of U+D800 to U+DFFF
// [MQTT-1.5.3-1], without U+0000 [MQTT-1.5.3-2]. Control characters are allowed, and U+FEFF is a character like any
// other [MQTT-1.5.3-3]. The error is an [*Error] of the kind ErrMalformed.
func CheckUTF8(b []byte) error { return asError(checkUTF8(b)) }

func checkUTF8(b []byte) *Error {
	if bytes.IndexByte(b, 0) >= 0 {
		return errHasNUL
	}
	if !utf8.Valid(b) { // has a fast path for ASCII
		return errNotUTF8
	}
	return nil
}

// fieldSize is the size on the wire of a field of n bytes.
func fieldSize(n int) int { return 2 + n }

// appendField grows dst by the number of bytes in field, then by field. A field that is too long is a bug of the
// caller.
func appendField[T ~string | ~[]byte](dst []byte, field T) []byte {
	if len(field) > fieldBytesMax {
		panic("codec: field longer than 65,535 bytes")
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(field)))
	return append(dst, field...)
}

package codec

import (
	"errors"
	"strconv"
)

// Reason codes of MQTT 5 (section 2.4) that an [Error] carries. MQTT 3.1.1 has no reason codes on the wire; they
// name the kind of a fault for logs and counters there.
const (
	CodeMalformedPacket    byte = 0x81
	CodeProtocolError      byte = 0x82
	CodeUnsupportedVersion byte = 0x84
	CodeClientIDInvalid    byte = 0x85
	CodeTopicFilterInvalid byte = 0x8F
	CodeTopicNameInvalid   byte = 0x90
	CodePacketTooLarge     byte = 0x95
)

// The kinds of fault, to be tested with errors.Is. Every [Error] is exactly one of them.
var (
	ErrMalformed          error = &Error{Code: CodeMalformedPacket, Text: "malformed packet"}
	ErrProtocol           error = &Error{Code: CodeProtocolError, Text: "protocol error"}
	ErrUnsupportedVersion error = &Error{Code: CodeUnsupportedVersion, Text: "unsupported protocol version"}
	ErrInvalidClientID    error = &Error{Code: CodeClientIDInvalid, Text: "client identifier not valid"}
	ErrInvalidFilter      error = &Error{Code: CodeTopicFilterInvalid, Text: "topic filter invalid"}
	ErrInvalidTopic       error = &Error{Code: CodeTopicNameInvalid, Text: "topic name invalid"}
	ErrTooLarge           error = &Error{Code: CodePacketTooLarge, Text: "packet too large"}
)

// ErrHeldFull is what Decoder.Hold returns when the bytes to hold exceed the caller's limit. It is no fault of the
// protocol: the peer has sent more than the server is ready to keep for it.
var ErrHeldFull = errors.New("codec: too many bytes to hold")

// Error is a fault in bytes from a peer. It is immutable and may be shared.
type Error struct {
	Type PacketType // the packet it was found in; 0 when a string was checked outside of a packet
	Rule string     // the rule that was broken, such as "MQTT-2.2.2-2"; "" for a limit of the caller
	Code byte       // the MQTT 5 reason code, which is the kind of the fault
	Text string     // what is wrong, in a few lower-case words; never holds bytes of the peer

	// Size is how much there was of what Text names, Limit how much the caller allows; both 0: it is about no limit.
	Size, Limit int
}

// Error returns the fault in one line, such as "codec: PUBLISH: QoS is 3 [MQTT-3.3.1-4]" or
// "codec: PUBLISH: packet has more bytes than allowed: 2097152 of at most 1048576".
func (e *Error) Error() string {
	line := "codec: "
	if e.Type != 0 {
		line += e.Type.String() + ": "
	}
	line += e.Text
	if e.Size != 0 {
		line += ": " + strconv.Itoa(e.Size) + " of at most " + strconv.Itoa(e.Limit)
	}
	if e.Rule != "" {
		line += " [" + e.Rule + "]"
	}
	return line
}

// Is reports whether target is an Error of the same kind, that is with the same Code.
func (e *Error) Is(target error) bool {
	kind, ok := target.(*Error)
	return ok && kind.Code == e.Code
}

// in returns the fault e as found in a packet of type t.
func (e *Error) in(t PacketType) *Error {
	found := *e
	found.Type = t
	return &found
}

// beyond returns the fault e with how much there was of what a limit bounds.
func (e *Error) beyond(size, limit int) *Error {
	found := *e
	found.Size, found.Limit = size, limit
	return &found
}

// malformed returns a fault of the kind ErrMalformed.
func malformed(t PacketType, rule, text string) *Error {
	return &Error{Type: t, Rule: rule, Code: CodeMalformedPacket, Text: text}
}

// asError returns e as an error that is nil when e is.
func asError(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

package codec

// Frame is one whole MQTT Control Packet as it lies on the wire. Its bytes are borrowed from the Decoder until the
// next call of Next or Feed; they are never written to.
//
// Bytes may be sent on as they are, except that MQTT 3.1.1 lets a peer encode the Remaining Length in more bytes
// than it needs: a reader of MQTT 5, which forbids that, must not get such a frame unchanged.
type Frame struct {
	Type  PacketType // CONNECT to DISCONNECT
	Flags byte       // low nibble of the first byte, already checked against the type
	Bytes []byte     // fixed header and body
	Body  []byte     // variable header and payload; the tail of Bytes
}

// Bits of Frame.Flags in a PUBLISH.
const (
	flagRetain   = 0x01
	flagDup      = 0x08
	flagQoSShift = 1
	flagQoSMask  = 0x03 // after the shift
)

const (
	remainingLengthMax      = 268_435_455 // four bytes of seven bits (MQTT 3.1.1, table 2.4)
	remainingLengthBytesMax = 4
)

// The faults that a fixed header can have, built once.
var (
	// firstByteFaults holds the fault of each value of the first byte, nil where there is none.
	firstByteFaults = everyFirstByte()

	longLengthFaults = everyType(func(t PacketType) *Error {
		return malformed(t, ruleClose, "remaining length has more than four bytes")
	})

	errPacketLarge = &Error{Code: CodePacketTooLarge, Text: "packet has more bytes than allowed"}
)

// ruleClose is cited where the specification describes a layout without numbering it: a violation of the protocol
// closes the Network Connection.
const ruleClose = "MQTT-4.8.0-1"

func everyType(fault func(PacketType) *Error) (faults [16]*Error) {
	for t := range faults {
		faults[t] = fault(PacketType(t))
	}
	return faults
}

func everyFirstByte() (faults [256]*Error) {
	for first := range faults {
		faults[first] = judgeFirstByte(PacketType(first>>4), byte(first&0x0F))
	}
	return faults
}

// judgeFirstByte applies table 2.2 of MQTT 3.1.1.
func judgeFirstByte(t PacketType, flags byte) *Error {
	switch t {
	case 0, 15:
		return malformed(t, ruleClose, "reserved packet type")
	case PUBLISH:
		return judgePublishFlags(flags)
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		return judgeReservedFlags(t, flags, 0x02)
	default:
		return judgeReservedFlags(t, flags, 0x00)
	}
}

func judgePublishFlags(flags byte) *Error {
	switch qos := flags >> flagQoSShift & flagQoSMask; {
	case qos == 3:
		return malformed(PUBLISH, "MQTT-3.3.1-4", "QoS is 3")
	case qos == 0 && flags&flagDup != 0:
		return malformed(PUBLISH, "MQTT-3.3.1-2", "DUP is set with QoS 0")
	default:
		return nil
	}
}

func judgeReservedFlags(t PacketType, flags, want byte) *Error {
	if flags == want {
		return nil
	}
	return malformed(t, "MQTT-2.2.2-2", "reserved flags are wrong")
}

// firstByteFault returns what is wrong with the first byte of a packet, nil if nothing is. MQTT 3.1 lets a client
// set DUP on a PUBREL, SUBSCRIBE or UNSUBSCRIBE that it sends again, which is flags 0x0A.
func firstByteFault(first byte, v Version) *Error {
	fault := firstByteFaults[first]
	if fault != nil && v == Version31 && isResend31(first) {
		return nil
	}
	return fault
}

func isResend31(first byte) bool {
	return first == byte(PUBREL)<<4|0x0A || first == byte(SUBSCRIBE)<<4|0x0A || first == byte(UNSUBSCRIBE)<<4|0x0A
}

// readHeader reads the fixed header at the start of b:
//
//	bit       7  6  5  4    3  2  1  0
//	byte 1    packet type   flags
//	byte 2    more | Remaining Length, bits 6 to 0
//	byte 3    more | bits 13 to 7       only if "more" was set in byte 2, and so on to byte 5
//
// It returns the length of the header and the size of the whole frame. A size of 0 means that more bytes are needed
// to know it. A fault is reported from the first byte that shows it.
func readHeader(b []byte, maxBytes int, v Version) (head, size int, fault *Error) {
	if len(b) == 0 {
		return 0, 0, nil
	}
	if fault := firstByteFault(b[0], v); fault != nil {
		return 0, 0, fault
	}
	for i, c := range b[1:min(len(b), 1+remainingLengthBytesMax)] {
		size |= int(c&0x7F) << (7 * i)
		if c < 0x80 {
			return sized(b[0], 2+i, size, maxBytes)
		}
	}
	if len(b) > remainingLengthBytesMax {
		return 0, 0, longLengthFaults[b[0]>>4]
	}
	return 0, 0, nil
}

// PacketSize returns the size in bytes of the packet that b begins with, fixed header included. b must begin with
// one that was decoded or encoded here: nothing is checked.
func PacketSize(b []byte) int {
	length := 0
	for i, c := range b[1:] {
		length |= int(c&0x7F) << (7 * i)
		if c < 0x80 {
			return 2 + i + length
		}
	}
	panic("codec: not a packet")
}

// PublishTopic returns the Topic Name of a whole PUBLISH packet that was decoded or encoded here: nothing is checked.
// It borrows packet.
func PublishTopic(packet []byte) []byte {
	at, end := topicPlace(packet)
	return packet[at:end:end]
}

// PublishPayload is [PublishTopic] for the payload of a packet of QoS 0.
func PublishPayload(packet []byte) []byte {
	_, end := topicPlace(packet)
	return packet[end:]
}

// topicPlace returns where the Topic Name of a whole PUBLISH packet begins and ends.
func topicPlace(packet []byte) (at, end int) {
	at = 1
	for packet[at] >= 0x80 {
		at++
	}
	n := int(packet[at+1])<<8 | int(packet[at+2])
	return at + 3, at + 3 + n
}

// shortHeader is readHeader for what is most frequent, a faultless header of two or three bytes, and is small enough
// to be inlined; it saves half of the time of Decoder.Next. A size of 0 says nothing.
func shortHeader(b []byte) (head, size int) {
	if len(b) < 3 || firstByteFaults[b[0]] != nil {
		return 0, 0
	}
	if b[1] < 0x80 {
		return 2, 2 + int(b[1])
	}
	if b[2] < 0x80 {
		return 3, 3 + int(b[1]&0x7F) + int(b[2])<<7
	}
	return 0, 0
}

func sized(first byte, head, length, maxBytes int) (int, int, *Error) {
	if head+length > maxBytes {
		return 0, 0, errPacketLarge.in(PacketType(first>>4)).beyond(head+length, maxBytes)
	}
	return head, head + length, nil
}

// set makes f the frame that fills b, whose fixed header has head bytes. The capacity of b should end with the frame,
// so that an append by a caller cannot reach what follows. Assigning field by field matters: a composite literal is
// built elsewhere and copied, which doubled the time of Decoder.Next (BenchmarkNext: 18 against 9 ns).
func (f *Frame) set(b []byte, head int) {
	f.Type = PacketType(b[0] >> 4)
	f.Flags = b[0] & 0x0F
	f.Bytes = b
	f.Body = b[head:]
}

// appendHeader grows dst by a fixed header in the shortest encoding. A length that the protocol cannot express is a
// bug of the caller.
func appendHeader(dst []byte, t PacketType, flags byte, length int) []byte {
	if length > remainingLengthMax {
		panic("codec: packet longer than MQTT allows")
	}
	dst = append(dst, byte(t)<<4|flags)
	for length >= 0x80 {
		dst = append(dst, byte(length)|0x80)
		length >>= 7
	}
	return append(dst, byte(length))
}

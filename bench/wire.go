package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// First bytes of the packets that a client needs: type and flags.
const (
	packetConnect     = 0x10
	packetConnack     = 0x20
	packetPublish     = 0x30 // at QoS 0
	packetPuback      = 0x40
	packetPubrec      = 0x50
	packetPubrel      = 0x62
	packetPubcomp     = 0x70
	packetSubscribe   = 0x82
	packetSuback      = 0x90
	packetUnsubscribe = 0xA2
	packetDisconnect  = 0xE0
)

// PayloadBytesMin is the size of the header that every payload begins with, all little endian:
//
//	0       4           8            16               24
//	+-------+-----------+------------+----------------+----------
//	| tag   | publisher | sequence   | send time, ns  | filler
//	+-------+-----------+------------+----------------+----------
//
// The tag differs from run to run, so that a message of another run is not taken for one of ours.
// The send time is monotonic: in a closed loop the time of the write, in an open loop the
// intended time.
const PayloadBytesMin = 24

const (
	headerPublisher = 4
	headerSequence  = 8
	headerTime      = 16
)

var errMalformed = errors.New("malformed packet")

// Connect Flags.
const (
	connectClean      = 0x02 // Clean Session 1
	connectPersistent = 0    // Clean Session 0
)

// appendConnect appends a 3.1.1 CONNECT with Keep Alive 0 (off).
func appendConnect(dst []byte, clientID string, flags byte) []byte {
	dst = append(dst, packetConnect)
	dst = appendLength(dst, 10+2+len(clientID))
	dst = append(dst, 0, 4, 'M', 'Q', 'T', 'T', 4, flags, 0, 0)
	return appendString(dst, clientID)
}

// appendSubscribe appends a SUBSCRIBE for filters, all at one QoS.
func appendSubscribe(dst []byte, packetID uint16, filters []string, qos int) []byte {
	remaining := 2
	for _, filter := range filters {
		remaining += 2 + len(filter) + 1
	}
	dst = append(dst, packetSubscribe)
	dst = appendLength(dst, remaining)
	dst = binary.BigEndian.AppendUint16(dst, packetID)
	for _, filter := range filters {
		dst = appendString(dst, filter)
		dst = append(dst, byte(qos))
	}
	return dst
}

// appendUnsubscribe appends an UNSUBSCRIBE for filters.
func appendUnsubscribe(dst []byte, packetID uint16, filters []string) []byte {
	remaining := 2
	for _, filter := range filters {
		remaining += 2 + len(filter)
	}
	dst = append(dst, packetUnsubscribe)
	dst = appendLength(dst, remaining)
	dst = binary.BigEndian.AppendUint16(dst, packetID)
	for _, filter := range filters {
		dst = appendString(dst, filter)
	}
	return dst
}

// appendPublish appends a PUBLISH with a payload of zeros and, above QoS 0, the Packet Identifier 0,
// to be filled in.
func appendPublish(dst []byte, topic string, qos, payloadBytes int) []byte {
	idBytes := packetIDBytes(qos)
	dst = append(dst, packetPublish|byte(qos)<<1)
	dst = appendLength(dst, 2+len(topic)+idBytes+payloadBytes)
	dst = appendString(dst, topic)
	return append(dst, make([]byte, idBytes+payloadBytes)...)
}

// packetIDBytes is what a PUBLISH holds between topic and payload.
func packetIDBytes(qos int) int {
	if qos == 0 {
		return 0
	}
	return 2
}

// ackBytes is the size of PUBACK, PUBREC, PUBREL and PUBCOMP.
const ackBytes = 4

func appendAck(dst []byte, first byte, packetID uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, first, 2), packetID)
}

func appendDisconnect(dst []byte) []byte { return append(dst, packetDisconnect, 0) }

func appendLength(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

func appendString(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

// parseLength reads the Remaining Length that follows a packet's first byte. headerBytes counts
// both; it is 0 when b ends too early.
func parseLength(b []byte) (headerBytes, remaining int, err error) {
	for i := 1; i < len(b); i++ {
		remaining |= int(b[i]&0x7F) << (7 * (i - 1))
		if b[i] < 0x80 {
			return i + 1, remaining, nil
		}
		if i == 4 {
			return 0, 0, fmt.Errorf("%w: Remaining Length of more than four bytes", errMalformed)
		}
	}
	return 0, 0, nil
}

// parseConnack returns the reason why the broker refused the connection, or nil.
func parseConnack(body []byte) error {
	if len(body) != 2 {
		return fmt.Errorf("%w: CONNACK of %d bytes", errMalformed, len(body))
	}
	if code := body[1]; code != 0 {
		return fmt.Errorf("CONNACK return code %d: %s", code, connackText(code))
	}
	return nil
}

func connackText(code byte) string {
	texts := [...]string{
		"accepted", "unacceptable protocol version", "identifier rejected",
		"server unavailable", "bad user name or password", "not authorized",
	}
	if int(code) < len(texts) {
		return texts[code]
	}
	return "unknown"
}

// parseSuback returns the lowest QoS granted, or the reason why the broker refused a subscription.
func parseSuback(body []byte) (granted int, err error) {
	if len(body) < 3 {
		return 0, fmt.Errorf("%w: SUBACK of %d bytes", errMalformed, len(body))
	}
	granted = 2
	for _, code := range body[2:] {
		if code > 2 {
			return 0, fmt.Errorf("SUBACK return code 0x%02x: subscription refused", code)
		}
		granted = min(granted, int(code))
	}
	return granted, nil
}

package conformance

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// First bytes of MQTT Control Packets: type in the upper half, flags in the lower [MQTT-2.2.2-1].
const (
	firstConnect     = 0x10
	firstConnack     = 0x20
	firstPublish     = 0x30
	firstPuback      = 0x40
	firstPubrec      = 0x50
	firstPubrel      = 0x62
	firstPubcomp     = 0x70
	firstSubscribe   = 0x82
	firstSuback      = 0x90
	firstUnsubscribe = 0xA2
	firstUnsuback    = 0xB0
	firstPingreq     = 0xC0
	firstPingresp    = 0xD0
	firstDisconnect  = 0xE0
)

// Return codes of CONNACK that the cases meet, and the failure code of SUBACK.
const (
	accepted           = 0x00
	unacceptableLevel  = 0x01
	identifierRejected = 0x02
	subscribeFailure   = 0x80
)

// Packets without a body.
var (
	pingreq    = packet(firstPingreq)
	pingresp   = packet(firstPingresp)
	disconnect = packet(firstDisconnect)
)

// packet frames a body, given in parts:
//
//	+------------+----------------------+---------+
//	| type+flags | Remaining Length 1-4 | body... |
//	+------------+----------------------+---------+
func packet(first byte, parts ...[]byte) []byte {
	body := join(parts...)
	return join([]byte{first}, remainingLength(len(body)), body)
}

// remainingLength encodes n in base 128, lowest digit first, with bit 7 set on all bytes but the last.
func remainingLength(n int) []byte {
	var digits []byte
	for ; n > 127; n /= 128 {
		digits = append(digits, byte(n%128)|0x80)
	}
	return append(digits, byte(n))
}

// text encodes a UTF-8 string, or anything in its place, with its two-byte length.
func text(s string) []byte { return append(number(uint16(len(s))), s...) }

// number encodes two bytes, most significant first.
func number(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// Connect Flags.
const (
	flagReserved     = 0x01
	flagCleanSession = 0x02
	flagWill         = 0x04
	flagWillQoS1     = 0x08
	flagWillQoS2     = 0x10
	flagWillQoS3     = 0x18
	flagWillRetain   = 0x20
	flagPassword     = 0x40
	flagUserName     = 0x80
)

// connect describes a well-formed CONNECT.
type connect struct {
	mqtt31           bool // of MQTT 3.1 instead of 3.1.1
	id               string
	cleanSession     bool
	keepAliveSeconds uint16
	will             *publish // its id and dup are not used
	userName         string   // absent when empty
	password         string   // absent when empty
}

func (c connect) packet() []byte {
	var flags byte
	payload := text(c.id)
	if c.cleanSession {
		flags |= flagCleanSession
	}
	if w := c.will; w != nil {
		flags |= flagWill | w.qos<<3
		if w.retain {
			flags |= flagWillRetain
		}
		payload = join(payload, text(w.topic), text(w.payload))
	}
	if c.userName != "" {
		flags |= flagUserName
		payload = append(payload, text(c.userName)...)
	}
	if c.password != "" {
		flags |= flagPassword
		payload = append(payload, text(c.password)...)
	}
	if c.mqtt31 {
		return rawConnect("MQIsdp", 3, flags, c.keepAliveSeconds, payload)
	}
	return rawConnect("MQTT", 4, flags, c.keepAliveSeconds, payload)
}

// rawConnect builds a CONNECT of any protocol name, level, flags and payload, fitting or not.
func rawConnect(protocol string, level, flags byte, keepAliveSeconds uint16, payload ...[]byte) []byte {
	return packet(firstConnect, text(protocol), []byte{level, flags}, number(keepAliveSeconds), join(payload...))
}

func connack(sessionPresent, code byte) []byte {
	return packet(firstConnack, []byte{sessionPresent, code})
}

// publish describes a PUBLISH in either direction, and a Will.
type publish struct {
	topic   string
	payload string
	qos     byte
	retain  bool
	dup     bool
	id      uint16 // Packet Identifier, when qos is not 0
}

func (p publish) packet() []byte {
	first := firstPublish | p.qos<<1
	if p.dup {
		first |= 0x08
	}
	if p.retain {
		first |= 0x01
	}
	if p.qos == 0 {
		return packet(first, text(p.topic), []byte(p.payload))
	}
	return packet(first, text(p.topic), number(p.id), []byte(p.payload))
}

// parsePublish reads a PUBLISH that has a sound fixed header; ok is false when its body is too short.
func parsePublish(frame []byte) (p publish, ok bool) {
	p.qos, p.dup, p.retain = frame[0]>>1&3, frame[0]&0x08 != 0, frame[0]&0x01 != 0
	body := frame[1:]
	for body[0]&0x80 != 0 {
		body = body[1:]
	}
	body = body[1:]
	if len(body) < 2 || len(body) < 2+int(binary.BigEndian.Uint16(body)) {
		return p, false
	}
	size := int(binary.BigEndian.Uint16(body))
	p.topic, body = string(body[2:2+size]), body[2+size:]
	if p.qos > 0 {
		if len(body) < 2 {
			return p, false
		}
		p.id, body = binary.BigEndian.Uint16(body), body[2:]
	}
	p.payload = string(body)
	return p, true
}

// acknowledge builds PUBACK, PUBREC, PUBREL, PUBCOMP and UNSUBACK.
func acknowledge(first byte, id uint16) []byte { return packet(first, number(id)) }

// subscription is one Topic Filter of a SUBSCRIBE with the QoS it asks for.
type subscription struct {
	filter string
	qos    byte
}

func subscribe(id uint16, subscriptions ...subscription) []byte {
	body := number(id)
	for _, s := range subscriptions {
		body = append(append(body, text(s.filter)...), s.qos)
	}
	return packet(firstSubscribe, body)
}

func suback(id uint16, codes ...byte) []byte { return packet(firstSuback, number(id), codes) }

func unsubscribe(id uint16, filters ...string) []byte {
	body := number(id)
	for _, filter := range filters {
		body = append(body, text(filter)...)
	}
	return packet(firstUnsubscribe, body)
}

// readPacket reads one whole MQTT Control Packet.
func readPacket(r *bufio.Reader) ([]byte, error) {
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	frame := []byte{first}
	size, scale := 0, 1
	for {
		digit, err := r.ReadByte()
		if err != nil {
			return nil, cutShort(err)
		}
		frame = append(frame, digit)
		size += int(digit&0x7F) * scale
		if digit&0x80 == 0 {
			break
		}
		if scale *= 128; len(frame) == 5 {
			return nil, errors.New("the broker sent a Remaining Length of more than four bytes")
		}
	}
	header := len(frame)
	frame = append(frame, make([]byte, size)...)
	if _, err := io.ReadFull(r, frame[header:]); err != nil {
		return nil, cutShort(err)
	}
	return frame, nil
}

// errCutShort marks an end of input inside a packet, which must not pass for an orderly end.
var errCutShort = errors.New("the broker's packet was cut short")

func cutShort(err error) error { return fmt.Errorf("%w: %w", errCutShort, err) }

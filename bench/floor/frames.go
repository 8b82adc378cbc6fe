package main

import "encoding/binary"

// MQTT Control Packet types, section 2.2.1.
const (
	typeConnect    = 1
	typePublish    = 3
	typeSubscribe  = 8
	typePingreq    = 12
	typeDisconnect = 14
)

const (
	subackType    = 0x90
	subackGranted = 0x00 // QoS 0
	subackFailure = 0x80
	publishQoS    = 0x06 // bits of a PUBLISH's first byte
)

var (
	connack  = []byte{0x20, 2, 0, 0}
	pingresp = []byte{0xd0, 0}
)

// frames handles the complete frames in p and returns how many bytes they have. ok is false when the
// connection has to be closed.
func (l *loop) frames(c *conn, p []byte) (used int, ok bool) {
	for {
		header, size := frameSize(p[used:])
		if header == 0 || size > len(p)-used {
			return used, true
		}
		frame := p[used : used+size]
		used += size
		if !l.frame(c, frame, frame[header:]) {
			return used, false
		}
	}
}

// frameSize returns the sizes of the Fixed Header and of the whole frame at the start of p, or zeros
// while p does not show them. A Remaining Length that never ends is for receive's limit to notice.
func frameSize(p []byte) (header, size int) {
	for i := 1; i < len(p) && i <= 4; i++ {
		size |= int(p[i]&0x7f) << (7 * (i - 1))
		if p[i] < 0x80 {
			return i + 1, i + 1 + size
		}
	}
	return 0, 0
}

// frame handles one: body is the frame without its Fixed Header. ok is false for what floor does not
// serve.
func (l *loop) frame(c *conn, frame, body []byte) (ok bool) {
	switch frame[0] >> 4 {
	case typePublish:
		return frame[0]&publishQoS == 0 && l.publish(frame, body)
	case typeConnect:
		l.write(c, connack)
		return true
	case typeSubscribe:
		return l.subscribe(c, body)
	case typePingreq:
		l.write(c, pingresp)
		return true
	default: // typeDisconnect, or what would need an answer that floor has not
		return false
	}
}

func (l *loop) publish(frame, body []byte) (ok bool) {
	name, _, ok := cutString(body)
	if !ok {
		return false
	}
	if len(l.topics.all.subscribers) > 0 {
		l.fan(l.topics.all, frame)
	}
	if t := l.topics.find(name); t != nil && len(t.subscribers) > 0 {
		l.fan(t, frame)
	}
	return true
}

func (l *loop) fan(t *topic, frame []byte) {
	if !l.each {
		l.topics.add(t, frame)
		return
	}
	for _, c := range t.subscribers {
		l.write(c, frame)
	}
}

// subscribe answers with a return code for each filter, in order [MQTT-3.9.3-1].
func (l *loop) subscribe(c *conn, body []byte) (ok bool) {
	if len(body) < 2 {
		return false
	}
	packetID, rest := body[:2], body[2:]
	codes := l.codes[:0]
	for len(rest) > 0 {
		filter, after, ok := cutString(rest)
		if !ok || len(after) == 0 { // the requested QoS follows
			return false
		}
		rest = after[1:]
		code := byte(subackFailure)
		if l.topics.subscribe(c, filter) {
			code = subackGranted
		}
		codes = append(codes, code)
	}
	l.codes = codes
	// The Remaining Length is what encoding/binary calls a varint.
	l.suback = binary.AppendUvarint(append(l.suback[:0], subackType), uint64(len(packetID)+len(codes)))
	l.suback = append(append(l.suback, packetID...), codes...)
	l.write(c, l.suback)
	return true
}

// cutString splits off a string that its length in two bytes precedes.
func cutString(p []byte) (s, rest []byte, ok bool) {
	if len(p) < 2 {
		return nil, nil, false
	}
	end := 2 + int(binary.BigEndian.Uint16(p))
	if end > len(p) {
		return nil, nil, false
	}
	return p[2:end], p[end:], true
}

package reactor

import (
	"encoding/binary"
	"fmt"
	"strings"

	"mqttd/codec"
)

// Histories are written to the wire by code of their own, because what judges the broker should
// share no parts with it, and because most of what is illegal cannot be said with codec.

// tagMark stands in the topics, filters and Client Identifiers of a history for what makes them
// its own on a broker that serves many histories: each run puts its tag there.
const tagMark = "@"

// historyPacket is one packet that a client sends, legal or not.
type historyPacket struct {
	kind    codec.PacketType
	flags   byte // low nibble of the first byte, whole
	id      uint16
	of      int // PUBACK, PUBREC, PUBCOMP: the message that it acknowledges, which decides the id; see target
	topic   string
	payload string
	filters []codec.Subscription // SUBSCRIBE, and without the QoS UNSUBSCRIBE
	connect *historyConnect      // CONNECT only
	padded  bool                 // the Remaining Length takes four bytes
	raw     string               // if not empty, these bytes and nothing else: a violation as soon as they are seen
}

// historyConnect is what a CONNECT says.
type historyConnect struct {
	name     string
	level    byte
	reserved bool // the reserved bit of the Connect Flags
	clean    bool
	clientID string
	will     *historyWill
}

type historyWill struct {
	topic, payload string
	qos            codec.QoS
	retain         bool
}

// What an acknowledgement is for: a message among those that the client may acknowledge, counted from 1 and round and
// round, or one of these.
const (
	ofNone     = 0  // nothing that the broker knows
	ofFinished = -1 // the message that was acknowledged to the end last
)

const (
	publishDup    = 0x08
	publishRetain = 0x01
)

func (p *historyPacket) qos() codec.QoS { return codec.QoS(p.flags >> 1 & 3) }
func (p *historyPacket) retain() bool   { return p.flags&publishRetain != 0 }

// appendTo grows dst by the packet with the tag in its place.
func (p *historyPacket) appendTo(dst []byte, tag string) []byte {
	if p.raw != "" {
		return append(dst, p.raw...)
	}
	body := p.body(tag)
	dst = append(dst, byte(p.kind)<<4|p.flags)
	n := len(body)
	for i := 1; n >= 0x80 || p.padded && i < 4; i++ {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(append(dst, byte(n)), body...)
}

func (p *historyPacket) body(tag string) (b []byte) {
	field := func(s string) {
		s = strings.ReplaceAll(s, tagMark, tag)
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	switch p.kind {
	case codec.CONNECT:
		field(p.connect.name)
		b = append(b, p.connect.level, p.connect.flags(), 0, 0) // no Keep Alive
		field(p.connect.clientID)
		if will := p.connect.will; will != nil {
			field(will.topic)
			field(will.payload)
		}
	case codec.PUBLISH:
		field(p.topic)
		if p.qos() > 0 {
			b = binary.BigEndian.AppendUint16(b, p.id)
		}
		b = append(b, p.payload...)
	case codec.SUBSCRIBE, codec.UNSUBSCRIBE:
		b = binary.BigEndian.AppendUint16(b, p.id)
		for _, s := range p.filters {
			field(s.Filter)
			if p.kind == codec.SUBSCRIBE {
				b = append(b, byte(s.QoS))
			}
		}
	case codec.PINGREQ, codec.DISCONNECT, codec.PINGRESP:
	default: // acknowledgements, those that only servers send included
		b = binary.BigEndian.AppendUint16(b, p.id)
	}
	return b
}

func (c *historyConnect) flags() (flags byte) {
	set := func(bit byte, when bool) {
		if when {
			flags |= bit
		}
	}
	set(0x01, c.reserved)
	set(0x02, c.clean)
	if c.will != nil {
		set(0x04, true)
		flags |= byte(c.will.qos) << 3
		set(0x20, c.will.retain)
	}
	return flags
}

// String describes the packet in the words of the specification.
func (p *historyPacket) String() string {
	if p.raw != "" {
		return fmt.Sprintf("bytes %q", p.raw)
	}
	words := []string{p.kind.String()}
	say := func(when bool, format string, args ...any) {
		if when {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	switch p.kind {
	case codec.CONNECT:
		c := p.connect
		say(c.name != "MQTT" || c.level != 4, "%s level %d", c.name, c.level)
		say(true, "%q", shorten(c.clientID))
		say(c.clean, "clean")
		say(c.reserved, "reserved connect flag")
		if w := c.will; w != nil {
			say(true, "will %q %q QoS %d", shorten(w.topic), w.payload, w.qos)
			say(w.retain, "will retain")
		}
	case codec.PUBLISH:
		say(true, "%q %q QoS %d", shorten(p.topic), p.payload, p.qos())
		say(p.qos() > 0, "id %d", p.id)
		say(p.retain(), "retain")
		say(p.flags&publishDup != 0, "dup")
	default:
		say(p.of > 0, "of message %d, else", p.of)
		say(p.of == ofFinished, "of the last one again, else")
		say(len(p.filters) > 0 || p.id > 0, "id %d", p.id)
		for _, s := range p.filters {
			say(p.kind == codec.SUBSCRIBE, "%q QoS %d", shorten(s.Filter), s.QoS)
			say(p.kind == codec.UNSUBSCRIBE, "%q", shorten(s.Filter))
		}
	}
	say(headerFault(p), "flags %#x", p.flags)
	say(p.padded, "padded length")
	return strings.Join(words, " ")
}

func shorten(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%s… (%d bytes)", s[:10], len(s))
	}
	return s
}

// historyStep is what one client does before the broker is given the time to deal with it.
type historyStep struct {
	slot    int
	opens   bool // on a new connection; the slot's old one, if any, is what its CONNECT takes over
	eager   bool // which acknowledges all messages at once
	packets []historyPacket
	partial bool   // of the last packet only half is sent
	ending  ending // what the client does after the packets
	cuts    []byte // where the bytes are cut into several writes, in 1/256 of their number
	alone   bool   // nothing else is sent before the replies to the packets have come
}

type ending uint8

const (
	staysOpen  ending = iota
	halfCloses        // FIN, and reads on
	resets            // RST
)

// halved reports whether the last packet stays incomplete. One that is a violation by its first byte
// is sent whole, and so is any packet that nothing follows up.
func (s *historyStep) halved() bool {
	last := len(s.packets) - 1
	if !s.partial || s.ending != halfCloses || last < 0 || headerFault(&s.packets[last]) {
		return false
	}
	return !s.opens || last > 0 || s.packets[0].kind == codec.CONNECT // or its first byte is a violation, too
}

// String is the step on one line.
func (s *historyStep) String() string {
	var words []string
	for i := range s.packets {
		words = append(words, s.packets[i].String())
	}
	text := strings.Join(words, "; ")
	if s.opens {
		text = "opens a connection; " + text
	}
	if s.opens && s.eager {
		text = "acknowledges at once, " + text
	}
	if s.halved() {
		text += " (half of it)"
	}
	text += [...]string{"", "; half closes", "resets"}[s.ending]
	if s.alone {
		text += "; waits for the replies"
	}
	if len(s.cuts) > 0 {
		text += fmt.Sprintf("; cut at %d/256", s.cuts)
	}
	return fmt.Sprintf("client %d: %s", s.slot, text)
}

package codec

import "encoding/binary"

// Connect is a CONNECT packet. Its byte slices are borrowed.
//
//	byte 1                 1<<4
//	byte 2 to 5            Remaining Length
//	2 bytes, n bytes       protocol name: "MQTT", or "MQIsdp" for MQTT 3.1
//	1 byte                 protocol level: 4, or 3 for MQTT 3.1
//	1 byte                 user name | password | will retain | will QoS (2 bits) | will | clean session | reserved
//	2 bytes                Keep Alive, seconds
//	2 bytes, n bytes       Client Identifier
//	2 bytes, n bytes       Will Topic, then the same for the Will Message, if the will flag is set
//	2 bytes, n bytes       User Name, if its flag is set
//	2 bytes, n bytes       Password, if its flag is set
type Connect struct {
	Version          Version
	CleanSession     bool
	KeepAliveSeconds uint16 // 0 turns the Keep Alive mechanism off
	ClientID         []byte // may be empty; whether that is acceptable is for the server to say [MQTT-3.1.3-8]
	HasWill          bool
	Will             Will // zero unless HasWill
	HasUserName      bool
	HasPassword      bool
	UserName         []byte // nil unless HasUserName
	Password         []byte // nil unless HasPassword; any bytes
}

// Will is the message that the server publishes when the connection ends without a DISCONNECT.
type Will struct {
	Topic   []byte // a valid Topic Name
	Payload []byte
	QoS     QoS
	Retain  bool
}

// connectFlags is the byte of Connect Flags.
type connectFlags byte

const (
	connectReserved     connectFlags = 0x01
	connectCleanSession connectFlags = 0x02
	connectWill         connectFlags = 0x04
	connectWillQoS      connectFlags = 0x18
	connectWillRetain   connectFlags = 0x20
	connectPassword     connectFlags = 0x40
	connectUserName     connectFlags = 0x80
	connectWillQoSShift              = 3
)

func (flags connectFlags) has(flag connectFlags) bool { return flags&flag != 0 }

func (flags connectFlags) willQoS() QoS { return QoS(flags & connectWillQoS >> connectWillQoSShift) }

// ParseConnect reads a CONNECT frame and the protocol version in it.
//
// An unknown protocol name is malformed [MQTT-3.1.2-1]. A known name with another level than its own yields an error
// of the kind ErrUnsupportedVersion, so that the server can answer with UnacceptableProtocolVersion [MQTT-3.1.2-2];
// nothing after the level is looked at then. All other faults close without an answer [MQTT-3.1.4-1]. With any error
// the Connect is empty but for Version, the level seen, 0 if none was.
func ParseConnect(f Frame) (Connect, error) {
	r := newReader(f)
	c := Connect{Version: readVersion(&r)}
	flags := connectFlags(r.byte())
	if fault := judgeConnectFlags(flags, c.Version); fault != nil {
		r.fail(fault)
	}
	c.CleanSession = flags.has(connectCleanSession)
	c.KeepAliveSeconds = r.uint16()
	c.ClientID = r.text() // [MQTT-3.1.3-4]
	if flags.has(connectWill) {
		c.HasWill, c.Will = true, readWill(&r, flags)
	}
	if flags.has(connectUserName) && hasCredential(&r, c.Version) {
		c.HasUserName, c.UserName = true, r.text() // [MQTT-3.1.3-11]
	}
	if flags.has(connectPassword) && hasCredential(&r, c.Version) {
		c.HasPassword, c.Password = true, r.field()
	}
	if err := r.end(); err != nil {
		return Connect{Version: c.Version}, err
	}
	return c, nil
}

// readVersion reads the protocol name and level, and returns the level even when it is refused.
func readVersion(r *reader) Version {
	name := r.field()
	want := Version(0)
	switch string(name) {
	case "MQTT":
		want = Version311
	case "MQIsdp":
		want = Version31
	default:
		r.fail(malformed(CONNECT, "MQTT-3.1.2-1", "unknown protocol name"))
	}
	level := Version(r.byte())
	if level != want {
		r.fail(errLevel)
	}
	return level
}

var errLevel = &Error{
	Type: CONNECT, Rule: "MQTT-3.1.2-2", Code: CodeUnsupportedVersion, Text: "protocol level is not supported",
}

// judgeConnectFlags returns what is wrong with the Connect Flags, nil if nothing is. MQTT 3.1 disregards the flags
// that depend on another one when that one is not set, and its reserved bit.
func judgeConnectFlags(flags connectFlags, v Version) *Error {
	strict := v != Version31
	switch {
	case strict && flags.has(connectReserved):
		return malformed(CONNECT, "MQTT-3.1.2-3", "reserved connect flag is set")
	case strict && !flags.has(connectWill) && flags.has(connectWillQoS):
		return malformed(CONNECT, "MQTT-3.1.2-13", "will QoS without a will")
	case strict && !flags.has(connectWill) && flags.has(connectWillRetain):
		return malformed(CONNECT, "MQTT-3.1.2-15", "will retain without a will")
	case flags.has(connectWill) && flags.willQoS() > QoS2:
		return malformed(CONNECT, "MQTT-3.1.2-14", "will QoS is 3")
	case strict && flags.has(connectPassword) && !flags.has(connectUserName):
		return malformed(CONNECT, "MQTT-3.1.2-22", "password without a user name")
	default:
		return nil
	}
}

func readWill(r *reader, flags connectFlags) Will {
	topic := r.field()
	if fault := checkTopicName(topic); fault != nil {
		r.fail(fault.in(CONNECT)) // [MQTT-3.1.3-10]
	}
	return Will{Topic: topic, Payload: r.field(), QoS: flags.willQoS(), Retain: flags.has(connectWillRetain)}
}

// hasCredential reports whether a User Name or Password whose flag is set is there to be read. In MQTT 3.1 the
// Remaining Length takes precedence over the flag: at the end of the packet the field is absent, not truncated.
func hasCredential(r *reader, v Version) bool { return v != Version31 || r.more() }

// AppendConnect grows dst by the packet. It panics when c breaks an invariant of Connect, the version is unknown, or
// a field is longer than 65,535 bytes; it does not look at the characters of strings.
func AppendConnect(dst []byte, c *Connect) []byte {
	name, flags := protocolName(c.Version), flagsOf(c)
	if judgeConnectFlags(flags, c.Version) != nil {
		panic("codec: CONNECT with flags that exclude each other")
	}
	dst = appendHeader(dst, CONNECT, 0, connectLength(c, name))
	dst = appendField(dst, name)
	dst = append(dst, byte(c.Version), byte(flags))
	dst = binary.BigEndian.AppendUint16(dst, c.KeepAliveSeconds)
	dst = appendField(dst, c.ClientID)
	if c.HasWill {
		dst = appendField(dst, c.Will.Topic)
		dst = appendField(dst, c.Will.Payload)
	}
	if c.HasUserName {
		dst = appendField(dst, c.UserName)
	}
	if c.HasPassword {
		dst = appendField(dst, c.Password)
	}
	return dst
}

func protocolName(v Version) string {
	switch v {
	case Version31:
		return "MQIsdp"
	case Version311:
		return "MQTT"
	default:
		panic("codec: CONNECT of an unknown version")
	}
}

func flagsOf(c *Connect) connectFlags {
	flags := connectFlags(0)
	for _, bit := range [...]struct {
		set  bool
		flag connectFlags
	}{
		{c.CleanSession, connectCleanSession},
		{c.HasWill, connectWill},
		{c.Will.Retain, connectWillRetain},
		{c.HasPassword, connectPassword},
		{c.HasUserName, connectUserName},
	} {
		if bit.set {
			flags |= bit.flag
		}
	}
	return flags | connectFlags(min(c.Will.QoS, 3))<<connectWillQoSShift // 3 is refused
}

func connectLength(c *Connect, name string) int {
	length := fieldSize(len(name)) + 1 + 1 + 2 + fieldSize(len(c.ClientID))
	if c.HasWill {
		length += fieldSize(len(c.Will.Topic)) + fieldSize(len(c.Will.Payload))
	}
	if c.HasUserName {
		length += fieldSize(len(c.UserName))
	}
	if c.HasPassword {
		length += fieldSize(len(c.Password))
	}
	return length
}

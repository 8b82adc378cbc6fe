package codec

import "strconv"

// PacketType is the MQTT Control Packet type, bits 7 to 4 of the first byte of a packet. The values 0 and 15 are
// reserved in MQTT 3.1 and 3.1.1; a Decoder never returns them.
type PacketType byte

// The MQTT Control Packet types (MQTT 3.1.1, table 2.1).
const (
	CONNECT     PacketType = 1
	CONNACK     PacketType = 2
	PUBLISH     PacketType = 3
	PUBACK      PacketType = 4
	PUBREC      PacketType = 5
	PUBREL      PacketType = 6
	PUBCOMP     PacketType = 7
	SUBSCRIBE   PacketType = 8
	SUBACK      PacketType = 9
	UNSUBSCRIBE PacketType = 10
	UNSUBACK    PacketType = 11
	PINGREQ     PacketType = 12
	PINGRESP    PacketType = 13
	DISCONNECT  PacketType = 14
)

var packetTypeNames = [16]string{
	0: "RESERVED(0)", 15: "RESERVED(15)",
	CONNECT: "CONNECT", CONNACK: "CONNACK", PUBLISH: "PUBLISH", PUBACK: "PUBACK", PUBREC: "PUBREC",
	PUBREL: "PUBREL", PUBCOMP: "PUBCOMP", SUBSCRIBE: "SUBSCRIBE", SUBACK: "SUBACK", UNSUBSCRIBE: "UNSUBSCRIBE",
	UNSUBACK: "UNSUBACK", PINGREQ: "PINGREQ", PINGRESP: "PINGRESP", DISCONNECT: "DISCONNECT",
}

// String returns the specification's name of the packet type.
func (t PacketType) String() string {
	return nameAt(packetTypeNames[:], "PacketType", byte(t))
}

// Version is the protocol level, byte 7 of a CONNECT with the name "MQTT", byte 9 with the name "MQIsdp".
type Version byte

// The protocol levels this package reads and writes.
const (
	Version31  Version = 3 // MQTT 3.1, protocol name "MQIsdp"
	Version311 Version = 4 // MQTT 3.1.1, protocol name "MQTT"
)

var versionNames = [5]string{Version31: "3.1", Version311: "3.1.1"}

// String returns the version as people write it: "3.1", "3.1.1".
func (v Version) String() string {
	return nameAt(versionNames[:], "Version", byte(v))
}

// QoS is a quality of service level, or in a SUBACK a return code.
type QoS byte

// The quality of service levels, and the SUBACK return code of a refused filter.
const (
	QoS0         QoS = 0    // at most once
	QoS1         QoS = 1    // at least once
	QoS2         QoS = 2    // exactly once
	GrantFailure QoS = 0x80 // SUBACK only [MQTT-3.9.3-2]
)

// ConnackCode is the Connect Return code, byte 2 of the variable header of a CONNACK (MQTT 3.1.1, table 3.1).
type ConnackCode byte

// The Connect Return codes. Values from 6 on are reserved.
const (
	Accepted                    ConnackCode = 0
	UnacceptableProtocolVersion ConnackCode = 1
	IdentifierRejected          ConnackCode = 2
	ServerUnavailable           ConnackCode = 3
	BadUserNameOrPassword       ConnackCode = 4
	NotAuthorized               ConnackCode = 5
)

var connackCodeNames = [6]string{
	"accepted", "unacceptable protocol version", "identifier rejected", "server unavailable",
	"bad user name or password", "not authorized",
}

// String returns the meaning of the code in lower case, such as "not authorized".
func (c ConnackCode) String() string {
	return nameAt(connackCodeNames[:], "ConnackCode", byte(c))
}

// nameAt returns names[value], or "Kind(value)" where names has nothing there.
func nameAt(names []string, kind string, value byte) string {
	if int(value) < len(names) && names[value] != "" {
		return names[value]
	}
	return kind + "(" + strconv.Itoa(int(value)) + ")"
}

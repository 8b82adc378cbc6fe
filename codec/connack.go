package codec

// Connack is a CONNACK packet.
//
//	byte 1    2<<4
//	byte 2    Remaining Length, 2
//	byte 3    Session Present in bit 0; reserved and ignored in MQTT 3.1
//	byte 4    Connect Return code
type Connack struct {
	SessionPresent bool // only with the code Accepted [MQTT-3.2.2-4]; MQTT 3.1 does not have it
	Code           ConnackCode
}

const flagSessionPresent = 0x01

// ParseConnack reads a CONNACK frame. The code is one of those declared here.
func ParseConnack(f Frame, v Version) (Connack, error) {
	r := newReader(f)
	flags, code := r.byte(), ConnackCode(r.byte())
	if v == Version31 {
		flags = 0
	}
	switch {
	case flags&^flagSessionPresent != 0:
		r.fail(malformed(CONNACK, ruleClose, "reserved connect acknowledge flags are set"))
	case code > NotAuthorized:
		r.fail(malformed(CONNACK, ruleClose, "reserved connect return code"))
	case flags != 0 && code != Accepted:
		r.fail(malformed(CONNACK, "MQTT-3.2.2-4", "session present in a refusal"))
	}
	if err := r.end(); err != nil {
		return Connack{}, err
	}
	return Connack{SessionPresent: flags != 0, Code: code}, nil
}

// AppendConnack grows dst by the packet. It panics when Session Present is set in a refusal or the code is reserved.
func AppendConnack(dst []byte, c Connack) []byte {
	if c.Code > NotAuthorized {
		panic("codec: CONNACK with a reserved code")
	}
	flags := byte(0)
	if c.SessionPresent {
		flags = flagSessionPresent
	}
	if c.SessionPresent && c.Code != Accepted {
		panic("codec: CONNACK with Session Present in a refusal")
	}
	return append(appendHeader(dst, CONNACK, 0, 2), flags, byte(c.Code))
}

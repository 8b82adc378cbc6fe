package codec

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var goldenConnects = []golden[Connect]{
	{
		name: "3.1.1, the least",
		wire: []byte{
			0x10,                     // CONNECT
			12,                       // Remaining Length
			0, 4, 'M', 'Q', 'T', 'T', // protocol name
			4,     // protocol level
			0x00,  // Connect Flags
			0, 60, // Keep Alive
			0, 0, // Client Identifier
		},
		value: Connect{Version: Version311, KeepAliveSeconds: 60, ClientID: []byte{}},
	},
	{
		name: "3.1.1, everything",
		wire: []byte{
			0x10,                     // CONNECT
			33,                       // Remaining Length
			0, 4, 'M', 'Q', 'T', 'T', // protocol name
			4,          // protocol level
			0xF6,       // user name, password, will retain, will QoS 2, will, clean session
			0x01, 0x2C, // Keep Alive, 300 seconds
			0, 2, 'i', 'd', // Client Identifier
			0, 3, 'w', '/', 't', // Will Topic
			0, 2, 0x00, 0xFF, // Will Message
			0, 3, 'j', 'o', 'e', // User Name
			0, 3, 0x00, 0xFF, '!', // Password
		},
		value: Connect{
			Version: Version311, CleanSession: true, KeepAliveSeconds: 300, ClientID: []byte("id"),
			HasWill: true, Will: Will{Topic: []byte("w/t"), Payload: []byte{0, 0xFF}, QoS: QoS2, Retain: true},
			HasUserName: true, UserName: []byte("joe"), HasPassword: true, Password: []byte{0, 0xFF, '!'},
		},
	},
	{
		name: "3.1.1, fields that are present and empty",
		wire: []byte{
			0x10,                     // CONNECT
			21,                       // Remaining Length
			0, 4, 'M', 'Q', 'T', 'T', // protocol name
			4,    // protocol level
			0xCC, // user name, password, will QoS 1, will
			0, 0, // Keep Alive, off
			0, 0, // Client Identifier
			0, 1, 'w', // Will Topic
			0, 0, // Will Message
			0, 0, // User Name
			0, 0, // Password
		},
		value: Connect{
			Version: Version311, ClientID: []byte{},
			HasWill: true, Will: Will{Topic: []byte("w"), Payload: []byte{}, QoS: QoS1},
			HasUserName: true, UserName: []byte{}, HasPassword: true, Password: []byte{},
		},
	},
	{
		name: "3.1",
		wire: []byte{
			0x10,                               // CONNECT
			19,                                 // Remaining Length
			0, 6, 'M', 'Q', 'I', 's', 'd', 'p', // protocol name
			3,     // protocol level
			0x82,  // user name, clean session
			0, 10, // Keep Alive
			0, 2, 'i', 'd', // Client Identifier
			0, 1, 'u', // User Name
		},
		value: Connect{
			Version: Version31, CleanSession: true, KeepAliveSeconds: 10, ClientID: []byte("id"),
			HasUserName: true, UserName: []byte("u"),
		},
	},
}

func parseConnectOf(f Frame, _ Version) (Connect, error) { return ParseConnect(f) }

func appendConnectValue(dst []byte, c Connect) []byte { return AppendConnect(dst, &c) }

func TestConnect(t *testing.T) {
	testGolden(t, goldenConnects, parseConnectOf, appendConnectValue)
}

// connectOf returns a CONNECT with these Connect Flags, a Keep Alive of 0 and this payload.
func connectOf(name string, level, flags byte, payload ...byte) []byte {
	body := appendField(nil, name)
	body = append(body, level, flags, 0, 0)
	return packetOf(CONNECT, 0, append(body, payload...))
}

func TestConnectIsLenientIn31(t *testing.T) {
	anonymous := Connect{Version: Version31, ClientID: []byte("i")}
	withUser, withPassword := anonymous, anonymous
	withUser.HasUserName, withUser.UserName = true, []byte("u")
	withPassword.HasPassword, withPassword.Password = true, []byte("p")
	of31 := func(flags byte, payload ...byte) []byte { return connectOf("MQIsdp", 3, flags, payload...) }
	testLenient(t, []golden[Connect]{
		{"reserved flag", 0, of31(0x01, 0, 1, 'i'), anonymous},
		{"will QoS and will retain without a will are disregarded", 0, of31(0x38, 0, 1, 'i'), anonymous},
		{"user name flag without a user name", 0, of31(0x80, 0, 1, 'i'), anonymous},
		{"both flags without a user name", 0, of31(0xC0, 0, 1, 'i'), anonymous},
		{"both flags without a password", 0, of31(0xC0, 0, 1, 'i', 0, 1, 'u'), withUser},
		{"password without a user name", 0, of31(0x40, 0, 1, 'i', 0, 1, 'p'), withPassword},
	}, parseConnectOf)
}

func TestConnectFaults(t *testing.T) {
	of311 := func(flags byte, payload ...byte) []byte { return connectOf("MQTT", 4, flags, payload...) }
	layout := "MQTT-3.1.4-1"
	testFaults(t, []faulty{
		{"no body", 0, []byte{0x10, 0}, layout, ErrMalformed},
		{"protocol name of another case", 0, connectOf("mqtt", 4, 0, 0, 0), "MQTT-3.1.2-1", ErrMalformed},
		{"protocol name is empty", 0, connectOf("", 4, 0, 0, 0), "MQTT-3.1.2-1", ErrMalformed},
		{"reserved flag", 0, of311(0x01, 0, 0), "MQTT-3.1.2-3", ErrMalformed},
		{"will QoS without a will", 0, of311(0x08, 0, 0), "MQTT-3.1.2-13", ErrMalformed},
		{"will QoS 3 without a will", 0, of311(0x18, 0, 0), "MQTT-3.1.2-13", ErrMalformed},
		{"will retain without a will", 0, of311(0x20, 0, 0), "MQTT-3.1.2-15", ErrMalformed},
		{"will QoS 3", 0, of311(0x1C, 0, 0, 0, 1, 'w', 0, 0), "MQTT-3.1.2-14", ErrMalformed},
		{"will QoS 3 in 3.1", 0, connectOf("MQIsdp", 3, 0x1C, 0, 0, 0, 1, 'w', 0, 0), "MQTT-3.1.2-14", ErrMalformed},
		{"password without a user name", 0, of311(0x40, 0, 0, 0, 0), "MQTT-3.1.2-22", ErrMalformed},
		{"no client identifier", 0, of311(0), layout, ErrMalformed},
		{"client identifier is not UTF-8", 0, of311(0, 0, 1, 0xFF), "MQTT-1.5.3-1", ErrMalformed},
		{"client identifier holds NUL", 0, of311(0, 0, 1, 0x00), "MQTT-1.5.3-2", ErrMalformed},
		{"no will topic", 0, of311(0x04, 0, 0), layout, ErrMalformed},
		{"no will message", 0, of311(0x04, 0, 0, 0, 1, 'w'), layout, ErrMalformed},
		{"will topic is not UTF-8", 0, of311(0x04, 0, 0, 0, 1, 0xFF, 0, 0), "MQTT-1.5.3-1", ErrMalformed},
		{"will topic is empty", 0, of311(0x04, 0, 0, 0, 0, 0, 0), "MQTT-4.7.3-1", ErrInvalidTopic},
		{"will topic is a filter", 0, of311(0x04, 0, 0, 0, 1, '#', 0, 0), "MQTT-3.3.2-2", ErrInvalidTopic},
		{"no user name", 0, of311(0x80, 0, 0), layout, ErrMalformed},
		{"user name is not UTF-8", 0, of311(0x80, 0, 0, 0, 1, 0xFF), "MQTT-1.5.3-1", ErrMalformed},
		{"no password", 0, of311(0xC0, 0, 0, 0, 0), layout, ErrMalformed},
		{"half a user name in 3.1", 0, connectOf("MQIsdp", 3, 0x80, 0, 0, 0), layout, ErrMalformed},
		{"a byte too many", 0, of311(0, 0, 0, 0), layout, ErrMalformed},
	}, parseConnectOf)
	testTruncated(t, goldenConnects[1].wire, 0, parseConnectOf)
}

func TestConnectOfAnotherVersion(t *testing.T) {
	for _, c := range []struct {
		name  string
		proto string
		level byte
	}{
		{"MQTT 5", "MQTT", 5},
		{"MQTT with the level of 3.1", "MQTT", 3},
		{"MQTT with a level of 0", "MQTT", 0},
		{"MQTT 3.1.1 from a bridge", "MQTT", 0x84},
		{"MQIsdp with the level of 3.1.1", "MQIsdp", 4},
		{"MQTT 3.1 from a bridge", "MQIsdp", 0x83},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseConnect(frameIn(t, connectOf(c.proto, c.level, 0xFF))) // what follows is not looked at
			require.ErrorIs(t, err, ErrUnsupportedVersion)
			requireFault(t, err, CONNECT, "MQTT-3.1.2-2")
			assert.Equal(t, Connect{Version: Version(c.level)}, got)
		})
	}
	c, err := ParseConnect(frameIn(t, connectOf("MQTT", 4, 0x01, 0, 0)))
	require.Error(t, err)
	assert.Equal(t, Connect{Version: Version311}, c, "the version is returned with any fault")
}

func TestAppendConnectPreconditions(t *testing.T) {
	for name, c := range map[string]Connect{
		"no version":                    {},
		"MQTT 5":                        {Version: 5},
		"password without a user name":  {Version: Version311, HasPassword: true},
		"will QoS without a will":       {Version: Version311, Will: Will{QoS: QoS1}},
		"will retain without a will":    {Version: Version311, Will: Will{Retain: true}},
		"will QoS 3":                    {Version: Version311, HasWill: true, Will: Will{QoS: 3}},
		"will QoS 0x80":                 {Version: Version311, HasWill: true, Will: Will{QoS: GrantFailure}},
		"client identifier of 64 KiB":   {Version: Version311, ClientID: make([]byte, 65_536)},
		"will message of 64 KiB, in 31": {Version: Version31, HasWill: true, Will: Will{Payload: make([]byte, 65_536)}},
	} {
		t.Run(name, func(t *testing.T) { assert.Panics(t, func() { AppendConnect(nil, &c) }) })
	}
}

func TestConnectFieldsOfFullLength(t *testing.T) {
	c := Connect{Version: Version311, ClientID: bytes.Repeat([]byte("x"), 65_535)}
	got, err := ParseConnect(frameIn(t, AppendConnect(nil, &c)))
	require.NoError(t, err)
	assert.Equal(t, c, got)
}

func FuzzParseConnect(f *testing.F) {
	seeds := append(wires(goldenConnects), connectOf("MQTT", 5, 0, 0), connectOf("MQIsdp", 3, 0xC0, 0, 0))
	fuzzParser(f, CONNECT, seeds, parseConnectOf, appendConnectValue)
}

package session

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"mqttd/codec"
)

func TestStateString(t *testing.T) {
	for state, want := range map[State]string{
		AwaitConnect: "await connect", Parked: "parked", Connected: "connected", Closed: "closed",
	} {
		assert.Equal(t, want, state.String())
	}
}

// Every packet type in every state. CONNECT comes first [MQTT-3.1.0-1] and once
// [MQTT-3.1.0-2]; four types are for servers to send; 0 and 15 are reserved.
func TestLegal(t *testing.T) {
	const y, n = true, false
	for _, c := range []struct {
		packet                                  codec.PacketType
		awaitConnect, parked, connected, closed bool
	}{
		{0, n, n, n, n},
		{codec.CONNECT, y, n, n, n},
		{codec.CONNACK, n, n, n, n},
		{codec.PUBLISH, n, n, y, n},
		{codec.PUBACK, n, n, y, n},
		{codec.PUBREC, n, n, y, n},
		{codec.PUBREL, n, n, y, n},
		{codec.PUBCOMP, n, n, y, n},
		{codec.SUBSCRIBE, n, n, y, n},
		{codec.SUBACK, n, n, n, n},
		{codec.UNSUBSCRIBE, n, n, y, n},
		{codec.UNSUBACK, n, n, n, n},
		{codec.PINGREQ, n, n, y, n},
		{codec.PINGRESP, n, n, n, n},
		{codec.DISCONNECT, n, n, y, n},
		{15, n, n, n, n},
	} {
		for state, want := range map[State]bool{
			AwaitConnect: c.awaitConnect, Parked: c.parked, Connected: c.connected, Closed: c.closed, stateCount: n,
		} {
			assert.Equal(t, want, Legal(state, c.packet), fmt.Sprintf("%s in state %d", c.packet, state))
		}
	}
}

func TestLegalOfNoPacketType(t *testing.T) {
	for packet := 16; packet < 256; packet++ {
		for state := range stateCount + 1 {
			assert.False(t, Legal(state, codec.PacketType(packet)))
		}
	}
}

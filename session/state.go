package session

import "mqttd/codec"

// State is how far a connection has come.
type State uint8

const (
	// AwaitConnect: the transport is open, CONNECT has not come yet.
	AwaitConnect State = iota
	// Parked: CONNECT came, CONNACK waits for something on another loop (today: that
	// the connection taken over is closed). Input is held, not looked at.
	Parked
	// Connected: CONNACK went out.
	Connected
	// Closed: nothing is read or written any more.
	Closed

	stateCount
)

// String returns the state's name.
func (s State) String() string {
	return [stateCount]string{"await connect", "parked", "connected", "closed"}[s]
}

// legal says which packets a server may receive in which state: CONNECT first and once
// [MQTT-3.1.0-1] [MQTT-3.1.0-2], never one that only servers send.
var legal = [stateCount][16]bool{
	AwaitConnect: {codec.CONNECT: true},
	Connected: {
		codec.PUBLISH:     true,
		codec.PUBACK:      true,
		codec.PUBREC:      true,
		codec.PUBREL:      true,
		codec.PUBCOMP:     true,
		codec.SUBSCRIBE:   true,
		codec.UNSUBSCRIBE: true,
		codec.PINGREQ:     true,
		codec.DISCONNECT:  true,
	},
}

// Legal reports whether a client may send a packet of type t in state s.
func Legal(s State, t codec.PacketType) bool {
	return s < stateCount && t < 16 && legal[s][t]
}

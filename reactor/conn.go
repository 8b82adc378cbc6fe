package reactor

import (
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"

	"mqttd/codec"
	"mqttd/session"
)

// conn is one client's connection. It is loop-confined, but for loop.
type conn struct {
	loop *loop // immutable; other loops may read it

	// serves is loop while the connection is open, else nil: a handle may name a connection that another loop has.
	// Written by its loop, anyone may load it.
	serves atomic.Pointer[loop]

	gc      gnet.Conn // nil once closed: a gnet.Conn kept longer writes to whoever got the descriptor next
	decoder codec.Decoder
	session *session.Session // nil before CONNECT; others may read it who have c from a slot
	handle  session.Handle   // of session; NoHandle before CONNECT
	replay  *replay          // retained messages still to send; nil: none

	state     session.State
	pace      pace // when it is written to
	lists     lists
	opened    bool // its loop has got it; set before anyone else looks
	awaiting  bool // a takeover: the connection before this one is not gone yet
	undead    bool // closed and reaped, but awaiting: not buried yet
	connected bool // CONNACK 0x00 went out at some time
	discard   bool // DISCONNECT came: the Will is not published [MQTT-3.14.4-3]
	released  bool // it has given its Client Identifier up

	owed, late int32 // pieces of replies that wait for the flush, or the disk; of these, for the disk

	// Where the conn stands in its loop's wheel.
	nextInWheel, prevInWheel *conn
	deadlineTick             uint32 // when it was filed under; see wheel
	patienceTicks            uint32 // ticks without input until it is closed; 0: never
	seenTick                 uint32 // of the latest input

	// Spans of the log being delivered that this reader gets: indices into loop.spans plus
	// one, 0: none. Zero outside deliver.
	firstSpan, lastSpan int32

	losses     *Losses     // nil: none
	delivered  uint64      // messages
	backlog    backlog     // what waits for the reader
	congestion *congestion // nil unless blocked

	successor *conn  // who waits for this one to be gone; nil: nobody
	reason    error  // why the connection ends, for the log
	batch     uint64 // of the store, that CONNACK waits for
	owedBatch uint64 // of the store, that the latest of the replies owed waits for
	since     int64  // when CONNACK 0x00 was written, in Unix milliseconds

	userName *string // of CONNECT, until the log has told of it; nil: none
}

func (c *conn) live() bool { return c.gc != nil }

func (c *conn) clientID() string {
	if c.session == nil {
		return ""
	}
	return c.session.ClientID
}

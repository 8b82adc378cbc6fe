package reactor

import (
	"errors"

	"mqttd/session"
)

// When a client connects while an older connection has its Client Identifier, the older one is
// closed [MQTT-3.1.4-2], its subscriptions are removed and its Will is published, and only then
// the new one gets its CONNACK: so a client that comes back never sees its old Will after its
// new life began. The older connection may live on another loop; that loop is asked by letter,
// and the new connection is parked meanwhile.
//
//	new connection's loop                old connection's loop
//	Claim, takeOver --- letterKick --->  kick: close
//	(parked)                             reap: unsubscribe, Will
//	released  <------- letterReleased -  announceGone, after the flush
//	accept
//
// Claim names each owner to one claimant only, so the waits form a line, never a ring. A parked
// connection that is itself taken over, or lost, keeps its place in the line: it is cleaned up
// after only when the one before it is gone.

var errTakenOver = errors.New("taken over by a new connection [MQTT-3.1.4-2]")

// takeOver parks c and has the previous owner of its Client Identifier closed.
func (l *loop) takeOver(c *conn, previous session.Handle) {
	l.takeovers.add(1)
	c.state = session.Parked
	c.awaiting = true
	if old := l.server.table.Resolve(previous); old != nil && old.loop != l {
		old.loop.post(letter{kind: letterKick, handle: previous, reply: c.handle})
		return
	}
	l.kick(previous, c.handle)
}

// kick closes the connection that handle names, so that reply can have its place.
func (l *loop) kick(handle, reply session.Handle) {
	c := l.server.table.Resolve(handle)
	if c == nil { // gone already
		l.gone = append(l.gone, reply)
		return
	}
	c.successor = reply
	l.close(c, errTakenOver)
}

// reap cleans up after the connections that were closed. Burying one may close others, whose
// turn comes in the same call.
func (l *loop) reap() {
	for i := 0; i < len(l.reaped); i++ {
		c := l.reaped[i]
		l.reaped[i] = nil
		switch {
		case c == nil: // its turn came before, and ended in a panic
		case c.awaiting:
			c.undead = true
		default:
			l.bury(c)
		}
	}
	l.reaped = l.reaped[:0]
}

// bury removes everything of a closed connection's client: its subscriptions, its Client
// Identifier and its slot, in this order, and publishes its Will unless it said goodbye.
func (l *loop) bury(c *conn) {
	l.server.lines.disconnected(l.server, c)
	s := c.session
	if s == nil {
		return
	}
	for filter := range s.Filters() {
		l.server.router.Unsubscribe(filter, uint64(c.handle))
	}
	if s.Will != nil && !c.discard && c.connected && !l.quiesced {
		l.publishWill(s.Will)
	}
	l.server.clients.Release(s.ClientID, c.handle)
	l.server.table.Release(c.handle)
	if c.successor != session.NoHandle {
		l.gone = append(l.gone, c.successor)
	}
}

// announceGone tells those who waited for a connection that it is gone.
func (l *loop) announceGone() {
	for i := 0; i < len(l.gone); i++ {
		c := l.server.table.Resolve(l.gone[i])
		switch {
		case c == nil: // cannot be: who waits keeps its slot
		case c.loop == l:
			l.released(c.handle)
		default:
			c.loop.post(letter{kind: letterReleased, handle: c.handle})
		}
	}
	l.gone = l.gone[:0]
}

// released goes on with a parked connection: the one before it is gone.
func (l *loop) released(handle session.Handle) {
	c := l.server.table.Resolve(handle)
	if c == nil {
		return
	}
	c.awaiting = false
	switch {
	case c.live():
		l.serving = c
		l.accept(c)
		l.serve(c)
	case c.undead: // lost while it was parked, and reaped in vain
		l.reaped = append(l.reaped, c)
	}
}

// post puts a letter into the loop's mailbox. Any goroutine may call it.
func (l *loop) post(m letter) {
	if l.mailbox.push(m) {
		l.ring()
	}
}

package reactor

import (
	"errors"

	"mqttd/session"
)

// When a client connects while an older connection has its Client Identifier, the older one is
// closed [MQTT-3.1.4-2], its subscriptions are removed, its Will and what it published last are
// handed to every loop, and only then the new one gets its CONNACK: so nobody sees the old Will
// after the new life began. The older connection may live on another loop; that loop is asked by
// letter, and the new connection is parked meanwhile.
//
//	new connection's loop                old connection's loop
//	Claim, takeOver --- letterKick --->  kick: close
//	(parked)                             bury: unsubscribe, Will
//	                                     flush
//	                                     releaseBuried: Client Identifier, slot
//	released  <------- letterReleased -  announceReleased
//	accept
//
// Claim names each owner to one claimant only, so the waits form a line, never a ring. A parked
// connection that is itself taken over, or lost, keeps its place in the line: it is cleaned up
// after only when the one before it is gone.

var (
	errTakenOver = errors.New("taken over by a new connection [MQTT-3.1.4-2]")
	errStopping  = errors.New("the server is stopping")
)

// takeOver parks c and has the previous owner of its Client Identifier closed.
func (l *loop) takeOver(c *conn, previous session.Handle) {
	l.takeovers.add(1)
	c.state = session.Parked
	c.awaiting = true
	if old := l.server.table.Resolve(previous); old != nil && old.loop != l {
		old.loop.post(letter{kind: letterKick, handle: previous, waiter: c.handle})
		return
	}
	l.kick(previous, c.handle)
}

// kick closes the connection that handle names, so that waiter can have its place.
func (l *loop) kick(handle, waiter session.Handle) {
	c := l.server.table.Resolve(handle)
	if c == nil { // gone already
		l.waiting = append(l.waiting, waiter)
		return
	}
	c.successor = waiter
	l.close(c, errTakenOver)
}

// reap cleans up after the connections that were closed, as many as the turn allows. Their Wills come after
// all their subscriptions have gone: a route that had many of them is built again once.
func (l *loop) reap() {
	more := func(done int) bool { return done < turnLeast || !l.turn.spent(buryWork, turnMax) }
	l.inTurn(&l.reaped, inReaped, more, func(c *conn) {
		if c.awaiting {
			c.undead = true
		} else {
			l.bury(c)
		}
	})
	for l.willsDone < len(l.buried) {
		c := l.buried[l.willsDone]
		l.willsDone++ // first: its turn may end in a panic
		if c.wills(l) {
			l.publishWill(c, c.session.Will)
		}
	}
}

// bury removes the subscriptions of a closed connection's client.
func (l *loop) bury(c *conn) {
	if c.handle != session.NoHandle {
		l.buried = append(l.buried, c)
		for filter := range c.session.Filters() {
			l.turn.spent(1, turnMax)
			l.server.router.Unsubscribe(filter, uint64(c.handle))
		}
	}
	l.forgetLoser(c)
	l.server.lines.disconnected(l.server, c)
}

// wills reports whether c's Will is to be published: unless it said goodbye, or the server is stopping.
func (c *conn) wills(l *loop) bool {
	return c.session.Will != nil && c.connected && !c.discard && !l.quiesced
}

// releaseBuried gives the Client Identifiers and slots of the buried free. It comes after the
// flush, so that what a client published, its Will last, is ahead of all that it does when it comes
// back, on whichever loop.
func (l *loop) releaseBuried() {
	l.willsDone = 0
	for i, c := range l.buried {
		if c == nil {
			continue // its turn ended in a panic
		}
		l.buried[i] = nil
		l.server.clients.Release(c.session.ClientID, c.handle)
		l.server.table.Release(c.handle)
		if c.successor != session.NoHandle {
			l.waiting = append(l.waiting, c.successor)
		}
	}
	l.buried = l.buried[:0]
}

// announceReleased tells those who waited for a connection that it is gone.
func (l *loop) announceReleased() {
	for i := 0; i < len(l.waiting); i++ {
		handle := l.waiting[i]
		l.waiting[i] = session.NoHandle
		if handle == session.NoHandle {
			continue // its turn ended in a panic
		}
		switch c := l.server.table.Resolve(handle); {
		case c == nil: // cannot be: who waits keeps its slot
		case c.loop == l:
			l.released(handle)
		default:
			c.loop.post(letter{kind: letterReleased, handle: handle})
		}
	}
	l.waiting = l.waiting[:0]
}

// released goes on with a parked connection: the one before it is gone.
func (l *loop) released(handle session.Handle) {
	c := l.server.table.Resolve(handle)
	if c == nil {
		return
	}
	c.awaiting = false
	switch {
	case c.live() && l.quiesced:
		l.close(c, errStopping)
	case c.live():
		l.serve(c)
	case c.undead: // lost while it was parked, and reaped in vain
		l.list(&l.reaped, c, inReaped)
	}
}

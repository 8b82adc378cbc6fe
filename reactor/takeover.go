package reactor

import (
	"errors"

	"mqttd/session"
)

// When a client connects while an older connection has its Client Identifier, the older one is closed [MQTT-3.1.4-2],
// its subscriptions are removed or its session is kept, its Will and what it published last are handed to every loop,
// and only then the new one gets its CONNACK: so nobody sees the old Will after the new life began, and two
// connections never serve one session. The older connection may live on another loop; that loop is asked by letter,
// and the new connection is parked meanwhile.
//
//	new connection's loop                old connection's loop
//	Claim, takeOver --- letterKick --->  kick: close
//	(parked)                             bury: unsubscribe, Will
//	                                     flush
//	                                     releaseBuried: Client Identifier, slot or session
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
func (l *loop) takeOver(c, previous *conn) {
	l.takeovers.add(1)
	c.state = session.Parked
	c.awaiting = true
	if previous.loop != l {
		previous.loop.post(letter{kind: letterKick, conn: previous, waiter: c})
		return
	}
	l.kick(previous, c)
}

// kick closes c, so that waiter can have its place.
func (l *loop) kick(c, waiter *conn) {
	if c.released {
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

// bury removes the subscriptions of a closed connection's client, unless its session is kept.
func (l *loop) bury(c *conn) {
	if c.handle != session.NoHandle {
		l.buried = append(l.buried, c)
		if !c.persists() {
			for filter := range c.session.Filters() {
				l.turn.spent(1, turnMax)
				l.server.router.Unsubscribe(filter, uint64(c.handle))
			}
			if c.session.Outbox != nil {
				tx := l.server.store.Begin()
				l.server.endOutbox(tx, c.session.Outbox, ReasonCutOff)
				tx.End()
			}
		}
	}
	l.server.lines.disconnected(l.server, c)
}

// persists reports whether c's session outlives it.
func (c *conn) persists() bool { return c.connected && !c.session.CleanSession }

// wills reports whether c's Will is to be published: unless it said goodbye, or the server is stopping.
func (c *conn) wills(l *loop) bool {
	return c.session.Will != nil && c.connected && !c.discard && !l.quiesced
}

// releaseBuried gives the Client Identifiers and slots of the buried free, or keeps their sessions. It comes after
// the flush, so that what a client published, its Will last, is ahead of all that it does when it comes back, on
// whichever loop.
func (l *loop) releaseBuried() {
	l.willsDone = 0
	for i, c := range l.buried {
		if c == nil {
			continue // its turn ended in a panic
		}
		l.buried[i] = nil
		if c.persists() { // first: who comes for the session must find it
			l.suspend(c)
		} else {
			l.server.table.Release(c.handle)
			if !c.connected && c.successor == nil { // the session that it was about to take stays with those away
				l.evict(l.server.absent.TakeBeyond(l.server.limits.Sessions))
			}
		}
		c.released = true
		l.server.clients.Release(c.session.ClientID, c)
		if c.successor != nil {
			l.waiting = append(l.waiting, c.successor)
		}
	}
	l.buried = l.buried[:0]
}

// announceReleased tells those who waited for a connection that it is gone.
func (l *loop) announceReleased() {
	for i := 0; i < len(l.waiting); i++ {
		c := l.waiting[i]
		l.waiting[i] = nil
		switch {
		case c == nil: // its turn ended in a panic
		case c.loop == l:
			l.released(c)
		default:
			c.loop.post(letter{kind: letterReleased, conn: c})
		}
	}
	l.waiting = l.waiting[:0]
}

// released goes on with a parked connection: the one before it is gone.
func (l *loop) released(c *conn) {
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

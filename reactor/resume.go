package reactor

import (
	"math"
	"sync/atomic"
	"time"

	"mqttd/session"
	"mqttd/session/store"
)

// A session with Clean Session 0 outlives its connection [MQTT-3.1.2-4]. While the client is away it keeps its slot,
// which its last connection, closed, stands in, and its place in the router: so messages above QoS 0 go on into its
// outbox [MQTT-3.1.2-5], and those of QoS 0 are counted as lost. When the client comes back its new connection takes
// the session out of Server.absent, and the slot over. Another loop need not be asked: it has done with the session
// before that was there to be taken, but for lists in which the old connection may stand, closed.

// resume gives c the session that it asks for: a stored one, which it reports [MQTT-3.2.2-2], or the fresh one that
// it has [MQTT-3.2.2-3].
func (l *loop) resume(c *conn) (present bool) {
	s := l.server
	if c.session.CleanSession {
		return false
	}
	if stored := s.absent.Take(c.session.ClientID); stored != nil {
		l.adopt(c, stored)
		return true
	}
	if s.store != nil {
		c.session.Number = s.numbers.Add(1)
		s.noteSession(c.session, 0, true)
	}
	return false
}

// discard ends the stored session of a client that wants none [MQTT-3.1.2-6]. It returns the batch of the store that
// CONNACK has to wait for when it says that there is no session: or after a crash an older one might be there again.
func (l *loop) discard(c *conn) (batch uint64) {
	s := l.server
	if !c.session.CleanSession {
		if _, stored := s.absent.Look(c.session.ClientID); stored {
			return 0
		}
		return s.endedBatch.Load() // it may have had one
	}
	if stored := s.absent.Take(c.session.ClientID); stored != nil {
		return s.endSession(stored, ReasonCutOff)
	}
	return 0
}

// adopt has a stored session go on with c. Its subscriptions move to this loop, if it was on another one.
func (l *loop) adopt(c *conn, stored *session.Session) {
	s := l.server
	stored.Resume(c.session)
	s.table.Release(c.handle)
	c.session, c.handle = stored, stored.Handle
	last := s.table.Resolve(c.handle)
	c.replay, last.replay = last.replay, nil
	s.table.Return(c.handle, c)
	if stored.Group != l.index {
		stored.Group = l.index
		for filter, granted := range stored.Filters() {
			s.router.Subscribe(filter, l.subscriber(c), granted)
		}
	}
	if stored.Outbox != nil { // whoever adds to it from now on finds c
		stored.Outbox.Attach()
	}
	s.noteSession(stored, 0, false)
}

// noteSession has the store know when the client of a session has left, 0: it is connected; first: of a new one. Its
// CONNACK does not wait for that: a client that finds no session after a crash, or an old one, is told so.
func (s *Server) noteSession(of *session.Session, left int64, first bool) {
	tx := s.store.Begin()
	tx.PutSession(of.Number, store.Session{ClientID: of.ClientID, Left: left}, first)
	tx.End()
}

// suspend keeps the session of c, which has closed, for the client to come back, and its slot.
func (l *loop) suspend(c *conn) {
	s, now := l.server, time.Now()
	if o := c.session.Outbox; o != nil {
		o.Detach()
	}
	c.session.Will = nil
	s.table.Leave(c.handle)
	s.noteSession(c.session, now.UnixMilli(), false)
	most := s.limits.Sessions
	if c.successor != nil { // which is about to take it
		most = math.MaxInt
	}
	l.evict(s.absent.Put(c.session, s.uptime(now), most))
}

// evict ends a session that was taken out of absent because there are too many. There may be none, nil.
func (l *loop) evict(stored *session.Session) {
	if stored == nil {
		return
	}
	l.server.sessionsEvicted.Add(1)
	l.server.lines.sessionEvicted(l.server)
	l.turn.spent(stored.FilterCount(), turnMax)
	l.server.endSession(stored, ReasonExpired)
}

// endSession ends a session that was taken out of absent, and returns the batch of the store with its end. Any
// goroutine may call it.
func (s *Server) endSession(stored *session.Session, reason Reason) (batch uint64) {
	for filter := range stored.Filters() {
		s.router.Unsubscribe(filter, uint64(stored.Handle))
	}
	last := s.table.Resolve(stored.Handle)
	if last.replay != nil {
		last.replay.finish()
	}
	s.table.ReleaseAway(stored.Handle)
	tx := s.store.Begin()
	defer func() { batch = tx.End() }()
	s.drop(tx, stored, reason)
	return 0 // but what End says
}

// drop ends a session that is nowhere but in the store.
func (s *Server) drop(tx *store.Tx, stored *session.Session, reason Reason) {
	if stored.ExactlyOnce() {
		tx.AtOnce()
		raise(&s.endedBatch, tx.Batch())
	}
	s.endOutbox(tx, stored.Outbox, reason)
	tx.DeleteSession(stored.Number)
}

// raise has n be at least least.
func raise(n *atomic.Uint64, least uint64) {
	for before := n.Load(); before < least; before = n.Load() {
		if n.CompareAndSwap(before, least) {
			return
		}
	}
}

// expireSessions ends the sessions of clients that have been away for too long, a few at a time: loops wait for the
// store's lock. It is called every second on a goroutine of its own.
func (s *Server) expireSessions(now time.Time) {
	expired := 0
	for expired < expireMax {
		stored := s.absent.TakeLeftBefore(s.uptime(now) - time.Duration(s.expiry.Load()).Milliseconds())
		if stored == nil {
			break
		}
		expired++
		s.sessionsExpired.Add(1)
		s.endSession(stored, ReasonExpired)
	}
	s.lines.sessionsExpired(s, expired)
}

// uptime returns the time that sessions are away by, in milliseconds: that of day may be set while the broker runs, as
// on a machine that learns it from the network after the start.
func (s *Server) uptime(now time.Time) int64 { return now.Sub(s.sys.started).Milliseconds() }

// expireMax is how many sessions are ended per second at most. (chosen: those of all clients in seconds)
const expireMax = 1000

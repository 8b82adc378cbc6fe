package reactor

import (
	"time"

	"mqttd/session"
	"mqttd/session/store"
)

// A session with Clean Session 0 outlives its connection [MQTT-3.1.2-4]. While the client is away it keeps its slot, which its last
// connection, closed, stands in, and its place in the router: so messages above QoS 0 go on into its outbox [MQTT-3.1.2-5], and
// those of QoS 0 are counted as lost. When the client comes back its new connection takes the session out of
// Server.absent, and the slot over. Another loop need not be asked: what that one had to do with it has ended before.

// resume gives c the session that it asks for: a stored one, which it reports [MQTT-3.2.2-2], or the fresh one that it has
// [MQTT-3.2.2-3].
func (l *loop) resume(c *conn) (present bool) {
	s := l.server
	tx := s.store.Begin()
	defer tx.End() // CONNACK need not wait for it: who finds another session after a crash is told so
	stored := s.absent.Take(c.session.ClientID)
	if stored != nil && !c.session.CleanSession {
		l.adopt(tx, c, stored)
		return true
	}
	if stored != nil { // [MQTT-3.1.2-6]
		s.endSession(tx, stored, ReasonExpired)
	}
	if !c.session.CleanSession && s.store != nil {
		c.session.Number = s.numbers.Add(1)
		tx.PutSession(c.session.Number, store.Session{ClientID: c.session.ClientID})
	}
	return false
}

// adopt has a stored session go on with c. Its subscriptions move to this loop, if it was on another one.
func (l *loop) adopt(tx *store.Tx, c *conn, stored *session.Session) {
	s := l.server
	stored.Resume(c.session)
	s.table.Release(c.handle)
	c.session, c.handle = stored, stored.Handle
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
	tx.PutSession(stored.Number, store.Session{ClientID: stored.ClientID})
}

// suspend keeps the session of c, which has closed, for the client to come back, and its slot.
func (l *loop) suspend(c *conn) {
	s, now := l.server, time.Now().UnixMilli()
	if o := c.session.Outbox; o != nil {
		o.Detach()
	}
	c.session.Will = nil
	c.decoder.Release()
	s.table.Leave(c.handle)
	tx := s.store.Begin()
	defer tx.End()
	tx.PutSession(c.session.Number, store.Session{ClientID: c.session.ClientID, Left: now})
	if evicted := s.absent.Put(c.session, now, s.limits.Sessions); evicted != nil {
		s.sessionsEvicted.Add(1)
		s.lines.sessionEvicted(s)
		s.endSession(tx, evicted, ReasonExpired)
	}
}

// endSession ends a session that was taken out of absent. Any goroutine may call it.
func (s *Server) endSession(tx *store.Tx, stored *session.Session, reason Reason) {
	for filter := range stored.Filters() {
		s.router.Unsubscribe(filter, uint64(stored.Handle))
	}
	s.endOutbox(tx, stored.Outbox, reason)
	s.table.ReleaseAway(stored.Handle)
	if stored.Number != 0 {
		tx.DeleteSession(stored.Number)
	}
}

// expireSessions ends the sessions of clients that have been away for too long, a few at a time: loops wait for the store's lock.
// It is called every second on a goroutine of its own.
func (s *Server) expireSessions(now time.Time) {
	for range expireMax {
		stored := s.absent.TakeLeftBefore(now.Add(-s.config.SessionExpiry).UnixMilli())
		if stored == nil {
			return
		}
		s.sessionsExpired.Add(1)
		tx := s.store.Begin()
		s.endSession(tx, stored, ReasonExpired)
		tx.End()
	}
}

// expireMax is how many sessions are ended per second at most. (chosen: those of all clients in seconds)
const expireMax = 1000

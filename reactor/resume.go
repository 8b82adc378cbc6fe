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
	stored := s.absent.Take(c.session.ClientID)
	if stored != nil && !c.session.CleanSession {
		l.adopt(c, stored)
		return true
	}
	if stored != nil { // [MQTT-3.1.2-6]
		s.endSession(stored)
	}
	if !c.session.CleanSession && s.store != nil {
		c.session.Number = s.numbers.Add(1)
		s.noteSession(c.session, 0)
	}
	return false
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
	s.noteSession(stored, 0)
}

// noteSession has the store know when the client of a session has left, 0: it is connected. Its CONNACK does not wait
// for that: a client that finds no session after a crash, or an old one, is told so.
func (s *Server) noteSession(of *session.Session, left int64) {
	tx := s.store.Begin()
	tx.PutSession(of.Number, store.Session{ClientID: of.ClientID, Left: left})
	tx.End()
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
	s.noteSession(c.session, now)
	if evicted := s.absent.Put(c.session, now, s.limits.Sessions); evicted != nil {
		s.sessionsEvicted.Add(1)
		s.lines.sessionEvicted(s)
		s.endSession(evicted)
	}
}

// endSession ends a session that was taken out of absent. Any goroutine may call it.
func (s *Server) endSession(stored *session.Session) {
	for filter := range stored.Filters() {
		s.router.Unsubscribe(filter, uint64(stored.Handle))
	}
	last := s.table.Resolve(stored.Handle)
	if last.replay != nil {
		last.replay.finish()
	}
	s.table.ReleaseAway(stored.Handle)
	tx := s.store.Begin()
	defer tx.End()
	s.endOutbox(tx, stored.Outbox, ReasonExpired)
	tx.DeleteSession(stored.Number)
}

// expireSessions ends the sessions of clients that have been away for too long, a few at a time: loops wait for the store's lock.
// It is called every second on a goroutine of its own.
func (s *Server) expireSessions(now time.Time) {
	for range expireMax {
		stored := s.absent.TakeLeftBefore(now.Add(-time.Duration(s.expiry.Load())).UnixMilli())
		if stored == nil {
			return
		}
		s.sessionsExpired.Add(1)
		s.endSession(stored)
	}
}

// expireMax is how many sessions are ended per second at most. (chosen: those of all clients in seconds)
const expireMax = 1000

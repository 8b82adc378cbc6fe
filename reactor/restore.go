package reactor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"mqttd/codec"
	"mqttd/session"
	"mqttd/session/store"
)

// restoration is what the store had when the server starts, until all of it is in its place.
type restoration struct {
	server   *Server
	messages map[uint64]*session.Message
	sessions map[uint64]*session.Session
	left     map[uint64]int64 // when a session's client left
	refused  []uint64         // numbers of retained messages for which there is no room
	nonsense error            // of a record that cannot be

	// What is changed in the store by finish.
	connected  []*session.Session // their clients were connected at the end
	superseded []*session.Session // another one of the client began later
	expired    []*session.Session
	evicted    []*session.Session
}

// openStore opens the data directory, if there is to be one, and puts what it has in its place: the server is as it
// was when the last one stopped, but for its connections.
func (s *Server) openStore() error {
	if s.config.DataDir == "" {
		return nil
	}
	if err := s.restore(); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return nil
}

// Errors of New about the data directory.
var (
	// ErrDataDir is all of them. The text names the file, the cause and the remedy.
	ErrDataDir = errors.New("data directory")
	// ErrDataDirHeld says that another process has it.
	ErrDataDirHeld = store.ErrHeld
)

func (s *Server) restore() error {
	sync, err := store.ParseSync(s.config.Sync)
	if err != nil {
		return err
	}
	opened, err := store.Open(s.config.DataDir, store.Options{
		Sync:      sync,
		Interval:  s.config.SyncInterval,
		Committed: s.committed,
		Failed:    func(err error) { s.lines.notSaved(s, err) },
		Recovered: func() { s.lines.savedAgain(s) },
	})
	if err != nil {
		return err
	}
	began := time.Now()
	r := &restoration{
		server:   s,
		messages: make(map[uint64]*session.Message),
		sessions: make(map[uint64]*session.Session),
		left:     make(map[uint64]int64),
	}
	if err := r.load(opened); err != nil {
		_ = opened.Close() // what is on disk stays as it is
		return err
	}
	s.store, s.restored = opened, r
	r.settle(opened.Clean())
	s.log.Info().Str("data_dir", s.config.DataDir).Stringer("sync", sync).Bool("clean", opened.Clean()).
		Int("retained", s.retained.Len()).Int("sessions", s.absent.Len()).Int("messages", s.queues.Messages()).
		Stringer("took", time.Since(began).Round(time.Millisecond)).Msg("data directory read")
	return nil
}

// saveRest saves what is not on disk yet, when the loops have ended.
func (s *Server) saveRest() error {
	for slot := 0; s.store != nil && slot < s.table.Slots(); slot++ {
		if _, c := s.table.At(slot); c != nil && c.session.Number != 0 && c.session.Outbox != nil {
			tx := s.store.Begin()
			c.session.Outbox.NoteSent(tx)
			tx.End()
		}
	}
	if err := s.store.Close(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	return nil
}

// ErrNotSaved is the error of Run when the server has stopped and could not save all that it should.
var ErrNotSaved = errors.New("not all could be saved")

// committed is called by the store's writer after each commit: loops go on with what waited for it.
func (s *Server) committed() {
	select {
	case <-s.listening:
	default:
		return // nobody waits yet
	}
	for _, l := range s.loops {
		l.post(letter{kind: letterSaved})
	}
}

// load reads all that the store has. It changes nothing on disk.
func (r *restoration) load(from *store.Store) error {
	s := r.server
	err := from.Load(store.Visitor{
		Message: func(id uint64, packet []byte) {
			r.messages[id] = s.queues.RestoredMessage(id, packet)
		},
		Session: func(id uint64, stored store.Session) {
			r.sessions[id] = session.Restored(stored.ClientID, id)
			r.left[id] = stored.Left
		},
		Subscription: func(id uint64, filter string, qos byte) {
			of := r.sessions[id]
			of.Subscribe(nil, filter, codec.QoS(qos), filtersMax) // whatever the limits are now
			if codec.QoS(qos) > codec.QoS0 {
				r.outbox(of)
			}
		},
		Received: func(id uint64, packetID uint16) { r.sessions[id].Receive(nil, packetID) },
		Queued: func(id uint64, q store.Queued) {
			if !r.outbox(r.sessions[id]).Restored(q, r.messages[q.MessageID]) && r.nonsense == nil {
				r.nonsense = from.Damaged("session %d has a message %d that cannot be", id, q.MessageID)
			} else if !q.Released {
				s.found[q.QoS-1]++
			}
		},
		Retained: func(number uint64, packet []byte) {
			if !s.retained.Restore(number, codec.PublishTopic(packet), packet) {
				r.refused = append(r.refused, number)
			}
		},
	})
	if err == nil {
		err = r.nonsense
	}
	if err != nil {
		return err
	}
	sessions, messages := from.Highest()
	s.numbers.Store(sessions)
	s.queues.NumberFrom(messages)
	return nil
}

// outbox returns the outbox of a session, which gets one if it has none.
func (r *restoration) outbox(of *session.Session) *session.Outbox {
	if of.Outbox == nil {
		of.Outbox = r.server.queues.NewOutbox(of.Number)
	}
	return of.Outbox
}

// settle has the sessions wait for their clients, those of clients that were connected from now on, but for those that
// have expired or are too many.
func (r *restoration) settle(clean bool) {
	s, now := r.server, time.Now()
	sessions := make([]*session.Session, 0, len(r.sessions))
	newest := make(map[string]uint64, len(r.sessions))
	for id, of := range r.sessions {
		newest[of.ClientID] = max(newest[of.ClientID], id)
	}
	for id, of := range r.sessions {
		if newest[of.ClientID] != id {
			r.superseded = append(r.superseded, of)
			continue
		}
		if r.left[id] == 0 {
			r.left[id] = now.UnixMilli()
			r.connected = append(r.connected, of)
		}
		sessions = append(sessions, of)
	}
	slices.SortFunc(sessions, func(a, b *session.Session) int {
		return cmp.Or(cmp.Compare(r.left[a.Number], r.left[b.Number]), cmp.Compare(a.Number, b.Number))
	})
	for i, of := range sessions {
		away := max(0, now.UnixMilli()-r.left[of.Number])
		switch {
		case away > s.config.SessionExpiry.Milliseconds():
			r.expired = append(r.expired, of)
		case len(sessions)-i > s.limits.Sessions:
			r.evicted = append(r.evicted, of)
		default:
			r.await(of, i%len(s.loops), s.uptime(now)-away, !clean)
		}
	}
}

// finish ends what must not go on, and has the store know: once the server has its port, for one that cannot serve is
// to leave everything as it was. Run calls it once.
func (r *restoration) finish() {
	if r == nil {
		return
	}
	s := r.server
	s.restored = nil
	tx := s.store.Begin()
	for _, of := range r.connected {
		tx.PutSession(of.Number, store.Session{ClientID: of.ClientID, Left: r.left[of.Number]}, false)
	}
	for _, ended := range [][]*session.Session{r.superseded, r.expired, r.evicted} {
		for _, of := range ended {
			s.drop(tx, of, ReasonExpired)
		}
	}
	for _, m := range r.messages {
		m.Release(tx)
	}
	for _, number := range r.refused {
		tx.DeleteRetained(number)
	}
	tx.End()
	s.sessionsExpired.Add(uint64(len(r.expired)))
	s.sessionsEvicted.Add(uint64(len(r.evicted)))
	s.lines.sessionsExpired(s, len(r.expired))
	if n := len(r.evicted); n > 0 {
		s.log.Warn().Int("sessions", n).Int("max_sessions", s.limits.Sessions).
			Msg("more sessions are in the data directory than -max-sessions allows: those are gone that were away longest")
	}
	if n := len(r.refused); n > 0 {
		s.log.Warn().Int("messages", n).Msg("more retained messages are in the data directory than -max-retained and " +
			"-max-retained-bytes allow: those beyond are gone")
	}
}

// await puts a session into the slot in which it waits for its client, who left at a time of uptime. There is one.
func (r *restoration) await(of *session.Session, loop int, left int64, doubtful bool) {
	s := r.server
	c := &conn{loop: s.loops[loop], session: of, state: session.Closed, connected: true, released: true}
	handle, ok := s.table.AcquireAway(c)
	if !ok {
		panic("reactor: no slot for a session that is kept")
	}
	of.Handle, of.Group, c.handle = handle, loop, handle
	if of.Outbox != nil {
		of.Outbox.Resumed(doubtful)
	}
	for filter, granted := range of.Filters() {
		s.router.Subscribe(filter, c.loop.subscriber(c), granted)
	}
	s.absent.Put(of, left, s.limits.Sessions)
}

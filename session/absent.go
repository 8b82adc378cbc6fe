package session

import (
	"container/list"
	"sync"
)

// Absent holds the sessions of clients that are away, those first that have been away longest. Any goroutine may call
// its methods. Whoever takes a session out owns it from then on.
type Absent struct {
	mu       sync.Mutex
	byClient map[string]*list.Element // guarded by mu
	order    list.List                // guarded by mu; of *Session
}

// NewAbsent returns an Absent without sessions.
func NewAbsent() *Absent { return &Absent{byClient: make(map[string]*list.Element)} }

// Put adds the session of a client that left at a time, in milliseconds of a clock that nobody sets; no other has the
// same Client Identifier. Times do not go back, but for a client or two. When there are more than most, the one that
// has been away longest is taken out and returned, else nil.
func (a *Absent) Put(s *Session, left int64, most int) (evicted *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.left = left
	a.byClient[s.ClientID] = a.order.PushBack(s)
	return a.takeBeyond(most)
}

// Take takes the session of a client out, nil when there is none.
func (a *Absent) Take(clientID string) *Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byClient[clientID]; e != nil {
		return a.take(e)
	}
	return nil
}

// Sight is what Absent shows of a session that stays where it is.
type Sight struct {
	Handle  Handle
	Left    int64 // when the client left, as Put was told
	Filters int
	Missed  uint64  // see Session
	Outbox  *Outbox // nil: none
}

// Look shows the session of a client; ok is false when there is none.
func (a *Absent) Look(clientID string) (seen Sight, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byClient[clientID]
	if e == nil {
		return seen, false
	}
	s := e.Value.(*Session)
	return Sight{s.Handle, s.left, s.FilterCount(), s.Missed.Load(), s.Outbox}, true
}

// TakeBeyond takes the session out whose client has been away longest, if there are more than most, else nil.
func (a *Absent) TakeBeyond(most int) *Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.takeBeyond(most)
}

func (a *Absent) takeBeyond(most int) *Session {
	if a.order.Len() > most {
		return a.take(a.order.Front())
	}
	return nil
}

// TakeLeftBefore takes a session out whose client left before a time, nil when there is none.
func (a *Absent) TakeLeftBefore(time int64) *Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.order.Front(); e != nil && e.Value.(*Session).left < time {
		return a.take(e)
	}
	return nil
}

func (a *Absent) take(e *list.Element) *Session {
	s := a.order.Remove(e).(*Session)
	if a.byClient[s.ClientID] == e {
		delete(a.byClient, s.ClientID)
	}
	return s
}

// Len returns how many sessions there are.
func (a *Absent) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.order.Len()
}

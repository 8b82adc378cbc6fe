package session

import (
	"sync"
	"sync/atomic"
)

// Table is the fixed array of client slots. C is the floor above's connection type.
//
// Resolve is one atomic load and may be called from any goroutine. Acquire and
// Release take a mutex for a push or a pop on the free list, never longer.
//
// A Table never grows. When all slots are taken Acquire says so and the server
// answers CONNACK 0x03. A session has its slot for life, from one connection to the next.
type Table[C any] struct {
	slots []atomic.Pointer[occupant[C]] // nil: free

	mu          sync.Mutex
	free        []uint32 // guarded by mu; a stack, so that a warm slot is used first
	generations []uint32 // guarded by mu; of the latest occupant of each slot
	away        int      // guarded by mu; slots of clients that are away
	size        int      // immutable; clients that may be connected
	reserve     int      // immutable; and those that only a takeover may add
}

// occupant is the immutable pair behind a slot. Loading handle and connection as one
// value is what makes Resolve safe: to check a generation and then load a pointer
// would deliver one client's message to another.
type occupant[C any] struct {
	handle Handle
	conn   *C
}

// NewTable returns a table for size connected clients, plus a reserve that only a takeover may use: a client that
// comes back while its old connection still holds a slot must not be turned away from a full server. As many as away
// slots more are for the sessions of clients that are away. size must be positive, the others not negative.
func NewTable[C any](size, reserve, away int) *Table[C] {
	if size <= 0 || reserve < 0 || away < 0 {
		panic("session: a table needs at least one slot")
	}
	total := size + reserve + away
	t := &Table[C]{
		slots:       make([]atomic.Pointer[occupant[C]], total),
		free:        make([]uint32, total),
		generations: make([]uint32, total),
		size:        size,
		reserve:     reserve,
	}
	for i := range t.free {
		t.free[i] = uint32(total - 1 - i) // slot 0 on top
	}
	return t
}

// Acquire puts conn into a free slot and returns its handle. ok is false when as many clients are connected as may.
// takeover opens the reserve: the caller knows that the connection it replaces is about to go. Any goroutine may call
// it.
func (t *Table[C]) Acquire(conn *C, takeover bool) (h Handle, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	connected := t.connected()
	if len(t.free) == 0 || connected >= t.size+t.reserve || !takeover && connected >= t.size {
		return NoHandle, false
	}
	return t.occupy(conn), true
}

// AcquireAway puts conn, which stands for a client that is away, into a free slot. ok is false when there is none.
func (t *Table[C]) AcquireAway(conn *C) (h Handle, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.free) == 0 {
		return NoHandle, false
	}
	t.away++
	return t.occupy(conn), true
}

func (t *Table[C]) occupy(conn *C) Handle {
	slot := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	t.generations[slot]++
	if t.generations[slot] == 0 { // after 2^32 occupants; slot 0 would get NoHandle
		t.generations[slot] = 1
	}
	h := makeHandle(slot, t.generations[slot])
	t.slots[slot].Store(&occupant[C]{handle: h, conn: conn})
	return h
}

// Leave notes that the client of h is away. Its connection stays in the slot and stands for its session.
func (t *Table[C]) Leave(h Handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.check(h)
	t.away++
}

// Return puts the new connection of a client that was away into the slot of h.
func (t *Table[C]) Return(h Handle, conn *C) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.check(h)
	t.away--
	t.slots[h.Slot()].Store(&occupant[C]{handle: h, conn: conn})
}

// ReleaseAway is Release for the slot of a client that is away.
func (t *Table[C]) ReleaseAway(h Handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.release(h)
	t.away--
}

// Release frees the slot of h. From here on h resolves to nothing, for good. Releasing
// a handle that is not in use is our own bug and panics. Any goroutine may call it; by
// convention the loop that owns the connection does.
func (t *Table[C]) Release(h Handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.release(h)
}

func (t *Table[C]) release(h Handle) {
	t.check(h)
	t.slots[h.Slot()].Store(nil)
	t.free = append(t.free, h.Slot())
}

// check panics when h is not in use.
func (t *Table[C]) check(h Handle) {
	if o := t.slots[h.Slot()].Load(); o == nil || o.handle != h {
		panic("session: a handle that is not in use: " + h.String())
	}
}

// Resolve returns the connection that h names, or nil when it has gone. Any goroutine
// may call it. What other goroutines than the owning loop may do with the connection is
// the connection's to say.
func (t *Table[C]) Resolve(h Handle) *C {
	if o := t.slots[h.Slot()].Load(); o != nil && o.handle == h {
		return o.conn
	}
	return nil
}

// At returns the occupant of a slot, 0 <= slot < Slots, or NoHandle and nil when the slot is free. Any
// goroutine may call it; for the connection see Resolve.
func (t *Table[C]) At(slot int) (Handle, *C) {
	if o := t.slots[slot].Load(); o != nil {
		return o.handle, o.conn
	}
	return NoHandle, nil
}

// Slots returns how many slots there are, all reserves included.
func (t *Table[C]) Slots() int { return len(t.slots) }

// Size returns how many clients may be connected, without the reserve.
func (t *Table[C]) Size() int { return t.size }

// Len returns how many slots connected clients have. Any goroutine may call it.
func (t *Table[C]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.connected()
}

func (t *Table[C]) connected() int { return len(t.slots) - len(t.free) - t.away }

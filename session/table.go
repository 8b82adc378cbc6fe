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
// answers CONNACK 0x03.
type Table[C any] struct {
	slots []atomic.Pointer[occupant[C]] // nil: free

	mu          sync.Mutex
	free        []uint32 // guarded by mu; a stack, so that a warm slot is used first
	generations []uint32 // guarded by mu; of the latest occupant of each slot
	reserve     int      // immutable; slots that only a takeover may use
}

// occupant is the immutable pair behind a slot. Loading handle and connection as one
// value is what makes Resolve safe: to check a generation and then load a pointer
// would deliver one client's message to another.
type occupant[C any] struct {
	handle Handle
	conn   *C
}

// NewTable returns a table of size slots, plus reserve slots that only a takeover may
// use: a client that comes back while its old connection still holds a slot must not be
// turned away from a full server. size must be positive and reserve not negative.
func NewTable[C any](size, reserve int) *Table[C] {
	if size <= 0 || reserve < 0 {
		panic("session: a table needs at least one slot")
	}
	total := size + reserve
	t := &Table[C]{
		slots:       make([]atomic.Pointer[occupant[C]], total),
		free:        make([]uint32, total),
		generations: make([]uint32, total),
		reserve:     reserve,
	}
	for i := range t.free {
		t.free[i] = uint32(total - 1 - i) // slot 0 on top
	}
	return t
}

// Acquire puts conn into a free slot and returns its handle. ok is false when the
// table is full. takeover opens the reserve: the caller knows that the connection it
// replaces is about to release a slot. Any goroutine may call it.
func (t *Table[C]) Acquire(conn *C, takeover bool) (h Handle, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.free) == 0 || (!takeover && len(t.free) <= t.reserve) {
		return NoHandle, false
	}
	slot := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	t.generations[slot]++
	if t.generations[slot] == 0 { // after 2^32 occupants; slot 0 would get NoHandle
		t.generations[slot] = 1
	}
	h = makeHandle(slot, t.generations[slot])
	t.slots[slot].Store(&occupant[C]{handle: h, conn: conn})
	return h, true
}

// Release frees the slot of h. From here on h resolves to nothing, for good. Releasing
// a handle that is not in use is our own bug and panics. Any goroutine may call it; by
// convention the loop that owns the connection does.
func (t *Table[C]) Release(h Handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slot := h.Slot()
	if o := t.slots[slot].Load(); o == nil || o.handle != h {
		panic("session: release of a handle that is not in use: " + h.String())
	}
	t.slots[slot].Store(nil)
	t.free = append(t.free, slot)
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

// Slots returns how many slots there are, the reserve included.
func (t *Table[C]) Slots() int { return len(t.slots) }

// Size returns how many clients the table holds at most, without the reserve.
func (t *Table[C]) Size() int { return len(t.slots) - t.reserve }

// Len returns how many slots are taken. Any goroutine may call it.
func (t *Table[C]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.slots) - len(t.free)
}

package session

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// client stands for a connection.
type client struct {
	handle Handle // set before the handle is shared, as the reactor does
}

// enter puts a new client into the table.
func enter(t testing.TB, table *Table[client], takeover bool) *client {
	t.Helper()
	c := new(client)
	h, ok := table.Acquire(c, takeover)
	require.True(t, ok)
	c.handle = h
	return c
}

func TestTableGivesHandles(t *testing.T) {
	table := NewTable[client](3, 0, 0)
	a, b := enter(t, table, false), enter(t, table, false)
	assert.Equal(t, makeHandle(0, 1), a.handle)
	assert.Equal(t, makeHandle(1, 1), b.handle)
	assert.Same(t, a, table.Resolve(a.handle))
	assert.Same(t, b, table.Resolve(b.handle))
	assert.Equal(t, 2, table.Len())
	assert.Equal(t, 3, table.Size())
}

// The next occupant of a slot has another handle, and the old one resolves to nothing.
func TestStaleHandles(t *testing.T) {
	table := NewTable[client](1, 0, 0)
	var stale []Handle
	for generation := uint32(1); generation <= 5; generation++ {
		c := enter(t, table, false)
		assert.Equal(t, makeHandle(0, generation), c.handle)
		assert.Same(t, c, table.Resolve(c.handle))
		for _, h := range stale {
			assert.Nil(t, table.Resolve(h), h)
			assert.Panics(t, func() { table.Release(h) }, "%s is not in use", h)
		}
		assert.Same(t, c, table.Resolve(c.handle), "releasing a stale handle changes nothing")
		table.Release(c.handle)
		assert.Nil(t, table.Resolve(c.handle), "the slot is free")
		stale = append(stale, c.handle)
	}
	assert.Nil(t, table.Resolve(NoHandle))
	assert.Nil(t, table.Resolve(makeHandle(0, 6)), "a generation to come")
}

// A generation has 32 bits. When they are used up none is 0: slot 0 of it is NoHandle.
func TestGenerationsNeverMakeNoHandle(t *testing.T) {
	table := NewTable[client](1, 0, 0)
	table.generations[0] = math.MaxUint32 - 1
	last := enter(t, table, false)
	assert.EqualValues(t, math.MaxUint32, last.handle.Generation())
	table.Release(last.handle)
	next := enter(t, table, false)
	assert.Equal(t, makeHandle(0, 1), next.handle)
	assert.Same(t, next, table.Resolve(next.handle))
	assert.Nil(t, table.Resolve(last.handle))
	assert.Nil(t, table.Resolve(NoHandle))
}

func TestFullTable(t *testing.T) {
	table := NewTable[client](2, 0, 0)
	a, b := enter(t, table, false), enter(t, table, true)
	for _, takeover := range []bool{false, true} {
		h, ok := table.Acquire(new(client), takeover)
		assert.False(t, ok, "takeover %t", takeover)
		assert.Equal(t, NoHandle, h)
	}
	assert.Equal(t, 2, table.Len())
	assert.Same(t, a, table.Resolve(a.handle))
	assert.Same(t, b, table.Resolve(b.handle))
	table.Release(a.handle)
	assert.Equal(t, a.handle.Slot(), enter(t, table, false).handle.Slot())
}

func TestReserveIsForTakeovers(t *testing.T) {
	table := NewTable[client](2, 1, 0)
	assert.Equal(t, 2, table.Size(), "without the reserve")
	old, other := enter(t, table, false), enter(t, table, false)
	_, ok := table.Acquire(new(client), false)
	assert.False(t, ok, "a newcomer")
	successor := enter(t, table, true)
	assert.Equal(t, 3, table.Len())
	_, ok = table.Acquire(new(client), true)
	assert.False(t, ok, "the reserve is used up")

	table.Release(old.handle)
	_, ok = table.Acquire(new(client), false)
	assert.False(t, ok, "the successor has the place of the old one")
	again := enter(t, table, true)
	table.Release(again.handle)
	table.Release(other.handle)
	assert.Same(t, successor, table.Resolve(successor.handle))
	enter(t, table, false)
	assert.Equal(t, 2, table.Len())
}

func TestTheSlotUsedLastIsUsedNext(t *testing.T) {
	table := NewTable[client](4, 0, 0)
	var clients []*client
	for i := range uint32(4) {
		c := enter(t, table, false)
		assert.Equal(t, i, c.handle.Slot(), "slots of a new table in order")
		clients = append(clients, c)
	}
	for _, slot := range []int{1, 3, 0} {
		table.Release(clients[slot].handle)
	}
	for _, slot := range []uint32{0, 3, 1} {
		assert.Equal(t, makeHandle(slot, 2), enter(t, table, false).handle)
	}
}

func TestReleaseTwicePanics(t *testing.T) {
	table := NewTable[client](2, 0, 0)
	c := enter(t, table, false)
	table.Release(c.handle)
	for _, h := range []Handle{c.handle, NoHandle, makeHandle(1, 1), makeHandle(0, 2)} {
		assert.PanicsWithValue(t, "session: a handle that is not in use: "+h.String(), func() { table.Release(h) })
	}
	assert.Zero(t, table.Len())
	a, b := enter(t, table, false), enter(t, table, false)
	assert.NotEqual(t, a.handle.Slot(), b.handle.Slot(), "no slot is free twice")
}

func TestNewTableRefusesSizes(t *testing.T) {
	for _, c := range []struct{ size, reserve int }{{0, 0}, {-1, 0}, {0, 5}, {1, -1}} {
		assert.Panics(t, func() { NewTable[client](c.size, c.reserve, 0) }, "%+v", c)
	}
}

func TestResolveDoesNotAllocate(t *testing.T) {
	table := NewTable[client](1, 0, 0)
	c := enter(t, table, false)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		_ = table.Resolve(c.handle)
		_ = table.Resolve(NoHandle)
	}))
}

// Whatever comes and goes meanwhile, a handle resolves to its own client or to nothing: the
// bytes for one client never reach the next one in its slot.
func TestResolveConcurrently(t *testing.T) {
	const size, workers, rounds = 4, 4, 3000
	table := NewTable[client](size, 1, 0)
	var latest [size + 1]atomic.Uint64 // handles, by slot
	var working, resolving sync.WaitGroup
	var done atomic.Bool
	for range 2 {
		resolving.Go(func() {
			for !done.Load() {
				for slot := range latest {
					h := Handle(latest[slot].Load())
					if c := table.Resolve(h); c != nil && c.handle != h {
						t.Errorf("%s resolves to %s", h, c.handle)
					}
				}
			}
		})
	}
	for w := range workers {
		working.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 0))
			var mine []*client
			for range rounds {
				if len(mine) > 0 && random.IntN(2) == 0 {
					c := mine[len(mine)-1]
					mine = mine[:len(mine)-1]
					if table.Resolve(c.handle) != c {
						t.Errorf("%s does not resolve to its client", c.handle)
					}
					table.Release(c.handle)
					if table.Resolve(c.handle) != nil {
						t.Errorf("%s resolves after its release", c.handle)
					}
					continue
				}
				c := new(client)
				if h, ok := table.Acquire(c, random.IntN(2) == 0); ok {
					c.handle = h
					latest[h.Slot()].Store(uint64(h))
					mine = append(mine, c)
				}
			}
			for _, c := range mine {
				table.Release(c.handle)
			}
		})
	}
	working.Wait()
	done.Store(true)
	resolving.Wait()
	assert.Zero(t, table.Len())
	assert.Len(t, table.free, size+1)
}

func BenchmarkResolve(b *testing.B) {
	table := NewTable[client](1000, 0, 0)
	var handles []Handle
	for range 1000 {
		handles = append(handles, enter(b, table, false).handle)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if table.Resolve(handles[i%len(handles)]) == nil {
			b.Fatal("gone")
		}
	}
}

func BenchmarkAcquireRelease(b *testing.B) {
	table := NewTable[client](10_000, 0, 0)
	c := new(client)
	b.ReportAllocs()
	for b.Loop() {
		h, _ := table.Acquire(c, false)
		table.Release(h)
	}
}

func TestTableAt(t *testing.T) {
	table := NewTable[client](2, 1, 0)
	assert.Equal(t, 3, table.Slots(), "the reserve included")
	a, b := enter(t, table, false), enter(t, table, false)
	table.Release(a.handle)
	h, c := table.At(0)
	assert.Equal(t, NoHandle, h)
	assert.Nil(t, c)
	h, c = table.At(1)
	assert.Equal(t, b.handle, h)
	assert.Same(t, b, c)
}

// A client that is away keeps its slot and its handle, and needs no place of those who are connected.
func TestAwayKeepsTheSlot(t *testing.T) {
	table := NewTable[client](1, 0, 2)
	assert.Equal(t, []int{1, 3}, []int{table.Size(), table.Slots()})
	first := enter(t, table, false)
	table.Leave(first.handle)
	assert.Zero(t, table.Len())
	assert.Same(t, first, table.Resolve(first.handle), "it stands for the session")

	second := enter(t, table, false)
	assert.NotEqual(t, first.handle.Slot(), second.handle.Slot())
	assert.Equal(t, 1, table.Len())
	_, ok := table.Acquire(new(client), false)
	assert.False(t, ok, "there is a slot, but not for one more client")

	table.Leave(second.handle)
	back := enter(t, table, false) // a slot for the time until its session is found
	table.Release(back.handle)
	again := &client{handle: first.handle}
	table.Return(first.handle, again)
	assert.Equal(t, 1, table.Len())
	assert.Same(t, again, table.Resolve(first.handle))
	assert.Nil(t, table.Resolve(back.handle))
	assert.Same(t, second, table.Resolve(second.handle))

	table.ReleaseAway(second.handle)
	assert.Nil(t, table.Resolve(second.handle))
	table.Release(again.handle)
	assert.Zero(t, table.Len())
	assert.Len(t, table.free, table.Slots())
	assert.Panics(t, func() { table.Leave(again.handle) })
	assert.Panics(t, func() { table.Return(again.handle, again) })
	assert.Panics(t, func() { table.ReleaseAway(again.handle) })
}

// When a broker starts it has the sessions of many clients that are away. Who is connected has its slots all the
// same, and who takes over the reserve.
func TestAwayLeavesRoomForTheConnected(t *testing.T) {
	table := NewTable[client](2, 1, 3)
	var away []*client
	for range 3 {
		c := new(client)
		h, ok := table.AcquireAway(c)
		require.True(t, ok)
		c.handle = h
		away = append(away, c)
	}
	assert.Zero(t, table.Len())
	enter(t, table, false)
	enter(t, table, false)
	_, ok := table.Acquire(new(client), false)
	assert.False(t, ok)
	enter(t, table, true)
	_, ok = table.Acquire(new(client), true)
	assert.False(t, ok, "no slot is free")
	_, ok = table.AcquireAway(new(client))
	assert.False(t, ok)
	assert.Equal(t, 3, table.Len())
	table.ReleaseAway(away[0].handle)
	_, ok = table.Acquire(new(client), true)
	assert.False(t, ok, "a slot of those that are away is not for the connected")
	_, ok = table.AcquireAway(new(client))
	assert.True(t, ok)
	for slot := range table.Slots() {
		h, c := table.At(slot)
		assert.NotNil(t, c)
		assert.Equal(t, slot, int(h.Slot()))
	}
}

package session

import "fmt"

// Handle names one occupant of one slot: the slot's index and the generation of
// its use. A handle outlives its occupant safely: once the slot is released the
// generation moves on and the handle resolves to nothing, so bytes meant for one
// client cannot reach the next one in the same slot.
//
//	bits 63..32  generation, 1 for a slot's first occupant; never 0
//	bits 31..0   slot index
type Handle uint64

// NoHandle is the zero Handle. No occupant ever has it.
const NoHandle Handle = 0

func makeHandle(slot, generation uint32) Handle {
	return Handle(uint64(generation)<<32 | uint64(slot))
}

// Slot returns the index of the slot, 0 <= Slot < Table.Size.
func (h Handle) Slot() uint32 { return uint32(h) }

// Generation returns how many occupants the slot had up to and including this one. It
// starts again at 1 after 2^32-1 of them.
func (h Handle) Generation() uint32 { return uint32(h >> 32) }

// String returns "slot.generation", for logs.
func (h Handle) String() string { return fmt.Sprintf("%d.%d", h.Slot(), h.Generation()) }

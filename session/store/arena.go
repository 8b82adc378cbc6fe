package store

// arena lends memory for the records of one transaction. It belongs to the writer.
type arena struct {
	chunk []byte
	used  int
}

const arenaChunk = 256 << 10

// take returns n bytes, all zero or left from before, that are the caller's until reset.
func (a *arena) take(n int) []byte {
	if n > arenaChunk/4 {
		return make([]byte, n)
	}
	if a.used+n > len(a.chunk) { // who has bytes of the old chunk keeps it in memory
		a.chunk, a.used = make([]byte, arenaChunk), 0
	}
	taken := a.chunk[a.used : a.used+n : a.used+n]
	a.used += n
	return taken
}

// reset takes all bytes back.
func (a *arena) reset() { a.used = 0 }

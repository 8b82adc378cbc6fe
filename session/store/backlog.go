package store

import "time"

// backlog holds retained messages that nobody waits for while they are saved, in portions, whenever there is nothing
// else to save. It belongs to the writer.
type backlog struct {
	changes map[uint64]retainedChange
	unsaved []uint64 // keys of changes that are not on disk, in order, and of some that were superseded
	rested  time.Time
}

func newBacklog(changes map[uint64]retainedChange) backlog {
	return backlog{changes: changes, unsaved: sortedKeys(changes)}
}

// next returns when the next portion is to be saved, nil: there is none.
func (b *backlog) next() <-chan time.Time {
	if len(b.unsaved) == 0 {
		return nil
	}
	return time.After(time.Until(b.rested))
}

// supersede forgets what newer changes, which are about to be saved, make obsolete, and returns how much that is.
func (b *backlog) supersede(newer map[uint64]retainedChange) (changes int, bytes int64) {
	if len(b.changes) == 0 {
		return 0, 0
	}
	for number := range newer {
		if old, known := b.changes[number]; known {
			delete(b.changes, number)
			changes++
			bytes += int64(len(old.packet))
		}
	}
	return changes, bytes
}

// remaining returns what of the numbers was not superseded.
func (b *backlog) remaining(numbers []uint64) []uint64 {
	there := make([]uint64, 0, len(numbers))
	for _, number := range numbers {
		if _, known := b.changes[number]; known {
			there = append(there, number)
		}
	}
	return there
}

// saved forgets a portion that is on disk and returns how much it was. The next one follows when the writer has
// rested.
func (b *backlog) saved(portion []uint64, rested time.Time) (changes int, bytes int64) {
	for _, number := range portion {
		if c, known := b.changes[number]; known {
			delete(b.changes, number)
			changes++
			bytes += int64(len(c.packet))
		}
	}
	b.unsaved, b.rested = b.unsaved[len(portion):], rested
	return changes, bytes
}

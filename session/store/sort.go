package store

import (
	"cmp"
	"runtime"
	"slices"
)

// sortedKeys returns the keys of m in order, and lets other goroutines run meanwhile.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	return sorted(m, cmp.Compare[K])
}

func sortedQueued(m map[queuedKey]queuedChange) []queuedKey {
	return sorted(m, func(a, b queuedKey) int {
		if a.flow != b.flow {
			return cmp.Compare(a.flow, b.flow)
		}
		return cmp.Compare(a.seq, b.seq)
	})
}

// sortBreath is how many comparisons, of about 50 ns, are made at a time. (chosen)
const sortBreath = 1024

func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	if len(m) == 0 {
		return nil
	}
	keys := make([]K, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	steps := 0
	slices.SortFunc(keys, func(a, b K) int {
		if steps++; steps%sortBreath == 0 {
			runtime.Gosched()
		}
		return compare(a, b)
	})
	return keys
}

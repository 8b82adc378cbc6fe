package bench

import "slices"

// gapsMax bounds the ranges remembered for one subscriber of one publisher; chosen. Beyond it the
// older half is forgotten: what arrives of it later counts as duplicate, and stays lost.
const gapsMax = 1024

// span is a range of sequence numbers, from <= n < to.
type span struct{ from, to uint64 }

// gaps are the sequence numbers that one subscriber did not receive, although it received a later
// one. Spans are disjoint, not empty and ascending.
type gaps struct{ spans []span }

// add appends a range that lies above all others.
func (g *gaps) add(from, to uint64) {
	if len(g.spans) == gapsMax {
		g.spans = slices.Delete(g.spans, 0, gapsMax/2)
	}
	g.spans = append(g.spans, span{from, to})
}

// fill takes one number out and reports whether it was missing.
func (g *gaps) fill(n uint64) bool {
	i, found := g.find(n)
	if !found {
		return false
	}
	s := g.spans[i]
	switch {
	case s.from == n && s.to == n+1:
		g.spans = slices.Delete(g.spans, i, i+1)
	case s.from == n:
		g.spans[i].from++
	case s.to == n+1:
		g.spans[i].to--
	default:
		g.spans = slices.Replace(g.spans, i, i+1, span{s.from, n}, span{n + 1, s.to})
	}
	return true
}

// holds reports whether a number is missing.
func (g *gaps) holds(n uint64) bool {
	_, found := g.find(n)
	return found
}

// find returns the place of the span that holds a number.
func (g *gaps) find(n uint64) (int, bool) {
	return slices.BinarySearchFunc(g.spans, n, func(s span, n uint64) int {
		switch {
		case s.to <= n:
			return -1
		case s.from > n:
			return 1
		}
		return 0
	})
}

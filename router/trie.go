package router

import "strings"

// trie holds the filters of one shard that have a wildcard, by level. It is guarded by its
// shard's mutex.
//
// Literal children of all nodes stand in one map keyed by (parent, level): a filter costs
// one small node per level it does not share, not a map per node.
type trie struct {
	root  node
	edges map[edge]*node
}

type edge struct {
	parent *node
	level  string
}

type node struct {
	parent   *node
	level    string // of the edge that leads here
	children int    // literal children, plus the `+` child
	plus     *node  // child for `+`
	sole     *node  // the literal child, while no other came since it did; it stands in edges too
	entry    *entry // filter that ends here
	hash     *entry // filter that ends in `#` here
}

func newTrie() trie { return trie{edges: make(map[edge]*node)} }

// entryAt returns where the entry of filter hangs, making the way there.
func (t *trie) entryAt(filter string) (*node, **entry) {
	n := &t.root
	for more := true; more; {
		var level string
		level, filter, more = strings.Cut(filter, "/")
		if level == "#" {
			return n, &n.hash
		}
		n = t.child(n, level)
	}
	return n, &n.entry
}

func (t *trie) child(n *node, level string) *node {
	if level == "+" {
		if n.plus == nil {
			n.plus = &node{parent: n, level: level}
			n.children++
		}
		return n.plus
	}
	e := edge{n, level}
	c := t.edges[e]
	if c == nil {
		e.level = strings.Clone(level) // a node may outlive the filter that made it
		c = &node{parent: n, level: e.level}
		t.edges[e] = c
		n.children++
		n.sole = nil
		if n.literals() == 1 {
			n.sole = c
		}
	}
	return c
}

// prune removes n and its parents as far as nothing hangs on them.
func (t *trie) prune(n *node) {
	for n.parent != nil && n.children == 0 && n.entry == nil && n.hash == nil {
		parent := n.parent
		if parent.plus == n {
			parent.plus = nil
		} else {
			delete(t.edges, edge{parent, n.level})
			parent.sole = nil
		}
		parent.children--
		n = parent
	}
}

// match appends the entries whose filters match topic. It goes level by level with the
// set of nodes reached so far, so its depth is bounded by the topic's levels and its work
// by the nodes that match a beginning of the topic. Whether a `$` topic may match a leading
// wildcard is the router's concern.
func (t *trie) match(topic []byte, dst []*entry, scratch *matchScratch) []*entry {
	if len(t.edges) == 0 && t.root.children == 0 && t.root.hash == nil {
		return dst
	}
	reached, next := append(scratch.reached[:0], &t.root), scratch.next[:0]
	for more := true; more && len(reached) > 0; {
		var level []byte
		level, topic, more = cutLevel(topic)
		for _, n := range reached {
			if n.hash != nil {
				dst = append(dst, n.hash)
			}
			if n.plus != nil {
				next = append(next, n.plus)
			}
			if c := t.literal(n, level); c != nil {
				next = append(next, c)
			}
		}
		reached, next = next, reached[:0]
	}
	for _, n := range reached {
		if n.entry != nil {
			dst = append(dst, n.entry)
		}
		if n.hash != nil { // `sport/#` matches `sport`
			dst = append(dst, n.hash)
		}
	}
	scratch.reached, scratch.next = reached[:0], next[:0]
	return dst
}

// literal returns the child of n for a level, nil if there is none. Most nodes of deep filters have one child: a
// look at the map would cost more than all else.
func (t *trie) literal(n *node, level []byte) *node {
	switch {
	case n.sole != nil:
		if n.sole.level == string(level) {
			return n.sole
		}
		return nil
	case n.literals() == 0:
		return nil
	default:
		return t.edges[edge{n, string(level)}]
	}
}

// literals returns how many literal children n has.
func (n *node) literals() int {
	if n.plus != nil {
		return n.children - 1
	}
	return n.children
}

// matchScratch is reusable space for match.
type matchScratch struct {
	reached, next []*node
}

// cutLevel splits b around its first `/`.
func cutLevel(b []byte) (level, rest []byte, more bool) {
	for i := range b {
		if b[i] == '/' {
			return b[:i], b[i+1:], true
		}
	}
	return b, nil, false
}

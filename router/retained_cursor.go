package router

import (
	"hash/maphash"
	"strings"
)

// Cursor visits the retained messages that match a filter, a piece at a time. Only one goroutine
// may call its methods; others may change the store meanwhile, from call to call it holds no lock.
//
// It goes through the tree of topics depth first and keeps nothing but its place: the node that comes
// next, which is pinned, so that it and those above it stay where they are. What comes after a node is
// found from the node itself. Nodes that are added while the cursor is on its way are the first among
// their siblings, so the rest of a list of siblings never grows.
type Cursor struct {
	store    *Retained // immutable
	levels   []string  // immutable; of the filter, without the `#`
	subtree  bool      // immutable; the filter ends in `#`
	sequence uint64    // immutable; of the last message that may be visited

	shard     int        // where the place is
	lastShard int        // immutable
	place     *topicNode // the next to look at; nil: none
	depth     int        // of place: 0 is the root of a shard, 1 a first level
}

// Cursor returns a cursor over the messages of all topics that match filter [MQTT-3.3.1-6]. Topics that
// begin with `$` do not match a filter that begins with a wildcard [MQTT-4.7.2-1]. The filter must be
// valid (codec.CheckTopicFilter) and is kept. Close must be called, unless Next has said that it is done.
//
// Only messages stored before this call are visited. A subscriber that calls it after Router.Subscribe
// has returned misses nothing: who publishes stores first and asks for the route then, so that the route
// of a message stored after this call has the subscriber in it.
func (r *Retained) Cursor(filter string) *Cursor { return r.CursorAt(filter, r.Sequence()) }

// Sequence returns the sequence number of the latest message stored.
func (r *Retained) Sequence() uint64 { return r.sequence.Load() }

// CursorAt returns a cursor that visits the messages up to a sequence number.
func (r *Retained) CursorAt(filter string, sequence uint64) *Cursor {
	c := &Cursor{store: r, levels: strings.Split(filter, "/"), sequence: sequence}
	if last := len(c.levels) - 1; c.levels[last] == "#" {
		c.levels, c.subtree = c.levels[:last], true
	}
	if c.wild(0) {
		c.lastShard = shardCount - 1
	} else {
		c.shard = int(maphash.String(r.seed, c.levels[0]) % shardCount)
		c.lastShard = c.shard
	}
	c.place = &r.shards[c.shard].root
	return c
}

// Next appends messages to dst until it has looked at nodesMax nodes of the tree, or there are no
// more: then it is done. A topic's message is visited once, unless it is replaced or cleared before its
// turn comes.
func (c *Cursor) Next(dst []*RetainedMessage, nodesMax int) (page []*RetainedMessage, done bool) {
	for c.place != nil && nodesMax > 0 {
		dst, nodesMax = c.walk(dst, nodesMax)
	}
	return dst, c.place == nil
}

// Close gives up the cursor's place. Next returns nothing any more.
func (c *Cursor) Close() {
	if c.place != nil {
		c.store.unpin(&c.store.shards[c.shard], c.place)
		c.place = nil
	}
}

// walk looks at no more than nodesMax nodes of one shard and returns how many it has left.
func (c *Cursor) walk(dst []*RetainedMessage, nodesMax int) ([]*RetainedMessage, int) {
	s := &c.store.shards[c.shard]
	from, n, depth := c.place, c.place, c.depth
	s.mu.RLock()
	for ; n != nil && nodesMax > 0; nodesMax-- {
		hidden := depth == 1 && c.wild(0) && strings.HasPrefix(n.level, "$")
		if m := n.message; m != nil && !hidden && c.matches(depth) && m.sequence <= c.sequence {
			dst = append(dst, m)
		}
		if child := c.child(s, n, depth); child != nil && !hidden {
			n, depth = child, depth+1
		} else {
			n, depth = c.beside(n, depth)
		}
	}
	if n != nil { // not the root: that comes first
		n.pins.Add(1)
	}
	s.mu.RUnlock()
	c.store.unpin(s, from)

	if n == nil && c.shard < c.lastShard {
		c.shard++
		n, depth = &c.store.shards[c.shard].root, 0
	}
	c.place, c.depth = n, depth
	return dst, nodesMax
}

// wild reports whether a wildcard stands for the i-th level of a topic.
func (c *Cursor) wild(i int) bool { return i >= len(c.levels) || c.levels[i] == "+" }

// matches reports whether a node that was reached is one of a topic that matches, not only on the way
// to one. `sport/#` matches `sport`.
func (c *Cursor) matches(depth int) bool {
	return depth == len(c.levels) || depth > len(c.levels) && c.subtree
}

// child returns the first child of n to go to, nil if there is none. s is locked.
func (c *Cursor) child(s *retainedShard, n *topicNode, depth int) *topicNode {
	switch {
	case depth < len(c.levels) && c.levels[depth] != "+":
		return s.edges[topicEdge{n, c.levels[depth]}]
	case depth < len(c.levels) || c.subtree:
		return n.first
	}
	return nil
}

// beside returns the node that comes after n and all below it, nil if there is none.
func (c *Cursor) beside(n *topicNode, depth int) (*topicNode, int) {
	for ; n.parent != nil; n, depth = n.parent, depth-1 {
		if n.next != nil && c.wild(depth-1) {
			return n.next, depth
		}
	}
	return nil, 0
}

// unpin takes a cursor off n, and n out of the tree if it was kept for the cursor only. A root has no
// pins and needs none.
func (r *Retained) unpin(s *retainedShard, n *topicNode) {
	if n.parent == nil {
		return
	}
	s.mu.RLock()
	bare := n.bare()
	if !bare {
		n.pins.Add(-1) // who makes it bare later, with the lock for writing, prunes it
	}
	s.mu.RUnlock()
	if !bare {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n.pins.Add(-1)
	r.bytes.Add(-int64(s.prune(n) * r.nodeBytes))
}

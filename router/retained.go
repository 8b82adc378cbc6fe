package router

import (
	"bytes"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// Default limits of a Retained store. At either limit a message for a topic that has none
// is not retained; Store says so.
const (
	RetainedMessagesMax = 1_000_000
	RetainedBytesMax    = 256 << 20
)

// RetainedMessage is the retained message of a topic as the bytes that go out to a new
// subscriber: a whole PUBLISH packet with RETAIN set. Any goroutine may call its methods.
type RetainedMessage struct {
	packet []byte // immutable
	gone   atomic.Bool
}

// Packet returns the packet. The caller must not change it.
func (m *RetainedMessage) Packet() []byte { return m.packet }

// Current reports whether the message is still retained: not replaced, and not cleared.
func (m *RetainedMessage) Current() bool { return !m.gone.Load() }

// Retained holds the retained messages. Any goroutine may call its methods.
type Retained struct {
	messagesMax, bytesMax int64 // immutable
	nodeBytes             int   // immutable; topicNodeBytes, but in tests that count packets only

	seed     maphash.Seed
	shards   [shardCount]retainedShard // by the first level of the topic
	messages atomic.Int64
	bytes    atomic.Int64 // of packets, and topicNodeBytes for each node
}

// topicNodeBytes is what a level of a topic costs in memory, with its place in the map. (measured:
// 140 to 180)
const topicNodeBytes = 160

// retainedShard is a tree of topics, level by level.
type retainedShard struct {
	mu    sync.RWMutex
	root  topicNode                // guarded by mu
	edges map[topicEdge]*topicNode // guarded by mu; how to find a child
}

type topicEdge struct {
	parent *topicNode
	level  string
}

// topicNode is one level of a topic. Its children form a list, so that a wildcard can visit
// them; edges finds one of them.
type topicNode struct {
	parent     *topicNode
	level      string
	message    *RetainedMessage // nil: none retained for this very topic
	first      *topicNode
	next, prev *topicNode
}

// NewRetained returns an empty store with the given limits.
func NewRetained(messagesMax, bytesMax int) *Retained {
	r := &Retained{
		messagesMax: int64(messagesMax),
		bytesMax:    int64(bytesMax),
		nodeBytes:   topicNodeBytes,
		seed:        maphash.MakeSeed(),
	}
	for i := range r.shards {
		r.shards[i].edges = make(map[topicEdge]*topicNode)
	}
	return r
}

// Len returns how many messages are retained.
func (r *Retained) Len() int { return int(r.messages.Load()) }

// Bytes returns the size of the retained packets together, and of the tree they hang on.
func (r *Retained) Bytes() int { return int(r.bytes.Load()) }

// Store makes packet the retained message of topic in place of the one before
// [MQTT-3.3.1-5]. It keeps packet, which must not change any more, and not topic. It returns
// false at a limit: then the older message, which is no longer the newest, is gone too.
func (r *Retained) Store(topic, packet []byte) bool {
	s := r.shard(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, missing := s.find(topic)
	messages, size := int64(1), int64(len(packet)+missing*r.nodeBytes)
	if n != nil && n.message != nil {
		messages, size = 0, size-int64(len(n.message.packet))
	}
	if !r.reserve(messages, size) {
		r.forget(s, n)
		return false
	}
	if n == nil {
		n = s.make(topic)
	}
	n.replace(&RetainedMessage{packet: packet})
	return true
}

func (n *topicNode) replace(m *RetainedMessage) {
	if n.message != nil {
		n.message.gone.Store(true)
	}
	n.message = m
}

// reserve counts a message in, unless that would pass a limit.
func (r *Retained) reserve(messages, bytes int64) bool {
	if !addWithin(&r.messages, messages, r.messagesMax) {
		return false
	}
	if !addWithin(&r.bytes, bytes, r.bytesMax) {
		r.messages.Add(-messages)
		return false
	}
	return true
}

// addWithin adds delta to n, unless that would pass limit: then n never shows it, so that a
// message too large cannot make another goroutine's, which fits, be refused.
func addWithin(n *atomic.Int64, delta, limit int64) bool {
	for {
		before := n.Load()
		if delta > 0 && before+delta > limit {
			return false
		}
		if n.CompareAndSwap(before, before+delta) {
			return true
		}
	}
}

// Clear removes the retained message of topic, if any [MQTT-3.3.1-10].
func (r *Retained) Clear(topic []byte) {
	s := r.shard(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, _ := s.find(topic)
	r.forget(s, n)
}

// forget removes the message of a node. n is nil when the topic has no node.
func (r *Retained) forget(s *retainedShard, n *topicNode) {
	if n == nil || n.message == nil {
		return
	}
	size := len(n.message.packet)
	n.replace(nil)
	size += s.prune(n) * r.nodeBytes
	r.messages.Add(-1)
	r.bytes.Add(-int64(size))
}

// Match appends the retained messages of all topics that match filter [MQTT-3.3.1-6]. Topics that
// begin with `$` do not match a filter that begins with a wildcard [MQTT-4.7.2-1].
func (r *Retained) Match(filter string, dst []*RetainedMessage) []*RetainedMessage {
	if r.Len() == 0 {
		return dst
	}
	level, _, _ := strings.Cut(filter, "/")
	if level != "+" && level != "#" {
		return r.shards[maphash.String(r.seed, level)%shardCount].match(filter, dst)
	}
	for i := range r.shards {
		dst = r.shards[i].match(filter, dst)
	}
	return dst
}

func (r *Retained) shard(topic []byte) *retainedShard {
	level, _, _ := cutLevel(topic)
	return &r.shards[maphash.Bytes(r.seed, level)%shardCount]
}

// find returns the node of topic. Without one it is nil, and missing is how many nodes make would
// add.
func (s *retainedShard) find(topic []byte) (n *topicNode, missing int) {
	n = &s.root
	for more := true; more; {
		var level []byte
		rest := topic
		level, topic, more = cutLevel(topic)
		if n = s.edges[topicEdge{n, string(level)}]; n == nil {
			return nil, 1 + bytes.Count(rest, []byte{'/'})
		}
	}
	return n, 0
}

// make returns the node of topic, adding what is missing on the way.
func (s *retainedShard) make(topic []byte) *topicNode {
	n := &s.root
	for more := true; more; {
		var level []byte
		level, topic, more = cutLevel(topic)
		child := s.edges[topicEdge{n, string(level)}]
		if child == nil { // with its own copy of the level: it may outlive this topic
			child = &topicNode{parent: n, level: string(level), next: n.first}
			if n.first != nil {
				n.first.prev = child
			}
			n.first = child
			s.edges[topicEdge{n, child.level}] = child
		}
		n = child
	}
	return n
}

// prune removes n and its parents as far as they hold no message and no child, and returns how
// many it removed.
func (s *retainedShard) prune(n *topicNode) (removed int) {
	for n.parent != nil && n.message == nil && n.first == nil {
		removed++
		delete(s.edges, topicEdge{n.parent, n.level})
		if n.prev != nil {
			n.prev.next = n.next
		} else {
			n.parent.first = n.next
		}
		if n.next != nil {
			n.next.prev = n.prev
		}
		n = n.parent
	}
	return removed
}

// match appends the messages below the nodes that filter leads to, going level by level with
// the set of nodes reached so far.
func (s *retainedShard) match(filter string, dst []*RetainedMessage) []*RetainedMessage {
	s.mu.RLock()
	defer s.mu.RUnlock()
	reached := []*topicNode{&s.root}
	for more := true; more && len(reached) > 0; {
		var level string
		level, filter, more = strings.Cut(filter, "/")
		if level == "#" {
			return appendTrees(dst, reached)
		}
		var next []*topicNode
		for _, n := range reached {
			if level != "+" {
				if c := s.edges[topicEdge{n, level}]; c != nil {
					next = append(next, c)
				}
				continue
			}
			for c := n.first; c != nil; c = c.next {
				if !c.hidden() {
					next = append(next, c)
				}
			}
		}
		reached = next
	}
	for _, n := range reached {
		if n.message != nil {
			dst = append(dst, n.message)
		}
	}
	return dst
}

// hidden reports whether n is a first level that wildcards do not match.
func (n *topicNode) hidden() bool {
	return n.parent.parent == nil && strings.HasPrefix(n.level, "$")
}

// appendTrees appends the messages of the nodes and of everything below them. It walks
// without recursion: a topic's depth is the client's choice.
func appendTrees(dst []*RetainedMessage, nodes []*topicNode) []*RetainedMessage {
	for len(nodes) > 0 {
		n := nodes[len(nodes)-1]
		nodes = nodes[:len(nodes)-1]
		if n.message != nil { // `sport/#` matches `sport`
			dst = append(dst, n.message)
		}
		for c := n.first; c != nil; c = c.next {
			if !c.hidden() {
				nodes = append(nodes, c)
			}
		}
	}
	return dst
}

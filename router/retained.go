package router

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Default limits of a Retained store. At either limit a message for a topic that has none
// is not retained; Store says so.
const (
	RetainedMessagesMax = 1_000_000
	RetainedBytesMax    = 256 << 20
)

// RetainedMessage is the retained message of a topic: a whole PUBLISH packet of QoS 0 with RETAIN set, in whose first
// byte stands the QoS at which it was published. Any goroutine may call its methods.
type RetainedMessage struct {
	packet   atomic.Pointer[[]byte] // to immutable bytes; nil once the message was replaced or cleared
	sequence uint64                 // immutable; see Retained.sequence
	number   uint64                 // immutable; see Keeper
}

// Packet returns the packet, which the caller must not change, or nil if the message is no longer
// retained: it was replaced or cleared. Who holds a message so keeps no packet in memory that the
// store does not count any more.
func (m *RetainedMessage) Packet() []byte {
	if packet := m.packet.Load(); packet != nil {
		return *packet
	}
	return nil
}

// Retained holds the retained messages. Any goroutine may call its methods.
type Retained struct {
	// Dropped, unless nil, is told of each packet that is no longer retained, with a lock held. It is set before there
	// are messages, and immutable then.
	Dropped func(packet []byte)

	messagesMax, bytesMax atomic.Int64
	nodeBytes             int // immutable; topicNodeBytes, but in tests that count packets only

	seed     maphash.Seed
	shards   [shardCount]retainedShard // by the first level of the topic
	messages atomic.Int64
	bytes    atomic.Int64 // of packets, and topicNodeBytes for each node

	// sequence numbers the messages in the order in which they were stored. It is counted up under the
	// lock of the message's shard: who reads it, and locks the shard later, finds there all messages
	// up to the number read.
	sequence atomic.Uint64
}

// Keeper is told of each change of the messages, in the order of a topic's changes and with a lock held: it must not
// take long. A topic that has a message has a number, from its first message, which is the highest number then, until
// it has none any more.
type Keeper interface {
	// PutRetained is told of the new message of a topic, whose packet it may keep. first: it had none before.
	PutRetained(number uint64, packet []byte, first bool)
	// DeleteRetained is told that a topic has no message any more.
	DeleteRetained(number uint64)
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
// them, the latest first; edges finds one of them. Fields that are not said to be something else are
// guarded by mu of the shard.
type topicNode struct {
	parent     *topicNode       // immutable; nil: the root, which is never removed
	level      string           // immutable
	message    *RetainedMessage // nil: none retained for this very topic
	first      *topicNode
	next, prev *topicNode
	pins       atomic.Int32 // of the cursors whose place is here; written with mu held, for reading at least
}

// bare reports whether n is there for nobody but the cursors on it.
func (n *topicNode) bare() bool { return n.message == nil && n.first == nil }

// NewRetained returns an empty store with the given limits.
func NewRetained(messagesMax, bytesMax int) *Retained {
	r := &Retained{nodeBytes: topicNodeBytes, seed: maphash.MakeSeed()}
	r.SetLimits(messagesMax, bytesMax)
	for i := range r.shards {
		r.shards[i].edges = make(map[topicEdge]*topicNode)
	}
	return r
}

// SetLimits changes the limits. What is retained beyond them stays until it is replaced by something larger or
// cleared.
func (r *Retained) SetLimits(messagesMax, bytesMax int) {
	r.messagesMax.Store(int64(messagesMax))
	r.bytesMax.Store(int64(bytesMax))
}

// Len returns how many messages are retained.
func (r *Retained) Len() int { return int(r.messages.Load()) }

// Bytes returns the size of the retained packets together, and of the tree they hang on.
func (r *Retained) Bytes() int { return int(r.bytes.Load()) }

// Store makes packet the retained message of topic in place of the one before [MQTT-3.3.1-5]. It keeps packet, which
// must not change any more, and not topic. It returns false at a limit: then the older message, which is no longer
// the newest, is gone too. keeper is told what has changed, nil: nobody is.
func (r *Retained) Store(keeper Keeper, topic, packet []byte) bool {
	return r.store(keeper, 0, topic, packet)
}

// Restore is Store for a message that a Keeper was told of in an earlier life of the process, with its number. Numbers
// go on after the highest one.
func (r *Retained) Restore(number uint64, topic, packet []byte) bool {
	r.sequence.Store(max(r.sequence.Load(), number))
	return r.store(nil, number, topic, packet)
}

// store is Store with the number of a topic that had no message before, 0: the next one.
func (r *Retained) store(keeper Keeper, number uint64, topic, packet []byte) bool {
	s := r.shard(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, missing := s.find(topic)
	messages, size := int64(1), int64(len(packet)+missing*r.nodeBytes)
	if n != nil && n.message != nil {
		messages, size = 0, size-int64(len(n.message.Packet()))
	}
	if !r.reserve(messages, size) {
		r.forget(keeper, s, n)
		return false
	}
	if n == nil {
		n = s.make(topic)
	}
	m := &RetainedMessage{sequence: r.sequence.Add(1)}
	first := n.message == nil
	switch {
	case !first:
		m.number = n.message.number
	case number != 0:
		m.number = number
	default:
		m.number = m.sequence
	}
	m.packet.Store(&packet)
	r.replace(n, m)
	if keeper != nil {
		keeper.PutRetained(m.number, packet, first)
	}
	return true
}

func (r *Retained) replace(n *topicNode, m *RetainedMessage) {
	if n.message != nil {
		packet := n.message.packet.Swap(nil)
		if r.Dropped != nil {
			r.Dropped(*packet)
		}
	}
	n.message = m
}

// reserve counts a message in, unless that would pass a limit.
func (r *Retained) reserve(messages, bytes int64) bool {
	if !addWithin(&r.messages, messages, r.messagesMax.Load()) {
		return false
	}
	if !addWithin(&r.bytes, bytes, r.bytesMax.Load()) {
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

// Clear removes the retained message of topic, if any [MQTT-3.3.1-10]. For keeper see Store.
func (r *Retained) Clear(keeper Keeper, topic []byte) {
	s := r.shard(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, _ := s.find(topic)
	r.forget(keeper, s, n)
}

// forget removes the message of a topic's node. n is nil when the topic has no node.
func (r *Retained) forget(keeper Keeper, s *retainedShard, n *topicNode) {
	if n == nil || n.message == nil {
		return
	}
	number, size := n.message.number, len(n.message.Packet())
	r.replace(n, nil)
	size += s.prune(n) * r.nodeBytes
	r.messages.Add(-1)
	r.bytes.Add(-int64(size))
	if keeper != nil {
		keeper.DeleteRetained(number)
	}
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

// prune removes n and its parents as far as they hold no message, no child and no cursor, and returns
// how many it removed.
func (s *retainedShard) prune(n *topicNode) (removed int) {
	for n.parent != nil && n.bare() && n.pins.Load() == 0 {
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

package main

import "slices"

// topic collects the frames of one epoll round.
type topic struct {
	subscribers []*conn // each once
	round       buffer
	dirty       bool // in topics.dirty; it has bytes
}

// topics finds subscribers. A topic stays once it was subscribed to; others are never stored.
type topics struct {
	byName map[string]*topic
	all    *topic // filters that end in '#'
	dirty  []*topic
}

func newTopics() topics {
	return topics{byName: make(map[string]*topic), all: new(topic)}
}

// find returns nil when nobody ever subscribed to the topic. It does not keep the name.
func (t *topics) find(name []byte) *topic { return t.byName[string(name)] }

// subscribe adds c once, however often it asks. ok is false for a filter that floor cannot match.
func (t *topics) subscribe(c *conn, filter []byte) (ok bool) {
	if len(filter) == 0 || slices.Contains(filter, '+') {
		return false
	}
	to := t.all
	if filter[len(filter)-1] != '#' {
		to = t.open(filter)
	}
	if !slices.Contains(c.topics, to) {
		to.subscribers = append(to.subscribers, c)
		c.topics = append(c.topics, to)
	}
	return true
}

func (t *topics) open(name []byte) *topic {
	if found := t.find(name); found != nil {
		return found
	}
	opened := new(topic)
	t.byName[string(name)] = opened
	return opened
}

// leave removes c from its topics, whose other subscribers may change their order.
func (t *topics) leave(c *conn) {
	for _, from := range c.topics {
		last := len(from.subscribers) - 1
		i := slices.Index(from.subscribers, c)
		from.subscribers[i] = from.subscribers[last]
		from.subscribers = from.subscribers[:last]
	}
	c.topics = c.topics[:0]
}

// add appends a frame to a topic's round.
func (t *topics) add(to *topic, frame []byte) {
	to.round.append(frame)
	if !to.dirty {
		to.dirty = true
		t.dirty = append(t.dirty, to)
	}
}

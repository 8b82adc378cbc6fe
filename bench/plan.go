package bench

import (
	"strconv"
	"strings"
)

// plan says who publishes what and who reads it. Immutable.
//
// Connections fall into classes: a subscriber reads a publisher exactly when both have the same
// class. There is one class when all share a filter, one per publisher when the topic holds "%i".
type plan struct {
	subscribers int
	topics      []string // by publisher
	filters     []string // by subscriber
	classes     []int32  // by publisher; classNone: no subscriber has a matching filter
	stride      int      // number of classes; subscriber s has class s % stride
}

const classNone = -1

func newPlan(c Config) plan {
	p := plan{
		subscribers: c.Subscribers,
		topics:      make([]string, c.Publishers),
		filters:     make([]string, c.Subscribers),
		classes:     make([]int32, c.Publishers),
		stride:      1,
	}
	if c.Filter == "" && strings.Contains(c.Topic, topicIndexPattern) {
		p.stride = c.Publishers
	}
	for i := range p.topics {
		p.topics[i] = strings.ReplaceAll(c.Topic, topicIndexPattern, strconv.Itoa(i))
		p.classes[i] = int32(i % p.stride)
		if c.Filter != "" && !matches(c.Filter, p.topics[i]) || int(p.classes[i]) >= p.subscribers {
			p.classes[i] = classNone
		}
	}
	for i := range p.filters {
		p.filters[i] = p.topics[i%p.stride]
		if c.Filter != "" {
			p.filters[i] = c.Filter
		}
	}
	return p
}

// class returns a subscriber's class.
func (p *plan) class(subscriber int) int32 { return int32(subscriber % p.stride) }

// ordinal returns a subscriber's place among those of its class.
func (p *plan) ordinal(subscriber int) int { return subscriber / p.stride }

// fanout returns the number of subscribers that read a publisher.
func (p *plan) fanout(publisher int) int {
	if p.classes[publisher] == classNone {
		return 0
	}
	return (p.subscribers-int(p.classes[publisher])-1)/p.stride + 1
}

// unread returns the number of publishers that nobody reads.
func (p *plan) unread() int {
	n := 0
	for _, class := range p.classes {
		if class == classNone {
			n++
		}
	}
	return n
}

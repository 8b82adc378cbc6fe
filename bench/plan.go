package bench

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Placeholders in Config.Topic and Config.Filter.
const (
	publisherPattern = "%i" // the publisher's index
	topicPattern     = "%j" // the topic's index among a publisher's, with leading zeros
)

// plan says who publishes what and who reads it. Immutable.
//
// Connections fall into classes: a subscriber reads a publisher exactly when both have the same
// class. There is one class when all share the filters, one per publisher when they hold "%i".
type plan struct {
	subscribers int
	topics      [][]string // by publisher; all of one publisher have the same length
	filters     [][]string // by class
	classes     []int32    // by publisher; classNone: no subscriber has a matching filter
	stride      int        // number of classes; subscriber s has class s % stride
}

const classNone = -1

func newPlan(c Config) plan {
	wanted := c.Filter
	if wanted == "" {
		wanted = c.Topic
	}
	p := plan{subscribers: c.Subscribers, stride: 1}
	if strings.Contains(wanted, publisherPattern) {
		p.stride = max(c.Publishers, 1)
		if c.Publishers == 0 {
			p.stride = max(c.Subscribers, 1)
		}
	}
	for class := range min(p.stride, c.Subscribers) {
		p.filters = append(p.filters, expand(wanted, class, c.Topics))
	}
	for i := range c.Publishers {
		p.topics = append(p.topics, expand(c.Topic, i, c.Topics))
		p.classes = append(p.classes, p.classOf(i))
	}
	return p
}

// expand fills in both placeholders, the second with every index of the topics.
func expand(pattern string, publisher, topics int) []string {
	pattern = strings.ReplaceAll(pattern, publisherPattern, strconv.Itoa(publisher))
	if !strings.Contains(pattern, topicPattern) {
		return []string{pattern}
	}
	width := len(strconv.Itoa(topics - 1))
	names := make([]string, topics)
	for j := range names {
		names[j] = strings.ReplaceAll(pattern, topicPattern, fmt.Sprintf("%0*d", width, j))
	}
	return names
}

// classOf returns the class of a publisher whose topics are known.
func (p *plan) classOf(publisher int) int32 {
	class := publisher % p.stride
	if class >= len(p.filters) {
		return classNone
	}
	for j, topic := range p.topics[publisher] {
		filters := p.filters[class]
		if !matches(filters[j%len(filters)], topic) {
			return classNone
		}
	}
	return int32(class)
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
	for class := range slices.Values(p.classes) {
		if class == classNone {
			n++
		}
	}
	return n
}

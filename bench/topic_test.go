package bench

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMatches(t *testing.T) {
	tests := []struct {
		filter, topic string
		want          bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a/b", "a", false},
		{"a", "a/b", false},
		{"#", "a/b", true},
		{"a/#", "a", true},
		{"a/#", "a/b/c", true},
		{"a/#", "b/a", false},
		{"+", "a", true},
		{"+", "a/b", false},
		{"+/b", "a/b", true},
		{"a/+", "a", false},
		{"a/+", "a/", true},
		{"+/+", "/", true},
		{"#", "$SYS/a", false},
		{"+/a", "$SYS/a", false},
		{"$SYS/#", "$SYS/a", true},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, matches(test.filter, test.topic), "%s %s", test.filter, test.topic)
	}
}

func TestPlan(t *testing.T) {
	tests := map[string]struct {
		change  func(c *Config)
		fanouts []int
	}{
		"one topic":              {func(c *Config) {}, []int{4, 4, 4}},
		"a topic each":           {func(c *Config) { c.Topic = "b/%i" }, []int{2, 1, 1}},
		"a topic each, too few":  {func(c *Config) { c.Topic, c.Subscribers = "b/%i", 2 }, []int{1, 1, 0}},
		"a filter for all":       {func(c *Config) { c.Topic, c.Filter = "b/%i", "b/+" }, []int{4, 4, 4}},
		"a filter for one topic": {func(c *Config) { c.Topic, c.Filter = "b/%i", "b/1" }, []int{0, 4, 0}},
		"a filter each":          {func(c *Config) { c.Topic, c.Filter = "b/%i/x", "b/%i/+" }, []int{2, 1, 1}},
		"many topics":            {func(c *Config) { c.Topic, c.Topics = "b/%i/%j", 12 }, []int{2, 1, 1}},
		"many wildcards":         {func(c *Config) { c.Topic, c.Filter, c.Topics = "b/%i/%j", "+/%i/%j/#", 12 }, []int{2, 1, 1}},
		"many topics, one #":     {func(c *Config) { c.Topic, c.Filter, c.Topics = "b/%i/%j", "b/#", 12 }, []int{4, 4, 4}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig()
			c.Publishers, c.Subscribers = 3, 4
			test.change(&c)
			p := newPlan(c)
			for publisher, topics := range p.topics {
				ordinals := map[int]bool{}
				assert.Len(t, topics, c.Topics)
				for subscriber := range c.Subscribers {
					reads := p.class(subscriber) == p.classes[publisher]
					for _, topic := range topics {
						assert.Equal(t, reads, slices.ContainsFunc(p.filters[p.class(subscriber)], func(filter string) bool {
							return matches(filter, topic)
						}))
						assert.Len(t, topic, len(topics[0]), "frames have one size")
					}
					if reads {
						ordinals[p.ordinal(subscriber)] = true
						assert.Less(t, p.ordinal(subscriber), p.fanout(publisher))
					}
				}
				assert.Len(t, ordinals, test.fanouts[publisher])
				assert.Equal(t, test.fanouts[publisher], p.fanout(publisher))
			}
		})
	}
}

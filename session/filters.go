package session

import (
	"iter"
	"slices"

	"mqttd/codec"
)

// filters are a client's subscriptions. Most clients have one or a few, for which a list is smaller than a map, by
// some 250 bytes of an idle client.
type filters struct {
	few  []subscription // while they are at most fewMax
	many map[string]codec.QoS
}

type subscription struct {
	filter  string
	granted codec.QoS
}

// fewMax is how many are found by looking at each. (chosen)
const fewMax = 8

func (f *filters) len() int { return len(f.few) + len(f.many) }

func (f *filters) find(filter string) int {
	return slices.IndexFunc(f.few, func(s subscription) bool { return s.filter == filter })
}

func (f *filters) has(filter string) bool {
	_, known := f.many[filter]
	return known || f.find(filter) >= 0
}

func (f *filters) put(filter string, granted codec.QoS) {
	i := f.find(filter)
	switch {
	case f.many != nil:
		f.many[filter] = granted
	case i >= 0:
		f.few[i].granted = granted
	case len(f.few) < fewMax:
		f.few = append(f.few, subscription{filter, granted})
	default:
		f.many = make(map[string]codec.QoS, 2*fewMax)
		for _, s := range f.few {
			f.many[s.filter] = s.granted
		}
		f.few = nil
		f.many[filter] = granted
	}
}

func (f *filters) remove(filter string) {
	delete(f.many, filter)
	if i := f.find(filter); i >= 0 {
		f.few = slices.Delete(f.few, i, i+1)
	}
}

func (f *filters) all() iter.Seq2[string, codec.QoS] {
	return func(yield func(string, codec.QoS) bool) {
		for _, s := range f.few {
			if !yield(s.filter, s.granted) {
				return
			}
		}
		for filter, granted := range f.many {
			if !yield(filter, granted) {
				return
			}
		}
	}
}

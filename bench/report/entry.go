package report

import (
	"fmt"
	"slices"
	"strings"

	"mqttd/bench"
	"mqttd/bench/compare"
	"mqttd/bench/peer"
)

// entry is a peer's part in a scenario.
type entry struct {
	index  int // in Comparison.Peers
	peer   *peer.Peer
	cell   *compare.Cell // nil: there is none
	absent string        // why there are no figures at all; empty: there is a run
}

// entries returns one entry for each peer of the comparison, in its order.
func entries(c *compare.Comparison, s *compare.Scenario) []entry {
	all := make([]entry, len(c.Peers))
	for i := range c.Peers {
		p := &c.Peers[i]
		cell := s.Cell(p.Name)
		all[i] = entry{i, p, cell, absence(c, cell)}
	}
	return all
}

// groupTitle returns the title of the group that begins with a scenario; "" within a group, and where the
// comparison has no other.
func groupTitle(c *compare.Comparison, index int) string {
	group := func(i int) bench.Group { return c.Scenarios[i].Config.Group() }
	begins := index == 0 || group(index) != group(index-1)
	alone := true
	for i := range c.Scenarios {
		alone = alone && group(i) == group(0)
	}
	if !begins || alone {
		return ""
	}
	return string(group(index))
}

func absence(c *compare.Comparison, cell *compare.Cell) string {
	switch {
	case cell == nil:
		return "did not take part"
	case cell.Unable != "":
		return "unable: " + cell.Unable
	case len(cell.Runs) > 0:
		return ""
	case len(cell.Failures) > 0:
		return failures(cell)
	case c.Interrupted:
		return "not played: the comparison was interrupted before"
	}
	return "not played"
}

// failures names the rounds without a result.
func failures(cell *compare.Cell) string {
	if len(cell.Failures) == 0 {
		return ""
	}
	texts := make([]string, len(cell.Failures))
	for i, f := range cell.Failures {
		texts[i] = fmt.Sprintf("failed in round %d: %s", f.Round, f.Error)
	}
	return strings.Join(texts, "; ")
}

// blank says why a cell that has runs does not have a figure.
func (e entry) blank(f compare.Figure) string {
	r := &e.cell.Runs[0]
	switch {
	case f.Key == compare.Deliveries.Key:
		return "nothing was delivered"
	case r.Broker == nil && r.BrokerUnknown != "":
		return "not measured: " + r.BrokerUnknown
	}
	return "no such figure in any run"
}

// median is compare.Cell.Median for any entry.
func (e entry) median(f compare.Figure) (float64, bool) {
	if e.cell == nil {
		return 0, false
	}
	return e.cell.Median(f)
}

// name is the peer's name for text that a terminal shows.
func (e entry) name() string { return plain(e.peer.Name) }

// real reports whether the peer is a broker; the floor is none.
func (e entry) real() bool { return e.peer.Name != floorName }

// best returns the index of the real broker whose median is the best; -1 when there is nothing to
// compare, or when another one reads the same.
func best(all []entry, f compare.Figure) int {
	winner, others, tie := -1, 0, false
	var top float64
	for _, e := range all {
		v, ok := e.median(f)
		if !ok || !e.real() {
			continue
		}
		others++
		same := winner >= 0 && figure(f, v) == figure(f, top)
		if winner < 0 || f.Higher && v > top || !f.Higher && v < top {
			winner, top, tie = e.index, v, same
			continue
		}
		tie = tie || same
	}
	if others < 2 || tie {
		return -1
	}
	return winner
}

// reference returns the median of the named peer as a divisor; ok is false when there is none.
func reference(all []entry, name string, f compare.Figure) (value float64, ok bool) {
	for _, e := range all {
		if e.peer.Name == name {
			value, ok = e.median(f)
			return value, ok && value > 0
		}
	}
	return 0, false
}

// ratioTo returns the entry's median divided by the named peer's, or "" where either is unknown.
func (e entry) ratioTo(name string, all []entry, f compare.Figure) string {
	v, ok := e.median(f)
	divisor, known := reference(all, name, f)
	if !ok || !known || v < 0 || e.peer.Name == name {
		return ""
	}
	return number(v / divisor)
}

// typical is the run that stands for the entry where a picture shows a single one; nil: none.
func (e entry) typical(s *compare.Scenario) *bench.Result {
	if e.cell == nil {
		return nil
	}
	for _, f := range s.Figures() {
		if r := e.cell.Typical(f); r != nil {
			return r
		}
	}
	return nil
}

// stateWord is the shortest form of absent.
func stateWord(e entry) string {
	switch {
	case e.absent == "":
		return ""
	case e.cell == nil:
		return "no part"
	case e.cell.Unable != "":
		return "unable"
	case len(e.cell.Failures) > 0:
		return "failed"
	}
	return "not played"
}

// doubtful reports whether a reader must not take a figure of the entry as it is.
func (e entry) doubtful(f compare.Figure) bool {
	return slices.ContainsFunc(notes([]entry{e}), func(n note) bool { return n.touches(f) })
}

// why says why the entry does not have a figure.
func (e entry) why(f compare.Figure) string {
	if e.absent != "" {
		return e.absent
	}
	return e.blank(f)
}

package report

import (
	"maps"
	"slices"
	"strings"

	"mqttd/bench/compare"
)

// summary is the table at the top: a row for each scenario, a column for each peer.
type summary struct {
	Floor, Reference bool // there are ratios to it
	Columns          int
	Rows             []summaryRow
}

type summaryRow struct {
	Heading         string // of the group that begins here
	ID, Name, Title string
	Figure, Sense   string
	Cells           []summaryCell
}

type summaryCell struct {
	Class            string
	Value            string // empty: State and Reason say why
	State, Reason    string
	Floor, Reference string // ratios, or empty
	Best, Doubtful   bool
}

func newSummary(c *compare.Comparison) summary {
	t := summary{Columns: 1 + len(c.Peers)}
	for i := range c.Scenarios {
		s := &c.Scenarios[i]
		first := s.Figures()[0]
		row := summaryRow{Heading: groupTitle(c, i), ID: sectionID(i), Name: s.Name, Title: s.Title, Figure: titled(first), Sense: sense(first)}
		all := entries(c, s)
		winner := best(all, first)
		for _, e := range all {
			cell := newSummaryCell(e, all, first)
			cell.Best = winner == e.index
			t.Floor = t.Floor || cell.Floor != ""
			t.Reference = t.Reference || cell.Reference != ""
			row.Cells = append(row.Cells, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func newSummaryCell(e entry, all []entry, first compare.Figure) summaryCell {
	cell := summaryCell{Class: peerClass(e.index), State: stateWord(e), Reason: e.absent}
	if e.absent != "" {
		return cell
	}
	v, ok := e.median(first)
	if !ok {
		cell.State, cell.Reason = "none", e.blank(first)
		return cell
	}
	cell.Value = figure(first, v)
	cell.Floor = e.ratioTo(floorName, all, first)
	cell.Reference = e.ratioTo(referenceName, all, first)
	cell.Doubtful = e.doubtful(first)
	return cell
}

// lack says what a peer cannot do.
func lack(unable map[string]string) string {
	var texts []string
	for _, feature := range slices.Sorted(maps.Keys(unable)) {
		texts = append(texts, feature+": "+unable[feature])
	}
	return strings.Join(texts, "; ")
}

package report

import (
	"fmt"
	"html/template"

	"mqttd/bench"
	"mqttd/bench/compare"
)

// barChart shows one figure of all peers, on a linear scale and, where that makes sense, on a
// logarithmic one that a checkbox switches to.
type barChart struct {
	Title, Unit, Sense string
	Floor, Reference   bool // there are ratios to it
	Linear, Log        []tick
	From               string // where the logarithmic scale begins; empty: there is none
	StartsLog          bool
	Rows               []bar
	Lines              int // of the grid: where the axis is, below the heading and the rows
}

// tick is a line of the grid.
type tick struct {
	Style template.CSS
	Text  string
}

// bar is a peer's row.
type bar struct {
	Class, Peer      string
	Place            template.CSS // the row's line of the grid
	Value            string       // empty: Reason says why, and there is no bar
	Reason           string
	Range            string // from least to most, for people
	HasBar, Whisker  bool
	Style            template.CSS // the places of the bar's end and of the whisker's ends on both scales
	Floor, Reference string
	Best             bool
	Notes            []int
}

func newBarChart(all []entry, found []note, f compare.Figure) barChart {
	chart := barChart{Title: f.Title, Unit: f.Unit, Sense: sense(f), Lines: len(all) + 2}
	linear, log := chart.scales(all, f)
	winner := best(all, f)
	for i, e := range all {
		row := newBar(e, f, linear, log)
		row.Place = template.CSS(fmt.Sprintf("--r:%d", i+2))
		row.Best = winner == e.index
		row.Floor, row.Reference = e.ratioTo(floorName, all, f), e.ratioTo(referenceName, all, f)
		chart.Floor = chart.Floor || row.Floor != ""
		chart.Reference = chart.Reference || row.Reference != ""
		for i, n := range found {
			if n.entry.index == e.index && n.touches(f) {
				row.Notes = append(row.Notes, i+1)
			}
		}
		chart.Rows = append(chart.Rows, row)
	}
	return chart
}

// scales chooses both scales from the largest and smallest of all runs.
func (b *barChart) scales(all []entry, f compare.Figure) (linear, log scale) {
	var ends, medians []float64
	for _, e := range all {
		if v, ok := e.median(f); ok {
			least, most, _ := e.cell.Range(f)
			medians = append(medians, v)
			ends = append(ends, least, most)
		}
	}
	least, most := bounds(ends)
	linear = linearScale(most)
	b.Linear = newTicks(linear)
	low, high := bounds(medians)
	if low == 0 || low == high {
		return linear, linear
	}
	log = logScale(least, most)
	b.Log, b.From, b.StartsLog = newTicks(log), short(log.least), high > farApart*low
	return linear, log
}

func newTicks(s scale) []tick {
	var ticks []tick
	for _, v := range s.ticks {
		ticks = append(ticks, tick{template.CSS(fmt.Sprintf("left:%.2f%%", 100*s.place(v))), short(v)})
	}
	return ticks
}

func newBar(e entry, f compare.Figure, linear, log scale) bar {
	row := bar{Class: peerClass(e.index), Peer: e.peer.Name}
	if e.absent != "" {
		row.Reason = e.absent
		return row
	}
	v, ok := e.median(f)
	if !ok {
		row.Reason = e.blank(f)
		return row
	}
	least, most, _ := e.cell.Range(f)
	row.Value = figure(f, v)
	row.HasBar = v > 0
	row.Whisker = len(e.cell.Runs) > 1 && most > 0
	row.Range = fmt.Sprintf("%s to %s in %s", figure(f, least), figure(f, most), bench.Plural(len(e.cell.Runs), "run"))
	row.Style = template.CSS(fmt.Sprintf("--a:%.2f%%;--b:%.2f%%;--c0:%.2f%%;--la:%.2f%%;--lb:%.2f%%;--lc:%.2f%%",
		100*linear.place(least), 100*linear.place(v), 100*linear.place(most),
		100*log.place(least), 100*log.place(v), 100*log.place(most)))
	return row
}

// shorten leaves of the reasons why a peer has no figures at all only the word: the scenario's
// first chart has them in full.
func (b *barChart) shorten(all []entry) {
	for i, e := range all {
		if e.absent != "" {
			b.Rows[i].Reason = stateWord(e)
		}
	}
}

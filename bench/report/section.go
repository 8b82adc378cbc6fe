package report

import (
	"fmt"

	"mqttd/bench"
	"mqttd/bench/compare"
)

// pageScenario is a scenario's section of the page.
type pageScenario struct {
	Index           int
	Heading         string // of the group that begins here
	ID, Name, Title string
	Parameters      string
	Repeated        bool // more than one round
	Main            barChart
	More            []barChart
	None            []string // figures that are 0 at every peer that has them: a sentence, no chart
	Notes           []pageNote
	Accounts        []accountsRow
	Faultless       bool
	Plots           []curvePlot
	Runs            runTable

	data dataScenario
}

// pageNote is a numbered remark.
type pageNote struct {
	Number            int
	Class, Peer, Text string
}

// curvePlot is a place where the script draws.
type curvePlot struct {
	Scenario    int
	Kind, Title string
	Wide        bool
}

// accountsRow is what became of a peer's messages, over all runs.
type accountsRow struct {
	Class, Peer                                     string
	Expected, Received, Lost, Share                 string
	Duplicated, OutOfOrder, Unexpected, Unsent, Bad string
}

// runTable shows every figure of every run.
type runTable struct {
	Figures []string
	Rows    []runRow
}

type runRow struct {
	Class, Peer string
	Run         int
	Values      []string
}

func sectionID(i int) string { return fmt.Sprintf("s%d", i) }

func newPageScenario(c *compare.Comparison, index int) pageScenario {
	s := &c.Scenarios[index]
	all := entries(c, s)
	found := notes(all)
	p := pageScenario{
		Index: index, Heading: groupTitle(c, index), ID: sectionID(index), Name: s.Name, Title: s.Title,
		Parameters: parameters(s.Config), Repeated: c.Rounds > 1,
		Runs: newRunTable(all, s.Figures()),
		data: newDataScenario(all, s),
	}
	p.charts(all, found, s.Figures())
	p.remarks(found)
	p.accounts(all)
	p.plots()
	return p
}

func (p *pageScenario) charts(all []entry, found []note, figures []compare.Figure) {
	p.Main = newBarChart(all, found, figures[0])
	for _, f := range figures[1:] {
		if allZero(all, f) {
			p.None = append(p.None, f.Title)
			continue
		}
		chart := newBarChart(all, found, f)
		chart.shorten(all)
		p.More = append(p.More, chart)
	}
}

// allZero reports whether a figure is known and 0 in every run of every peer that has runs.
func allZero(all []entry, f compare.Figure) bool {
	known := false
	for _, e := range all {
		if e.absent != "" {
			continue
		}
		least, most, ok := e.cell.Range(f)
		if !ok || least != 0 || most != 0 {
			return false
		}
		known = true
	}
	return known
}

func (p *pageScenario) remarks(found []note) {
	for i, n := range found {
		p.Notes = append(p.Notes, pageNote{i + 1, peerClass(n.entry.index), n.entry.peer.Name, n.text})
	}
}

func (p *pageScenario) accounts(all []entry) {
	p.Faultless = true
	for _, e := range all {
		a, ok := e.accounts()
		if !ok {
			continue
		}
		row := accountsRow{
			Class: peerClass(e.index), Peer: e.peer.Name, Expected: bench.Thousands(a.Expected), Received: bench.Thousands(a.Received),
			Lost: bench.Thousands(a.Lost), Share: share(a.Lost, a.Expected), Duplicated: bench.Thousands(a.Duplicated),
			OutOfOrder: bench.Thousands(a.OutOfOrder), Unexpected: bench.Thousands(a.Unexpected), Unsent: bench.Thousands(a.MessagesUnsent),
		}
		if a.faulty() || a.MessagesUnsent > 0 {
			row.Bad, p.Faultless = "bad", false
		}
		p.Accounts = append(p.Accounts, row)
	}
}

// plots asks for the pictures that there is something to draw in.
func (p *pageScenario) plots() {
	add := func(kind, title string, wide, any bool) {
		if any {
			p.Plots = append(p.Plots, curvePlot{p.Index, kind, title, wide})
		}
	}
	var broker, network, switches bool
	for _, l := range p.data.Lines {
		broker = broker || len(l.CPU) > 0
		network = network || len(l.Network) > 0
		for _, v := range l.Switches {
			switches = switches || v > 0
		}
	}
	add("latency", "Latency by percentile", true, len(p.data.Curves) > 0)
	add("cpu", "Broker CPU, % of a core", false, broker)
	add("memory", "Broker memory, MiB resident", false, broker)
	add("network", "Network, MB/s over loopback", false, network)
	add("switches", "Context switches of the broker per second", false, switches)
}

func newDataScenario(all []entry, s *compare.Scenario) dataScenario {
	d := dataScenario{Seconds: s.Config.Duration.Seconds(), Lines: []line{}, Curves: []curve{}}
	for _, e := range all {
		r := e.typical(s)
		if r == nil {
			continue
		}
		if len(r.Samples) > 0 {
			d.Lines = append(d.Lines, newLine(e.index, r))
		}
		if len(r.Latency.Percentiles) > 0 {
			d.Curves = append(d.Curves, newCurve(e.index, r.Latency))
		}
	}
	return d
}

func newRunTable(all []entry, figures []compare.Figure) runTable {
	var t runTable
	for _, f := range figures {
		t.Figures = append(t.Figures, titled(f))
	}
	for _, e := range all {
		if e.cell == nil {
			continue
		}
		for i := range e.cell.Runs {
			t.Rows = append(t.Rows, newRunRow(e, i, &e.cell.Runs[i], figures))
		}
	}
	return t
}

func newRunRow(e entry, i int, r *bench.Result, figures []compare.Figure) runRow {
	row := runRow{Class: peerClass(e.index), Peer: e.peer.Name, Run: i + 1}
	for _, f := range figures {
		text := "–"
		if v, ok := f.Of(r); ok {
			text = figure(f, v)
		}
		row.Values = append(row.Values, text)
	}
	return row
}

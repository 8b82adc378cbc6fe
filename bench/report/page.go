package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"mqttd/bench"
	"mqttd/bench/compare"
)

//go:embed assets
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "assets/*.html"))

// WriteHTML writes the comparison as one HTML file that needs nothing else: it opens offline, and
// its Content-Security-Policy lets it ask for nothing.
func WriteHTML(w io.Writer, c *compare.Comparison) error {
	return pageTemplate.ExecuteTemplate(w, "page.html", newPage(c))
}

// page is what the template shows.
type page struct {
	Comparison *compare.Comparison
	Style      template.CSS
	Scripts    []template.JS
	Policy     string
	Dates      string
	Machine    string
	Command    string
	Peers      []pagePeer
	Summary    summary
	Scenarios  []pageScenario
	Data       data
}

// pagePeer is a peer as the page names it.
type pagePeer struct {
	Class                           string
	Name, Title, Version            string
	Command, Config, Settings, Lack string
}

// data is what the script draws, in a script element of type application/json.
type data struct {
	Peers     []dataPeer     `json:"peers"`
	Scenarios []dataScenario `json:"scenarios"`
}

type dataPeer struct {
	Name  string  `json:"name"`
	Width float64 `json:"width"`
	Dash  []int   `json:"dash,omitempty"`
}

type dataScenario struct {
	Seconds float64 `json:"seconds"` // of the measurement
	Lines   []line  `json:"lines"`
	Curves  []curve `json:"curves"`
}

func newPage(c *compare.Comparison) page {
	p := page{
		Comparison: c,
		Style:      template.CSS(asset("uplot/uPlot.min.css") + penStyle(pens(c)) + asset("report.css")),
		Scripts:    []template.JS{template.JS(asset("uplot/uPlot.iife.min.js")), template.JS(asset("report.js"))},
		Dates:      dates(c),
		Machine:    machine(c),
		Command:    commandLine(c.Command),
		Peers:      newPagePeers(c),
		Summary:    newSummary(c),
	}
	p.Policy = policy(p.Scripts)
	for i, pen := range pens(c) {
		p.Data.Peers = append(p.Data.Peers, dataPeer{c.Peers[i].Name, pen.Width, pen.Dash})
	}
	for i := range c.Scenarios {
		s := newPageScenario(c, i)
		p.Scenarios = append(p.Scenarios, s)
		p.Data.Scenarios = append(p.Data.Scenarios, s.data)
	}
	return p
}

// asset returns an embedded file; that it is not there is our own bug.
func asset(name string) string {
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(text))
}

// policy allows these scripts by their hashes, styles within the page, and no request at all.
func policy(scripts []template.JS) string {
	var b strings.Builder
	b.WriteString("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; script-src")
	for _, s := range scripts {
		sum := sha256.Sum256([]byte(s))
		fmt.Fprintf(&b, " 'sha256-%s'", base64.StdEncoding.EncodeToString(sum[:]))
	}
	return b.String()
}

// penStyle declares the colours --p0, --p1 and so on, for white and for dark, and classes that use
// them.
func penStyle(all []pen) string {
	var light, dark, classes strings.Builder
	for i, p := range all {
		fmt.Fprintf(&light, "--p%d:%s;", i, p.Light)
		fmt.Fprintf(&dark, "--p%d:%s;", i, p.Dark)
		fmt.Fprintf(&classes, ".p%d{--c:var(--p%d)}", i, i)
	}
	return fmt.Sprintf("\n:root{%s}\n@media screen and (prefers-color-scheme:dark){:root:not(.print){%s}}\n%s\n", light.String(), dark.String(), classes.String())
}

func peerClass(index int) string { return fmt.Sprintf("p%d", index) }

func newPagePeers(c *compare.Comparison) []pagePeer {
	var all []pagePeer
	for i, p := range c.Peers {
		all = append(all, pagePeer{
			Class: peerClass(i), Name: p.Name, Title: p.Title, Version: p.Version,
			Command: commandLine(p.Command), Config: p.Config, Settings: p.Settings, Lack: lack(p.Unable),
		})
	}
	return all
}

func dates(c *compare.Comparison) string {
	const layout = "2006-01-02 15:04"
	s := c.StartedAt.UTC().Format(layout)
	if c.EndedAt.After(c.StartedAt) {
		s += " to " + c.EndedAt.UTC().Format(layout) + " UTC, " + span(c.EndedAt.Sub(c.StartedAt).Round(time.Second))
		return s
	}
	return s + " UTC"
}

func machine(c *compare.Comparison) string {
	m := c.Machine
	return fmt.Sprintf("%s of %s, %s, %s GiB of memory", bench.Plural(m.CPUs, "core"), m.CPUModel, m.Arch, number(float64(m.MemoryBytes)/(1<<30)))
}

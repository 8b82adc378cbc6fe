package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"mqttd/bench"
	"mqttd/bench/compare"
)

// Widths of the text table, in characters; chosen: six figures and two ratios fit.
const (
	tableWidth  = 130
	nameWidth   = 22
	columnWidth = 13
)

// WriteTable writes the comparison as text for a terminal: for each scenario the medians of its
// figures, a line for each peer. No line is longer than 130 characters, but where a single word is.
func WriteTable(w io.Writer, c *compare.Comparison) error {
	t := &textTable{comparison: c}
	t.head()
	for i := range c.Scenarios {
		if title := groupTitle(c, i); title != "" {
			t.line("\n" + title + "\n" + strings.Repeat("=", len(title)))
		}
		t.scenario(&c.Scenarios[i])
	}
	t.foot()
	_, err := io.WriteString(w, t.text.String())
	return err
}

// textTable builds the lines.
type textTable struct {
	comparison *compare.Comparison
	text       strings.Builder
}

// line writes a line without blanks at its end.
func (t *textTable) line(s string) { t.text.WriteString(strings.TrimRight(s, " ") + "\n") }

// wrapped writes text in lines of tableWidth, each after the indentation, the first after head.
func (t *textTable) wrapped(head string, indent int, text string) {
	room := tableWidth - indent
	for i, l := range wrap(plain(text), room) {
		if i > 0 {
			head = ""
		}
		t.line(pad(head, indent) + l)
	}
}

func (t *textTable) head() {
	c := t.comparison
	m := c.Machine
	t.line(plain(fmt.Sprintf("mqttbench %s, %s, %s, %s, %s", c.Version, c.StartedAt.UTC().Format("2006-01-02 15:04 MST"),
		m.Kernel, bench.Plural(m.CPUs, "CPU"), m.CPUModel)))
	s := "medians of " + bench.Plural(c.Rounds, "round")
	if c.Interrupted {
		s += "; INTERRUPTED before all rounds were played"
	}
	t.line(s)
}

func (t *textTable) scenario(s *compare.Scenario) {
	all := entries(t.comparison, s)
	figures := s.Figures()
	t.line("")
	t.wrapped("", 0, s.Name+": "+s.Title)
	t.wrapped("", 2, parameters(s.Config))
	t.columns(figures, all)
	for _, e := range all {
		t.entry(e, figures, all)
	}
	for _, n := range notes(all) {
		t.wrapped("  ! "+n.entry.name()+": ", len("  ! ")+utf8.RuneCountInString(n.entry.name())+2, n.text)
	}
}

// columns writes the headings, as many lines as the longest needs.
func (t *textTable) columns(figures []compare.Figure, all []entry) {
	var headings [][]string
	height := 0
	for _, h := range headingTexts(figures, all) {
		lines := wrap(h, columnWidth-2)
		headings = append(headings, lines)
		height = max(height, len(lines))
	}
	for i := range height {
		s := pad("", nameWidth)
		for _, h := range headings {
			if from := height - len(h); i >= from {
				s += padLeft(h[i-from], columnWidth)
			} else {
				s += pad("", columnWidth)
			}
		}
		t.line(s)
	}
}

func headingTexts(figures []compare.Figure, all []entry) []string {
	var texts []string
	for _, f := range figures {
		texts = append(texts, titled(f))
	}
	for _, name := range ratioNames(all, figures[0]) {
		texts = append(texts, "1st figure × "+name)
	}
	return texts
}

// ratioNames are the peers that others are divided by, where they have the figure.
func ratioNames(all []entry, f compare.Figure) []string {
	var names []string
	for _, name := range []string{floorName, referenceName} {
		if _, ok := reference(all, name, f); ok {
			names = append(names, name)
		}
	}
	return names
}

func (t *textTable) entry(e entry, figures []compare.Figure, all []entry) {
	if e.absent != "" {
		t.wrapped("  "+e.name(), max(nameWidth, 3+utf8.RuneCountInString(e.name())), e.absent)
		return
	}
	s := pad("  "+e.name(), nameWidth)
	for _, f := range figures {
		text := "-"
		if v, ok := e.median(f); ok {
			text = figure(f, v)
		}
		s += padLeft(text, columnWidth)
	}
	for _, name := range ratioNames(all, figures[0]) {
		s += padLeft(dash(e.ratioTo(name, all, figures[0])), columnWidth)
	}
	t.line(s)
}

// foot names who is not there.
func (t *textTable) foot() {
	for i, m := range t.comparison.Missing {
		if i == 0 {
			t.line("\nMissing")
		}
		name := "  " + plain(m.Name)
		t.wrapped(name, max(nameWidth, utf8.RuneCountInString(name)+1), m.Why)
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
}

// padLeft leaves at least one blank before the text.
func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 1)) + s
}

// wrap breaks text between words into lines of at most width characters; a longer word has a line
// of its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

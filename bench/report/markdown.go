package report

import (
	"fmt"
	"io"
	"strings"

	"mqttd/bench"
	"mqttd/bench/compare"
)

// WriteMarkdown writes a table as GitHub shows it, one for each group of scenarios: a row for each
// scenario, a column for each peer. A cell holds the median of the scenario's first figure and what it is divided by
// mosquitto's, and, where that is not the first, the CPU seconds per million deliveries.
func WriteMarkdown(w io.Writer, c *compare.Comparison) error {
	var b strings.Builder
	for i := range c.Scenarios {
		s := &c.Scenarios[i]
		title := groupTitle(c, i)
		if title != "" {
			b.WriteString(markdownBreak(i) + "**" + title + "**\n\n")
		}
		if title != "" || i == 0 {
			markdownHead(&b, c)
		}
		markdownRow(&b, entries(c, s), s)
	}
	markdownReasons(&b, c)
	_, err := io.WriteString(w, b.String())
	return err
}

// markdownBreak parts a table from the one before.
func markdownBreak(scenario int) string {
	if scenario == 0 {
		return ""
	}
	return "\n"
}

func markdownHead(b *strings.Builder, c *compare.Comparison) {
	b.WriteString("| scenario | figure |")
	for _, p := range c.Peers {
		b.WriteString(" " + markdown(p.Name) + " |")
	}
	b.WriteString("\n|:--|:--|" + strings.Repeat("--:|", len(c.Peers)) + "\n")
}

func markdownRow(b *strings.Builder, all []entry, s *compare.Scenario) {
	first := s.Figures()[0]
	fmt.Fprintf(b, "| %s | %s |", markdown(s.Name), markdown(titled(first)))
	winner := best(all, first)
	for _, e := range all {
		b.WriteString(" " + markdownCell(e, all, first, winner == e.index) + " |")
	}
	b.WriteString("\n")
}

func markdownCell(e entry, all []entry, first compare.Figure, winner bool) string {
	if e.absent != "" {
		return stateWord(e)
	}
	v, ok := e.median(first)
	if !ok {
		return "–"
	}
	cell := figure(first, v)
	if winner {
		cell = "**" + cell + "**"
	}
	if r := e.ratioTo(referenceName, all, first); r != "" {
		cell += "<br>" + r + "× mosquitto"
	}
	if cpu, ok := e.median(compare.CPUPerMillion); ok && first.Key == compare.Deliveries.Key {
		cell += "<br>" + number(cpu) + " CPU s"
	}
	if e.doubtful(first) {
		cell += " †"
	}
	return cell
}

// markdownReasons says below the table what its cells have no room for.
func markdownReasons(b *strings.Builder, c *compare.Comparison) {
	fmt.Fprintf(b, "\nMedians of %s; CPU s: of the broker, per million deliveries; × mosquitto: times mosquitto's; bold: the best broker.\n", bench.Plural(c.Rounds, "round"))
	var lines []string
	for i := range c.Scenarios {
		s := &c.Scenarios[i]
		all := entries(c, s)
		for _, e := range all {
			if e.absent != "" {
				lines = append(lines, fmt.Sprintf("%s, %s: %s", s.Name, e.peer.Name, e.absent))
			}
		}
		for _, n := range notes(all) {
			lines = append(lines, fmt.Sprintf("† %s, %s: %s", s.Name, n.entry.peer.Name, n.text))
		}
	}
	for _, m := range c.Missing {
		lines = append(lines, fmt.Sprintf("missing, %s: %s", m.Name, m.Why))
	}
	for i, l := range lines {
		if i == 0 {
			b.WriteString("\n")
		}
		b.WriteString("- " + markdown(l) + "\n")
	}
}

// markdownEscaper keeps text of others from being read as markup.
var markdownEscaper = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "|", `\|`, `\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "~", `\~`)

func markdown(s string) string { return markdownEscaper.Replace(plain(s)) }

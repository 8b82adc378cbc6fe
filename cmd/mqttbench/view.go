package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"mqttd/bench"
	"mqttd/bench/compare"
)

// compareView shows where a comparison stands: on a terminal one live line with a bar, and above it,
// as everywhere else, a line for each run that ended.
type compareView struct {
	line  bench.LiveLine
	quiet bool
}

func newCompareView(w io.Writer, terminal, quiet bool) *compareView {
	return &compareView{line: bench.LiveLine{W: w, Terminal: terminal}, quiet: quiet}
}

func (v *compareView) show(p compare.Progress) {
	switch {
	case v.quiet:
	case p.Result != nil:
		v.ended(p, outcome(p.Result))
	case p.Err != nil:
		v.ended(p, "FAILED: "+strings.ReplaceAll(p.Err.Error(), "\n", "; "))
	case v.line.Terminal:
		v.line.Show(live(p))
	}
}

func (v *compareView) ended(p compare.Progress, text string) {
	v.line.Erase()
	fmt.Fprintf(v.line.W, "%3d/%d  %-24s  %-12s  round %d  %s\n", p.Run, p.Runs, p.Scenario, p.Peer, p.Round, text)
}

func (v *compareView) close() { v.line.Erase() }

// live is the line that changes: how far, how long still, and what happens now.
func live(p compare.Progress) string {
	done := float64(p.Run-1) / float64(p.Runs)
	text := fmt.Sprintf("%s%d/%d  %v", bench.Bar(done), p.Run, p.Runs, p.Elapsed.Round(time.Second))
	if p.Run > 1 {
		left := time.Duration(float64(p.Elapsed) * (1 - done) / done)
		text += fmt.Sprintf(", about %v left", left.Round(time.Second))
	}
	text += fmt.Sprintf("  %s  %s", p.Scenario, p.Peer)
	if p.Sample != nil {
		text += "  " + strings.Join(strings.Fields(p.Sample.Text()), " ")
	}
	return text
}

// outcome is a run in one line.
func outcome(r *bench.Result) string {
	if r.Config.Publishers == 0 {
		return fmt.Sprintf("%.0f connections/s, %.0f bytes each", r.Connections.PerSecond, r.Connections.ResidentBytesEach)
	}
	text := fmt.Sprintf("%.0f deliveries/s, p99 %.3f ms, lost %d", r.Throughput.DeliveriesPerSecond, float64(r.Latency.P99Ns)/1e6, r.Deliveries.Lost)
	if r.Broker != nil {
		text += fmt.Sprintf(", %.3f CPU s per million", r.Broker.CPUSecondsPerMillion)
	}
	return text
}

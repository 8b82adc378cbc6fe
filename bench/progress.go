package bench

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Progress writes a line for each Sample of a run. On a terminal it rewrites one line, with a bar.
type Progress struct {
	line  LiveLine
	total time.Duration // warm-up and measurement
	begun float64       // seconds, when the load began
}

// NewProgress returns a Progress; its Sample method is a Config.OnSample.
func NewProgress(w io.Writer, terminal bool, c Config) *Progress {
	return &Progress{line: LiveLine{W: w, Terminal: terminal}, total: c.Warmup + c.Duration}
}

// Sample shows one sample. Those of connecting and of the drain are shown when they take long.
func (p *Progress) Sample(s Sample) {
	const secondsMin = 0.5
	short := s.Seconds < secondsMin
	if s.Phase == connect.String() {
		p.begun = s.ElapsedSeconds
	}
	if short && (s.Phase == connect.String() || s.Phase == drain.String()) {
		return
	}
	text := fmt.Sprintf("%6.1f s  %-7s  %s", s.ElapsedSeconds, s.Phase, s.Text())
	if p.line.Terminal {
		text = Bar((s.ElapsedSeconds-p.begun)/p.total.Seconds()) + text
	}
	p.line.Show(text)
}

// Close erases the line that is rewritten, to make room for the report. No Sample may follow.
func (p *Progress) Close() { p.line.Erase() }

// Text describes what happened in a sample, on one line.
func (s Sample) Text() string {
	if s.Phase == connect.String() {
		return Whole(float64(s.Connections)/s.Seconds) + " connections/s"
	}
	return fmt.Sprintf("%11s msg/s  %13s deliveries/s  lost %s  p99 %s ms",
		Whole(float64(s.MessagesSent)/s.Seconds), Whole(float64(s.Deliveries)/s.Seconds),
		Thousands(max(s.Missing, 0)), Milliseconds(s.LatencyP99Ns))
}

// Bar draws how much of the whole is done, 0 to 1.
func Bar(done float64) string {
	const width = 20
	filled := int(min(max(done, 0), 1) * width)
	return "[" + strings.Repeat("#", filled) + strings.Repeat("-", width-filled) + "] "
}

// LiveLine shows one line of text after another: on a terminal in the same place.
type LiveLine struct {
	W        io.Writer
	Terminal bool
	shown    bool
}

const (
	lineRewrite = "\r\x1b[K" // carriage return, erase to the end of the line
	lineEnd     = "\n"
)

// Show replaces what was shown before, or follows it.
func (l *LiveLine) Show(text string) {
	if l.Terminal {
		_, _ = io.WriteString(l.W, lineRewrite+text)
		l.shown = true
		return
	}
	_, _ = io.WriteString(l.W, text+lineEnd)
}

// Erase leaves an empty line in a terminal.
func (l *LiveLine) Erase() {
	if l.shown {
		_, _ = io.WriteString(l.W, lineRewrite)
		l.shown = false
	}
}

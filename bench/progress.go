package bench

import (
	"fmt"
	"io"
)

// Progress writes a line for each Sample. On a terminal it rewrites one line.
type Progress struct {
	w        io.Writer
	terminal bool
	begun    bool
}

// NewProgress returns a Progress; its Sample method is a Config.OnSample.
func NewProgress(w io.Writer, terminal bool) *Progress { return &Progress{w: w, terminal: terminal} }

const (
	lineRewrite = "\r\x1b[K" // carriage return, erase to the end of the line
	lineEnd     = "\n"
)

// Sample shows one sample. The drain's are shown when it takes long.
func (p *Progress) Sample(s Sample) {
	const secondsMin = 0.5
	if s.Phase == drain.String() && s.Seconds < secondsMin {
		return
	}
	line := fmt.Sprintf("%6.1f s  %-7s  %11s msg/s  %13s deliveries/s  lost %s  p99 %s ms",
		s.ElapsedSeconds, s.Phase, whole(float64(s.MessagesSent)/s.Seconds), whole(float64(s.Deliveries)/s.Seconds),
		thousands(max(s.Missing, 0)), milliseconds(s.LatencyP99Ns))
	if p.terminal {
		_, _ = io.WriteString(p.w, lineRewrite+line)
		p.begun = true
		return
	}
	_, _ = io.WriteString(p.w, line+lineEnd)
}

// Close erases the line that is rewritten, to make room for the report. No Sample may follow.
func (p *Progress) Close() {
	if p.begun {
		_, _ = io.WriteString(p.w, lineRewrite)
	}
}

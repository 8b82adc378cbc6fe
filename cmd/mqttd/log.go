package main

import (
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
)

const (
	logLinesMax = 4096                   // lines that wait to be written; more are dropped and counted (chosen)
	logCloseMax = 500 * time.Millisecond // how long the end waits for lines that nobody reads (chosen)
)

// newLog returns a logger that never blocks: an event loop must not wait for a terminal or a
// full pipe. What it writes depends on zerolog's global level, so that this can change at any time.
// flush ends it and writes what is left, as far as somebody reads it.
func newLog(o options, w *os.File) (log zerolog.Logger, flush func()) {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00" // RFC 3339 with milliseconds
	zerolog.MessageFieldName = "msg"
	var format io.Writer = w
	if o.logFormat == "console" || o.logFormat == "auto" && isatty.IsTerminal(w.Fd()) {
		format = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: !isatty.IsTerminal(w.Fd())}
	}
	lines := newLogLines(format)
	return zerolog.New(lines).With().Timestamp().Logger(), lines.flush
}

// logLines carries lines to a writer that may block, and drops those for which there is no room.
// zerolog's diode does the same, but polls ten times a second, which was most of what an idle broker
// costs, or may leave a line lying until the next one comes.
type logLines struct {
	lines  chan []byte
	missed atomic.Int64 // dropped and not reported yet
	ending chan struct{}
	ended  chan struct{}
}

func newLogLines(w io.Writer) *logLines {
	l := &logLines{lines: make(chan []byte, logLinesMax), ending: make(chan struct{}), ended: make(chan struct{})}
	go l.carry(w)
	return l
}

// Write never blocks and never fails. Any goroutine may call it.
func (l *logLines) Write(line []byte) (int, error) {
	select {
	case l.lines <- append([]byte(nil), line...):
	default:
		l.missed.Add(1)
	}
	return len(line), nil
}

// carry writes lines until flush, and then those that are left.
func (l *logLines) carry(w io.Writer) {
	defer close(l.ended)
	for {
		select {
		case line := <-l.lines:
			l.deliver(w, line)
			continue
		case <-l.ending:
		}
		for len(l.lines) > 0 {
			l.deliver(w, <-l.lines)
		}
		return
	}
}

func (l *logLines) deliver(w io.Writer, line []byte) {
	_, _ = w.Write(line) // there is nobody to tell
	if missed := l.missed.Swap(0); missed > 0 {
		lost := zerolog.New(w).With().Timestamp().Logger()
		lost.Warn().Int64("lines", missed).Msg("log lines were lost: they came faster than they could be written")
	}
}

// flush ends the log. It is called once; lines that come later are lost.
func (l *logLines) flush() {
	close(l.ending)
	select {
	case <-l.ended:
	case <-time.After(logCloseMax):
	}
}

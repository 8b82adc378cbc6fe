package main

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/diode"
)

const (
	logLinesMax  = 4096                   // lines that wait to be written; more are dropped and counted (chosen)
	logPollEvery = 100 * time.Millisecond // how late a line may come
	logCloseMax  = 500 * time.Millisecond // how long the end waits for lines that nobody reads (chosen)
)

// newLog returns a logger that never blocks: an event loop must not wait for a terminal or a
// full pipe. flush ends it and writes what is left, as far as somebody reads it.
func newLog(o options, w *os.File) (log zerolog.Logger, flush func()) {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00" // RFC 3339 with milliseconds
	zerolog.MessageFieldName = "msg"
	var format io.Writer = w
	if o.logFormat == "console" || o.logFormat == "auto" && isatty.IsTerminal(w.Fd()) {
		format = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: !isatty.IsTerminal(w.Fd())}
	}
	writer := diode.NewWriter(format, logLinesMax, logPollEvery, func(missed int) {
		lost := zerolog.New(format).With().Timestamp().Logger()
		lost.Warn().Int("lines", missed).Msg("log lines were lost: they came faster than they could be written")
	})
	log = zerolog.New(unclosable{writer}).Level(o.logLevel).With().Timestamp().Logger()
	return log, func() {
		written := make(chan struct{})
		go func() {
			writer.Close()
			close(written)
		}()
		select {
		case <-written:
		case <-time.After(logCloseMax):
		}
	}
}

// unclosable keeps Close of the diode, which would close the file as well, out of reach of
// the logger.
type unclosable struct{ io.Writer }

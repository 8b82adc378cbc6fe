package main

import (
	"fmt"
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
)

// newLog returns a logger that never blocks: an event loop must not wait for a terminal or a
// full pipe. close writes what is left.
func newLog(o options, w *os.File) (log zerolog.Logger, close func()) {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00" // RFC 3339 with milliseconds
	zerolog.MessageFieldName = "msg"
	var format io.Writer = w
	if o.logFormat == "console" || o.logFormat == "auto" && isatty.IsTerminal(w.Fd()) {
		format = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: !isatty.IsTerminal(w.Fd())}
	}
	writer := diode.NewWriter(format, logLinesMax, logPollEvery, func(missed int) {
		fmt.Fprintf(w, `{"level":"warn","msg":"%d log lines were lost: they came faster than they could be written"}`+"\n", missed)
	})
	log = zerolog.New(unclosable{writer}).Level(o.logLevel).With().Timestamp().Logger()
	return log, func() { writer.Close() }
}

// unclosable keeps Close of the diode, which would close the file as well, out of reach of
// the logger.
type unclosable struct{ io.Writer }

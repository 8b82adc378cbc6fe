// Command mqttbench measures MQTT brokers: one that is already running, or several side by side that
// it starts itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/mattn/go-isatty"

	"mqttd/bench"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 128 + int(syscall.SIGINT)
)

// errIncomplete ends the program with exitFailed when all there is to say has been said.
var errIncomplete = errors.New("some runs failed, see above")

// errInterrupted ends the program with exitInterrupted.
var errInterrupted = errors.New("interrupted")

const usage = `Usage: mqttbench [run] [flags]        measure a broker that is already running
       mqttbench compare [flags]      start brokers and put them side by side
       mqttbench soak [flags]         hold a broker under load and see whether it wears out
       mqttbench report FILE -out DIR write the reports of a comparison again
       mqttbench scenarios            list the scenarios

mqttbench COMMAND -h lists the flags of a command.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run is the command without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, bench.ErrConfig):
		return fail(stderr, err, exitUsage)
	case errors.Is(err, errInterrupted):
		return fail(stderr, err, exitInterrupted)
	}
	return fail(stderr, err, exitFailed)
}

// dispatch runs the command that args name. An error that wraps bench.ErrConfig is the user's.
func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 1 {
		switch args[1] {
		case "run":
			return measure(ctx, args, args[2:], stdout, stderr)
		case "compare":
			return compareBrokers(ctx, args, args[2:], stdout, stderr)
		case "soak":
			return soakBroker(ctx, args, args[2:], stdout, stderr)
		case "report":
			return writeAgain(args[2:], stdout)
		case "scenarios":
			return listScenarios(args[2:], stdout)
		case "version", "-version", "--version":
			_, err := fmt.Fprintf(stdout, "mqttbench %s %s %s/%s\n", bench.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		case "help", "-h", "-help", "--help":
			fmt.Fprint(stdout, usage, "\n")
			return measure(ctx, args, []string{"-h"}, stdout, stderr)
		}
	}
	return measure(ctx, args, args[1:], stdout, stderr)
}

func listScenarios(args []string, w io.Writer) error {
	if err := parse(newFlags("mqttbench scenarios"), args, 0, "Usage: mqttbench scenarios\n", w); err != nil {
		return err
	}
	var b strings.Builder
	var group bench.Group
	for _, s := range bench.Scenarios() {
		if g := s.Config().Group(); g != group {
			if group != "" {
				b.WriteString("\n")
			}
			group = g
			fmt.Fprintf(&b, "%s\n\n", g)
		}
		fmt.Fprintf(&b, "%-24s %s\n", s.Name, s.Title)
		for _, sentence := range s.Config().Sentences() {
			fmt.Fprintf(&b, "%-24s   %s\n", "", sentence)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fail writes one line.
func fail(stderr io.Writer, err error, code int) int {
	text := strings.NewReplacer("\n", "; ", "bench: ", "", "peer: ", "").Replace(err.Error())
	fmt.Fprintf(stderr, "mqttbench: %s\n", text)
	return code
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

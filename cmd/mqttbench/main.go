// Command mqttbench measures an MQTT broker that is already running: deliveries per second,
// latency, losses, and the broker's CPU time and memory when it runs on this machine.
package main

import (
	"context"
	"encoding/json"
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run is the command without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		o.usage(stdout)
		return exitOK
	case err != nil:
		return fail(stderr, err, exitUsage)
	case o.version:
		fmt.Fprintf(stdout, "mqttbench %s %s %s/%s\n", bench.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return exitOK
	}
	result, err := measure(ctx, o, stderr)
	switch {
	case errors.Is(err, bench.ErrConfig):
		return fail(stderr, err, exitUsage)
	case errors.Is(err, context.Canceled):
		return fail(stderr, errors.New("interrupted before the load began"), exitInterrupted)
	case err != nil:
		return fail(stderr, err, exitFailed)
	}
	if err := write(stdout, result, o.json); err != nil {
		return fail(stderr, err, exitFailed)
	}
	if result.Interrupted {
		return exitInterrupted
	}
	return exitOK
}

func measure(ctx context.Context, o options, stderr io.Writer) (bench.Result, error) {
	if !o.quiet {
		progress := bench.NewProgress(stderr, isTerminal(stderr))
		defer progress.Close()
		o.config.OnSample = progress.Sample
	}
	return bench.Run(ctx, o.config)
}

func write(w io.Writer, result bench.Result, asJSON bool) error {
	if !asJSON {
		return result.WriteTable(w)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(result)
}

// fail writes one line.
func fail(stderr io.Writer, err error, code int) int {
	fmt.Fprintf(stderr, "mqttbench: %s\n", strings.TrimPrefix(err.Error(), "bench: "))
	return code
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

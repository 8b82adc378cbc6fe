package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"mqttd/bench"
)

const measureHead = `Usage: mqttbench [run] [flags]

Measures a broker that is already running.
`

// measure plays one run and writes its table, or JSON.
func measure(ctx context.Context, command, args []string, stdout, stderr io.Writer) error {
	c, asJSON, quiet, err := measureOptions(args, stdout)
	if err != nil {
		return err
	}
	c.Command = command
	done := func() {}
	if !quiet {
		progress := bench.NewProgress(stderr, isTerminal(stderr), c)
		c.OnSample = progress.Sample
		done = progress.Close
	}
	result, err := bench.Run(ctx, c)
	done()
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w before the load began", errInterrupted)
	case err != nil:
		return err
	}
	if err := write(stdout, result, asJSON); err != nil {
		return err
	}
	if result.Interrupted {
		return errInterrupted
	}
	return nil
}

func measureOptions(args []string, stdout io.Writer) (c bench.Config, asJSON, quiet bool, err error) {
	flags := newFlags("mqttbench run")
	c = bench.DefaultConfig()
	scenario := flags.String("scenario", "", "`name` of a scenario, whose numbers other flags change;\nmqttbench scenarios lists them")
	flags.StringVar(&c.Host, "host", c.Host, "broker's `name` or address")
	flags.IntVar(&c.Port, "port", c.Port, "broker's TCP `port`")
	flags.IntVar(&c.PID, "pid", c.PID, "broker's `process` for CPU and memory, without its children\n(default: who listens on the port, on this machine)")
	addConfig(flags, &c)
	flags.BoolVar(&asJSON, "json", false, "write one JSON object, raw samples included, instead of the table")
	flags.BoolVar(&quiet, "q", false, "no progress on standard error")
	if err := parse(flags, args, 0, measureHead, stdout); err != nil {
		return c, false, false, err
	}
	if *scenario == "" {
		return c, asJSON, quiet, c.Validate()
	}
	s, err := bench.FindScenario(*scenario)
	if err != nil {
		return c, false, false, err
	}
	at := c
	c, err = override(s, flags, func(c *bench.Config) { c.Host, c.Port, c.PID = at.Host, at.Port, at.PID })
	if err != nil {
		return c, false, false, err
	}
	return c, asJSON, quiet, c.Validate()
}

func write(w io.Writer, result bench.Result, asJSON bool) error {
	if !asJSON {
		return result.WriteTable(w)
	}
	return writeJSON(w, result)
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

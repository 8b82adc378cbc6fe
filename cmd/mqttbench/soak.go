package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"mqttd/bench"
	"mqttd/bench/soak"
)

const soakHead = `Usage: mqttbench soak [flags]

Starts a broker, measures the peak of one-to-many in a closed loop, then publishes a
share of it in an open loop for long, against a fresh broker. It ends with 0 only if
nothing was lost, came twice or out of order, and the last sixth of the time had the
memory, descriptors and p99 latency of the second, within the margins.
`

// fileSoak holds the raw data of a soak, in the folder that also gets fileTable.
const fileSoak = "soak.json.gz"

// errWornOut ends the program with exitFailed when the table has said why.
var errWornOut = errors.New("the soak failed, see above")

// soakOptions are the command line of mqttbench soak.
type soakOptions struct {
	soak.Options
	peer   string
	dir    string
	out    string
	asJSON bool
	quiet  bool
}

func parseSoak(args []string, stdout io.Writer) (o soakOptions, err error) {
	o.Config, o.Margins = soak.DefaultConfig(), soak.DefaultMargins()
	c, m := &o.Config, &o.Margins
	connections := c.Publishers + c.Subscribers
	memoryMiB := m.MemoryBytes >> 20
	p99 := time.Duration(m.LatencyNs)
	flags := newFlags("mqttbench soak")
	flags.StringVar(&o.peer, "peer", "mqttd", "`name` of the broker, as for mqttbench compare,\nor 'NAME=COMMAND LINE' with {port} in it")
	flags.IntVar(&connections, "connections", connections, "`number` of publishers and subscribers together")
	flags.IntVar(&c.Publishers, "publishers", c.Publishers, "`number` of publishing connections, each with a topic of its own;\n"+
		"the subscribers are divided among them")
	flags.IntVar(&c.Window, "window", c.Window, "`messages` outstanding over all publishers while the peak is measured")
	flags.IntVar(&c.PayloadBytes, "payload", c.PayloadBytes, "payload's size in `bytes`")
	flags.DurationVar(&o.PeakTime, "peak", 10*time.Second, "`time` to measure the peak")
	flags.Float64Var(&o.Share, "share", 0.7, "`part` of the peak's messages/s that the soak publishes")
	flags.DurationVar(&c.Warmup, "warmup", c.Warmup, "`time` under load before the peak, and before the soak, is measured")
	flags.DurationVar(&c.Duration, "duration", c.Duration, "`time` of the soak, judged by its sixths")
	flags.Float64Var(&m.MemoryFactor, "memory-factor", m.MemoryFactor, "memory of the last sixth: at most the second's times `this`")
	flags.Uint64Var(&memoryMiB, "memory-slack", memoryMiB, "plus so many `MiB`")
	flags.Float64Var(&m.LatencyFactor, "p99-factor", m.LatencyFactor, "p99 of the last sixth: at most the second's times `this`")
	flags.DurationVar(&p99, "p99-slack", p99, "plus so much `time`")
	flags.StringVar(&o.dir, "bin", "", "`folder` of mqttd and floor (default: that of mqttbench)")
	flags.StringVar(&o.out, "out", "", "`folder` for "+fileTable+" and "+fileSoak)
	flags.BoolVar(&o.asJSON, "json", false, "write one JSON object, raw samples included, instead of the table")
	flags.BoolVar(&o.quiet, "q", false, "no progress on standard error")
	if err := parse(flags, args, 0, soakHead, stdout); err != nil {
		return o, err
	}
	c.Subscribers = connections - c.Publishers
	m.MemoryBytes, m.LatencyNs = memoryMiB<<20, p99.Nanoseconds()
	return o, nil
}

// soakBroker plays a soak and writes its table, or JSON.
func soakBroker(ctx context.Context, command, args []string, stdout, stderr io.Writer) error {
	o, err := parseSoak(args, stdout)
	if err != nil {
		return err
	}
	if o.out != "" { // before the work, not after it
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return fmt.Errorf("folder for the reports: %w", err)
		}
	}
	found, missing, err := findPeers(ctx, []string{o.peer}, o.dir, 0, logTo(stderr, o.quiet))
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return usageError("%s is missing: %s", missing[0].Name, missing[0].Why)
	}
	o.Peer, o.Command = found[0], command
	done := func() {}
	if !o.quiet {
		o.OnStage = func(stage string, c bench.Config) func(bench.Sample) {
			done()
			fmt.Fprintf(stderr, "mqttbench: %s of %s, %v\n", stage, o.Peer.Name, c.Duration)
			progress := bench.NewProgress(stderr, isTerminal(stderr), c)
			done = progress.Close
			return progress.Sample
		}
	}
	s, err := soak.Run(ctx, o.Options)
	done()
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w before the soak began", errInterrupted)
	case err != nil:
		return err
	}
	return deliverSoak(s, o, stdout)
}

// deliverSoak writes the reports and says by its error what a reader of the exit code must know.
func deliverSoak(s *soak.Soak, o soakOptions, stdout io.Writer) error {
	var err error
	if o.asJSON {
		err = writeJSON(stdout, s)
	} else {
		err = s.WriteTable(stdout)
	}
	if o.out != "" {
		err = errors.Join(err, writeRaw(o.out, fileSoak, s), writeFile(o.out, fileTable, s.WriteTable))
	}
	switch {
	case err != nil:
		return err
	case s.Interrupted:
		return errInterrupted
	case !s.Passed():
		return errWornOut
	}
	return nil
}

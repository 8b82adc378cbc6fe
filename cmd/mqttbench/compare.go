package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"mqttd/bench"
	"mqttd/bench/compare"
	"mqttd/bench/peer"
	"mqttd/bench/report"
)

const compareHead = `Usage: mqttbench compare [flags]

Starts brokers, plays scenarios against each in turn, round by round, and reports
medians and ratios. Each run has a broker of its own.

Peers: mqttd, mqttd:N (N loops), mosquitto, mosquitto-nodelay, mochi, nats-server,
floor (the physical limit), or any other as 'NAME=COMMAND LINE' with {port} in it;
with sessions on disk: mqttd-interval, mqttd-always, mosquitto-persistent.
`

// sampleInterval is how often a comparison samples, for its pictures over time; chosen.
const sampleInterval = 200 * time.Millisecond

// compareOptions are the command line of mqttbench compare.
type compareOptions struct {
	peers     list
	others    others
	scenarios list
	rounds    int
	loops     int
	dir       string
	out       string
	asJSON    bool
	quiet     bool
	configs   []compare.Scenario
}

// others are peers given by a command line, which may hold commas.
type others []string

func (o *others) String() string     { return strings.Join(*o, " ") }
func (o *others) Set(s string) error { *o = append(*o, s); return nil }

func parseCompare(args []string, stdout io.Writer) (o compareOptions, err error) {
	o.peers = list{"floor", "mqttd:1", "mqttd:2", "mosquitto", "mosquitto-nodelay", "mochi", "nats-server"}
	o.scenarios = list{bench.DefaultScenario}
	var c bench.Config
	flags := newFlags("mqttbench compare")
	flags.Var(&o.peers, "peers", "`names` of the brokers, separated by commas")
	flags.Var(&o.others, "peer", "another broker, as '`NAME=COMMAND LINE`'; may be given several times")
	flags.Var(&o.scenarios, "scenarios", "`names` of the scenarios, separated by commas, or all;\nmqttbench scenarios lists them")
	flags.IntVar(&o.rounds, "rounds", 3, "`number` of runs of each broker in each scenario")
	flags.IntVar(&o.loops, "loops", 0, "`number` of loops of a peer named mqttd (default: the broker's own)")
	flags.StringVar(&o.dir, "bin", "", "`folder` of mqttd and floor (default: that of mqttbench)")
	flags.StringVar(&o.out, "out", "", "`folder` for report.html, comparison.json.gz, tables and pictures")
	addConfig(flags, &c) // zeros: usage shows no default, for the scenario has it
	flags.BoolVar(&o.asJSON, "json", false, "write one JSON object, raw samples included, instead of the table")
	flags.BoolVar(&o.quiet, "q", false, "no progress on standard error")
	if err := parse(flags, args, 0, compareHead+"\nThe flags that describe a load change every scenario.\n", stdout); err != nil {
		return o, err
	}
	if o.loops < 0 || o.loops > 0 && !slices.ContainsFunc(o.peers, takesLoops) {
		return o, usageError("-loops %d is for a peer named mqttd, which is not among %s; mqttd:%d names one with as many loops", o.loops, o.peers.String(), max(o.loops, 1))
	}
	if o.rounds < 1 || o.rounds > compare.RoundsMax {
		return o, usageError("rounds is %d, not within 1 to %d", o.rounds, compare.RoundsMax)
	}
	if len(o.scenarios) == 1 && o.scenarios[0] == "all" {
		o.scenarios = nil
		for _, s := range bench.Scenarios() {
			o.scenarios = append(o.scenarios, s.Name)
		}
	}
	for _, name := range o.scenarios {
		s, err := bench.FindScenario(name)
		if err != nil {
			return o, err
		}
		c, err := override(s, flags, func(c *bench.Config) { c.SampleInterval = sampleInterval })
		if err == nil {
			err = c.Validate()
		}
		if err != nil {
			return o, fmt.Errorf("scenario %s: %w", name, err)
		}
		o.configs = append(o.configs, compare.NewScenario(s, c))
	}
	return o, nil
}

// takesLoops reports whether a peer's number of loops is not in its name.
func takesLoops(name string) bool { return name == "mqttd" || strings.HasPrefix(name, "mqttd-") }

// compareBrokers plays a comparison and writes its reports.
func compareBrokers(ctx context.Context, command, args []string, stdout, stderr io.Writer) error {
	o, err := parseCompare(args, stdout)
	if err != nil {
		return err
	}
	if o.out != "" { // before the work, not after it
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return fmt.Errorf("folder for the reports: %w", err)
		}
	}
	found, missing, err := findPeers(ctx, append([]string(o.peers), o.others...), o.dir, o.loops, logTo(stderr, o.quiet))
	if err != nil {
		return err
	}
	for _, m := range missing {
		fmt.Fprintf(stderr, "mqttbench: %s is left out: %s\n", m.Name, m.Why)
	}
	view := newCompareView(stderr, isTerminal(stderr), o.quiet)
	var rawErr error
	c, err := compare.Run(ctx, compare.Options{
		Peers: found, Missing: missing, Scenarios: o.configs, Rounds: o.rounds, Command: command, OnProgress: view.show,
		OnScenario: func(c *compare.Comparison) {
			if o.out != "" { // an hour's work should not be lost by a power cut
				rawErr = writeRaw(o.out, fileRaw, c)
			}
		},
	})
	view.close()
	if err = errors.Join(err, rawErr); err != nil {
		return err
	}
	return deliver(c, o.out, o.asJSON, stdout)
}

// findPeers returns the peers of names; log is told what takes long, unless it is nil.
func findPeers(ctx context.Context, names []string, dir string, loops int, log io.Writer) ([]peer.Peer, []peer.Missing, error) {
	found, missing, err := peer.Find(ctx, names, peer.Options{Dir: dir, Loops: loops, Log: log})
	switch {
	case errors.Is(err, context.Canceled):
		return nil, nil, fmt.Errorf("%w before the first run", errInterrupted)
	case err != nil:
		return nil, nil, usageError("%s", strings.TrimPrefix(err.Error(), "peer: "))
	}
	return found, missing, nil
}

// logTo returns nil when nothing is to be said.
func logTo(w io.Writer, quiet bool) io.Writer {
	if quiet {
		return nil
	}
	return w
}

// deliver writes the reports and says by its error what a reader of the exit code must know.
func deliver(c *compare.Comparison, out string, asJSON bool, stdout io.Writer) error {
	var err error
	if asJSON {
		err = writeJSON(stdout, c)
	} else {
		err = report.WriteTable(stdout, c)
	}
	if out != "" {
		err = errors.Join(err, writeRaw(out, fileRaw, c), writeReports(out, c))
	}
	switch {
	case err != nil:
		return err
	case c.Interrupted:
		return errInterrupted
	case c.Failed():
		return errIncomplete
	}
	return nil
}

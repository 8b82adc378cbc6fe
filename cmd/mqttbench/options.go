package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"mqttd/bench"
)

// newFlags returns a set of flags that says nothing by itself.
func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// parse parses args, or writes the usage to stdout. The error is of one line and wraps
// bench.ErrConfig, or is flag.ErrHelp.
func parse(flags *flag.FlagSet, args []string, argsMax int, head string, stdout io.Writer) error {
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, head, "\n")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return flag.ErrHelp
	case err != nil:
		return usageError("%s", strings.ReplaceAll(err.Error(), "\n", " "))
	case flags.NArg() > argsMax:
		return usageError("unexpected argument %q; see -h", flags.Arg(argsMax))
	}
	return nil
}

func usageError(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{bench.ErrConfig}, args...)...)
}

// addConfig adds a flag for every number of a scenario.
func addConfig(flags *flag.FlagSet, c *bench.Config) {
	flags.IntVar(&c.Publishers, "publishers", c.Publishers, "`number` of publishing connections")
	flags.IntVar(&c.Subscribers, "subscribers", c.Subscribers, "`number` of subscribing connections")
	flags.StringVar(&c.Topic, "topic", c.Topic, "`topic` published to; %i becomes the publisher's index,\nand subscriber i reads topic i modulo publishers;\n%j becomes the topic's index, see -topics")
	flags.IntVar(&c.Topics, "topics", c.Topics, "`number` of topics that each publisher takes in turn")
	flags.StringVar(&c.Filter, "filter", c.Filter, "topic `filter` of every subscriber, e.g. bench/#, with %i and %j\nas in -topic (default: the topic)")
	flags.IntVar(&c.PayloadBytes, "payload", c.PayloadBytes, fmt.Sprintf("payload's size in `bytes`, at least %d for its header", bench.PayloadBytesMin))
	flags.Float64Var(&c.RatePerSecond, "rate", c.RatePerSecond, "`messages/s` over all publishers, latency from the intended\nsend time (open loop); 0: as fast as the window allows (closed loop)")
	flags.IntVar(&c.Window, "window", c.Window, "`messages` that not every subscriber has received yet, or whose\npublisher waits for the acknowledgement, over all publishers,\nin a closed loop")
	flags.BoolVar(&c.ConnectPerMessage, "connect-per-message", c.ConnectPerMessage, "publishers connect, publish one message, disconnect, each time")
	flags.IntVar(&c.Connects, "connects", c.Connects, "`number` of connections being opened at the same time")
	flags.Float64Var(&c.ConnectsPerSecond, "connect-rate", c.ConnectsPerSecond, "`connections/s` opened at most; 0: no bound")
	flags.Var((*list)(&c.Sources), "source", "local `addresses` that connections come from, separated by commas,\ntaken in turn, when the ports of one run out")
	flags.DurationVar(&c.Duration, "duration", c.Duration, "`time` to measure")
	flags.DurationVar(&c.Warmup, "warmup", c.Warmup, "`time` under load before the measurement")
	flags.DurationVar(&c.SampleInterval, "sample", c.SampleInterval, "`time` between two samples")
	flags.IntVar(&c.QoS, "qos", c.QoS, "quality of service of publishers and subscribers, 0 to 2")
	flags.BoolVar(&c.Persistent, "persistent", c.Persistent, "subscribers connect with Clean Session 0; they unsubscribe at the\nend, and a session without subscriptions stays for each")
}

// override returns the scenario's configuration with the flags that were given on the command line.
// base changes the scenario's before that.
func override(s bench.Scenario, given *flag.FlagSet, base func(c *bench.Config)) (bench.Config, error) {
	c := s.Config()
	base(&c)
	known := newFlags(s.Name)
	addConfig(known, &c)
	var err error
	given.Visit(func(f *flag.Flag) {
		if known.Lookup(f.Name) == nil || err != nil {
			return
		}
		err = known.Set(f.Name, f.Value.String())
	})
	return c, err
}

// list is a flag of words separated by commas.
type list []string

func (l *list) String() string { return strings.Join(*l, ",") }

func (l *list) Set(text string) error {
	*l = strings.Split(text, ",")
	return nil
}

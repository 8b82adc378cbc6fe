package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"mqttd/bench"
)

// options are the command line.
type options struct {
	config  bench.Config
	json    bool
	quiet   bool
	version bool
	flags   *flag.FlagSet
}

// parseOptions reads a command line, program name first. The error, if any, is of one line.
func parseOptions(args []string) (options, error) {
	o := options{config: bench.DefaultConfig(), flags: flag.NewFlagSet(args[0], flag.ContinueOnError)}
	o.flags.SetOutput(io.Discard)
	c := &o.config
	c.Command = args
	o.flags.StringVar(&c.Host, "host", c.Host, "broker's `name` or address")
	o.flags.IntVar(&c.Port, "port", c.Port, "broker's TCP `port`")
	o.flags.IntVar(&c.Publishers, "publishers", c.Publishers, "`number` of publishing connections")
	o.flags.IntVar(&c.Subscribers, "subscribers", c.Subscribers, "`number` of subscribing connections")
	o.flags.StringVar(&c.Topic, "topic", c.Topic, "`topic` published to; %i becomes the publisher's index,\nand subscriber i reads topic i modulo publishers")
	o.flags.StringVar(&c.Filter, "filter", c.Filter, "topic `filter` of every subscriber, e.g. bench/# (default: the topic)")
	o.flags.IntVar(&c.PayloadBytes, "payload", c.PayloadBytes, fmt.Sprintf("payload's size in `bytes`, at least %d for its header", bench.PayloadBytesMin))
	o.flags.Float64Var(&c.RatePerSecond, "rate", c.RatePerSecond, "`messages/s` over all publishers, latency from the intended\nsend time (open loop); 0: as fast as the window allows (closed loop)")
	o.flags.IntVar(&c.Window, "window", c.Window, "`messages` that not every subscriber has received yet,\nover all publishers, in a closed loop")
	o.flags.DurationVar(&c.Duration, "duration", c.Duration, "`time` to measure")
	o.flags.DurationVar(&c.Warmup, "warmup", c.Warmup, "`time` under load before the measurement")
	o.flags.IntVar(&c.QoS, "qos", c.QoS, "quality of service; only 0 for now")
	o.flags.IntVar(&c.PID, "pid", c.PID, "broker's `process` for CPU and memory, without its children\n(default: who listens on the port, on this machine)")
	o.flags.BoolVar(&o.json, "json", false, "write one JSON object instead of the table")
	o.flags.BoolVar(&o.quiet, "q", false, "no progress on standard error")
	o.flags.BoolVar(&o.version, "version", false, "print the version and exit")
	if err := o.flags.Parse(args[1:]); err != nil {
		return o, oneLine(err)
	}
	if o.flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; see -h", o.flags.Arg(0))
	}
	if o.version {
		return o, nil
	}
	return o, o.config.Validate()
}

func oneLine(err error) error {
	if err == flag.ErrHelp || !strings.Contains(err.Error(), "\n") {
		return err
	}
	return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), "\n", " "))
}

func (o options) usage(w io.Writer) {
	fmt.Fprint(w, "Usage: mqttbench [flags]\n\nMeasures an MQTT broker that is already running.\n\n")
	o.flags.SetOutput(w)
	o.flags.PrintDefaults()
}

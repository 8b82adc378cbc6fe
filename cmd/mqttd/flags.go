package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/rs/zerolog"

	"mqttd/reactor"
	"mqttd/reactor/admin"
)

// options is what the command line says.
type options struct {
	config    reactor.Config // Log is not set yet
	logLevel  zerolog.Level
	logFormat string        // "auto", "console" or "json"
	admin     admin.Options // without an Address: off
	done      bool          // -h or -version was answered
}

// parseFlags reads the command line. Answers to -h and -version go to out. The error is one
// line that names the flag and what it accepts.
func parseFlags(args []string, out io.Writer) (options, error) {
	o := options{config: reactor.DefaultConfig(), admin: admin.Options{Top: 10, Version: version}}
	c := &o.config
	set := flag.NewFlagSet("mqttd", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.IntVar(&c.Port, "port", c.Port, "TCP `port` to listen on; 0 takes a free one")
	set.StringVar(&c.Host, "host", c.Host, "`address` to listen on (default all addresses)")
	set.IntVar(&c.Loops, "loops", c.Loops, "`number` of event loops, one per CPU unless set")
	set.IntVar(&c.MaxClients, "max-clients", c.MaxClients, "`number` of client slots")
	set.DurationVar(&c.ConnectTimeout, "connect-timeout", c.ConnectTimeout,
		"`time` a connection may take to send CONNECT, such as 10s")
	set.IntVar(&c.ConnectRate, "connect-rate", c.ConnectRate,
		"`connections` accepted per second; those above it wait, and are closed when too many wait; 0: no bound")
	set.IntVar(&c.ConnectBurst, "connect-burst", c.ConnectBurst, "`connections` accepted at once after a quiet time")
	set.Var(size{&c.ConnectBytesMax}, "max-connect-size", "largest CONNECT accepted, in `bytes`, as in 65536 or 64KiB")
	set.Var(size{&c.MaxPacketBytes}, "max-packet-size", "largest packet accepted after that, in `bytes`")
	set.IntVar(&c.ClientIDBytesMax, "max-client-id", c.ClientIDBytesMax, "longest Client Identifier, in `bytes`")
	set.Var(size{&c.WillBytesMax}, "max-will-size", "largest payload of a Will, in `bytes`")
	set.Var(size{&c.ClientBufferBytes}, "client-buffer", "`bytes` that may wait for one slow reader")
	set.Var(size{&c.TotalBufferBytes}, "total-buffer",
		"`bytes` that may wait for all readers; beyond it the one for which most waits is closed;\n"+
			"0: a quarter of the memory, 1GiB at most")
	set.Func("slow-policy", "`policy` for a reader whose buffer is full: drop-newest, drop-oldest, conflate (keep the\n"+
		"newest message of each topic), disconnect (default drop-newest)", func(name string) (err error) {
		c.SlowPolicy, err = reactor.ParseSlowPolicy(name)
		return err
	})
	set.DurationVar(&c.StallTimeout, "stall-timeout", c.StallTimeout,
		"`time` a reader for which something waits may take nothing until it is closed")
	set.IntVar(&c.Topics.Bytes, "max-topic-length", c.Topics.Bytes, "longest topic and filter, in `bytes`")
	set.IntVar(&c.Topics.Levels, "max-topic-levels", c.Topics.Levels, "`number` of levels of a topic and a filter at most")
	set.IntVar(&c.FiltersMax, "max-filters", c.FiltersMax, "`number` of filters of one client")
	set.IntVar(&c.SubscribeFiltersMax, "max-subscribe-filters", c.SubscribeFiltersMax, "`number` of filters in one SUBSCRIBE")
	set.IntVar(&c.RetainedMessagesMax, "max-retained", c.RetainedMessagesMax, "`number` of retained messages")
	set.Var(size{&c.RetainedBytesMax}, "max-retained-bytes", "`bytes` of retained messages, with their topics")
	set.IntVar(&c.MaxInflight, "max-inflight", c.MaxInflight,
		"`number` of QoS 1 and 2 messages on their way to a client and not acknowledged")
	set.IntVar(&c.QueuedMessagesMax, "max-queued-messages", c.QueuedMessagesMax,
		"`number` of QoS 1 and 2 messages that may wait for one client, connected or not")
	set.Var(size{&c.QueuedBytesMax}, "max-queued-bytes", "`bytes` of these")
	set.Var(size{&c.TotalQueueBytes}, "total-queue",
		"`bytes` that may wait in the queues of all clients; 0: a quarter of the memory, 1GiB at most")
	set.IntVar(&c.SessionsMax, "max-sessions", c.SessionsMax,
		"`number` of sessions kept of clients that are away; 0: half of -max-clients")
	set.DurationVar(&c.SessionExpiry, "session-expiry", c.SessionExpiry,
		"`time` a session is kept of a client that is away")
	set.StringVar(&c.DataDir, "data-dir", c.DataDir,
		"`directory` in which sessions and retained messages outlive the broker (default none: all is in memory)")
	set.StringVar(&c.Sync, "sync", c.Sync, "`when` what is kept in -data-dir reaches the disk: always, before it is\n"+
		"acknowledged, or interval")
	set.DurationVar(&c.SyncInterval, "sync-interval", c.SyncInterval, "with -sync interval: `time` between two writes to the disk")
	set.IntVar(&c.LogLinesPerSecond, "log-rate", c.LogLinesPerSecond,
		"log `lines` a second of each kind whose number clients decide; the rest is counted")
	set.DurationVar(&c.SysInterval, "sys-interval", c.SysInterval,
		"`time` between two rounds of $SYS messages, such as 10s; 0 turns them off")
	set.StringVar(&o.admin.Address, "admin", "",
		"`host:port` of metrics, health and the API, over HTTP without a login;\n"+
			"without a host on the loopback only (default off)")
	set.BoolVar(&o.admin.Pprof, "pprof", false, "with -admin: serve Go's profiles under /debug/pprof/")
	set.IntVar(&o.admin.Top, "top", o.admin.Top,
		"`number` of clients with the largest losses that have metrics of their own")
	level := set.String("log-level", "info", "least `level` that is logged: trace, debug, info, warn, error")
	set.StringVar(&o.logFormat, "log-format", "auto", "`format` of the log: console, json, or auto: console on a terminal")
	version := set.Bool("version", false, "print the version and exit")

	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		o.done = true
		usage(set, out)
		return o, nil
	case err != nil:
		return o, err
	case set.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q: all settings are flags", set.Arg(0))
	case *version:
		o.done = true
		fmt.Fprintln(out, versionLine())
		return o, nil
	}
	var err error
	if o.logLevel, err = parseLevel(*level); err != nil {
		return o, err
	}
	if o.logFormat != "auto" && o.logFormat != "console" && o.logFormat != "json" {
		return o, fmt.Errorf("log-format %q: want console, json or auto", o.logFormat)
	}
	if err := errors.Join(c.Validate(), o.admin.Validate()); err != nil {
		return o, errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return o, nil
}

func parseLevel(name string) (zerolog.Level, error) {
	switch name {
	case "trace", "debug", "info", "warn", "error":
		return zerolog.ParseLevel(name)
	}
	return zerolog.NoLevel, fmt.Errorf("log-level %q: want trace, debug, info, warn or error", name)
}

func usage(set *flag.FlagSet, out io.Writer) {
	fmt.Fprintf(out, "mqttd is an MQTT broker for high fan-out on a LAN.\n\nUsage: mqttd [flags]\n\n")
	set.SetOutput(out)
	set.PrintDefaults()
	fmt.Fprintf(out, "\nExit codes: 0 clean stop, 1 failed at run time, 2 wrong usage, 75 port taken or too few descriptors.\n"+
		"Signals: TERM and INT stop gracefully, a second one at once; HUP does nothing yet.\n")
}

// version is set by the linker, see Makefile.
var version = "dev"

func versionLine() string {
	return fmt.Sprintf("mqttd %s %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

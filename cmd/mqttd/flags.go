package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/rs/zerolog"
)

// command is what the command line says.
type command struct {
	flags []given // in the order in which they stand there
	file  string  // -c; empty: none
	test  bool    // -test-config
	dump  bool    // -dump-config
	done  bool    // -h or -version was answered
}

// parseCommand reads the command line. Answers to -h and -version go to out. The error is one line that names the
// flag and what it accepts.
func parseCommand(args []string, out io.Writer) (command, error) {
	var c command
	var help, versionAsked, daemon bool
	set := flag.NewFlagSet("mqttd", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	scratch := defaultOptions()
	for _, s := range settings {
		recorder := &recorder{command: &c, setting: s, value: s.value(&scratch)}
		set.Var(recorder, s.flag, s.help)
		if s.alias != "" {
			set.Var(recorder, s.alias, s.help)
		}
	}
	for _, name := range []string{"c", "config", "config-file"} {
		set.Func(name, "", func(file string) error {
			if file == "" {
				return errors.New("want the name of a file")
			}
			c.file = file
			return nil
		})
	}
	shorthands := map[string]string{"v": "debug", "verbose": "debug", "q": "error", "quiet": "error"}
	for name, text := range shorthands {
		set.BoolFunc(name, "", func(string) error {
			c.flags = append(c.flags, given{settingOf("log-level"), text, origin{source: fromFlag, name: name}})
			return nil
		})
	}
	set.BoolVar(&c.test, "test-config", false, "")
	set.BoolVar(&c.dump, "dump-config", false, "")
	set.BoolVar(&help, "h", false, "")
	set.BoolVar(&help, "help", false, "")
	set.BoolVar(&versionAsked, "version", false, "")
	set.BoolVar(&daemon, "d", false, "")
	set.BoolVar(&daemon, "daemon", false, "")

	switch err := set.Parse(args); {
	case err != nil:
		return c, err
	case help:
		c.done = true
		usage(out)
	case versionAsked:
		c.done = true
		fmt.Fprintln(out, versionLine())
	case daemon:
		return c, errors.New("-d: mqttd stays in the foreground; systemd, a container or a shell's & puts it " +
			"in the background")
	case set.NArg() > 0:
		return c, fmt.Errorf("unexpected argument %q: all settings are flags, a configuration file is given with -c",
			set.Arg(0))
	}
	return c, nil
}

// recorder is a flag that keeps what it is set to, if that can be read.
type recorder struct {
	command *command
	setting *setting
	value   flag.Value // to try on
}

func (r *recorder) String() string { return "" }

// IsBoolFlag says that the flag may stand without a value.
func (r *recorder) IsBoolFlag() bool {
	_, is := r.value.(toggle)
	return is
}

func (r *recorder) Set(text string) error {
	if err := r.value.Set(text); err != nil {
		return err
	}
	at := origin{source: fromFlag, name: r.setting.flag}
	r.command.flags = append(r.command.flags, given{r.setting, text, at})
	return nil
}

func parseLevel(name string) (zerolog.Level, error) {
	switch name {
	case "trace", "debug", "info", "warn", "error":
		return zerolog.ParseLevel(name)
	}
	return zerolog.NoLevel, fmt.Errorf("log-level %q: want trace, debug, info, warn or error", name)
}

func usage(out io.Writer) {
	fmt.Fprint(out, "mqttd is an MQTT broker for high fan-out on a LAN.\n\nUsage: mqttd [flags]\n\n"+
		"  -c, -config, -config-file file\n    \tconfiguration in YAML: "+
		"what -dump-config prints; sent HUP, mqttd reads it again\n"+
		"  -test-config\n    \tlook for faults in file, environment and flags, and exit: 0, 78 when file or\n"+
		"    \tenvironment have any, 2 when only flags have\n"+
		"  -dump-config\n    \tprint the configuration in force as a file, with where each value comes from, and exit\n"+
		"  -v, -verbose\n    \t-log-level debug\n"+
		"  -q, -quiet\n    \t-log-level error\n"+
		"  -version\n    \tprint the version and exit\n"+
		"  -h, -help\n    \tprint this and exit\n\n")
	defaults := defaultOptions()
	for _, s := range settings {
		value := s.value(&defaults)
		called, help := flag.UnquoteUsage(&flag.Flag{Usage: s.help, Value: value})
		names := "-" + s.flag
		if s.alias != "" {
			names += ", -" + s.alias
		}
		if _, is := value.(toggle); !is {
			names += " " + called
		}
		fmt.Fprintf(out, "  %s\n    \t%s%s\n", names, strings.ReplaceAll(help, "\n", "\n    \t"), defaultNote(s, &defaults))
	}
	fmt.Fprintf(out, "\nIn the file -max-packet-size is max_packet_size, in the environment %s; README.md has the table.\n"+
		"Flags win over the environment, and that over the file.\n"+
		"Exit codes: 0 clean stop, 1 failed at run time or stopped by a second signal, 2 wrong usage, 75 taken or\n"+
		"missing: the port, that of -admin, the data directory, descriptors, 78 wrong configuration file or\n"+
		"environment.\n"+
		"Signals: TERM and INT stop gracefully, a second one at once; HUP reads the file of -c again.\n",
		settingOf("max-packet-size").variable())
}

// defaultNote says what holds when nothing is given.
func defaultNote(s *setting, defaults *options) string {
	value := s.value(defaults)
	if _, is := value.(toggle); is {
		return ""
	}
	if s.unset != "" {
		return " (default " + s.unset + ")"
	}
	return " (default " + value.String() + ")"
}

// version is set by the linker, see Makefile.
var version = "dev"

func versionLine() string {
	return fmt.Sprintf("mqttd %s %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// Command mqttd is an MQTT broker for high fan-out on a LAN.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Exit codes of the command.
const (
	exitOK       = 0
	exitFailed   = 1  // failed at run time, or ended by a second signal
	exitUsage    = 2  // a flag is wrong
	exitTryAgain = 75 // a port or the data directory is taken, or descriptors are too few: later it may work
	exitConfig   = 78 // the configuration file or the environment is wrong
)

func main() {
	c, err := parseCommand(os.Args[1:], os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "mqttd: %v (mqttd -h lists the flags)\n", err)
		os.Exit(exitUsage)
	case c.done:
		os.Exit(exitOK)
	}
	config, faults := c.configure(os.Environ())
	switch {
	case len(faults) > 0:
		os.Exit(complain(faults, os.Stderr))
	case c.dump:
		if err := dump(&config, os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "mqttd: the configuration is not written: %v\n", err)
			os.Exit(exitFailed)
		}
		os.Exit(exitOK)
	case c.test:
		fmt.Println("the configuration is valid")
		os.Exit(exitOK)
	}
	os.Exit(serve(c, config))
}

// faultsMax bounds the faults that are told of: of so many, most are consequences of the first ones. (chosen)
const faultsMax = 50

// complain tells of faults, a line each but for those of the command line, and returns the exit code.
func complain(faults []fault, out io.Writer) int {
	code := exitUsage
	var ofFlags []string
	for _, f := range bounded(faults) {
		if f.origin.source == fromFile || f.origin.source == fromEnvironment {
			code = exitConfig
			fmt.Fprintf(out, "mqttd: %v\n", f)
		} else {
			ofFlags = append(ofFlags, f.String())
		}
	}
	if len(ofFlags) > 0 {
		fmt.Fprintf(out, "mqttd: %s (mqttd -h lists the flags)\n", strings.Join(ofFlags, "; "))
	}
	return code
}

// bounded cuts a list of faults, which then ends with how many there are more.
func bounded(faults []fault) []fault {
	if more := len(faults) - faultsMax; more > 1 {
		last := faults[faultsMax].origin
		last.line = 0
		return append(faults[:faultsMax:faultsMax], fault{last, fmt.Sprintf("%d more faults", more)})
	}
	return faults
}

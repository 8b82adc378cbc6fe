// Command mqttd is an MQTT broker for high fan-out on a LAN.
package main

import (
	"fmt"
	"os"
)

// Exit codes of the command.
const (
	exitOK       = 0
	exitFailed   = 1  // failed at run time, or ended by a second signal
	exitUsage    = 2  // a flag is wrong
	exitTryAgain = 75 // port taken or too few descriptors: starting again later may work
)

func main() {
	o, err := parseFlags(os.Args[1:], os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "mqttd: %v (mqttd -h lists the flags)\n", err)
		os.Exit(exitUsage)
	case o.done:
		os.Exit(exitOK)
	}
	os.Exit(serve(o))
}

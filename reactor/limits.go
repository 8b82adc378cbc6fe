package reactor

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits are the numbers in force after the process's descriptor limit was seen.
type Limits struct {
	MaxClients  int    // slots; at most Config.MaxClients
	Connections int    // open sockets, those not yet connected and those about to be refused included
	Descriptors uint64 // the process's limit

	TotalBufferBytes int // of what waits for all readers together; set by Server.Limits
	TotalQueueBytes  int // of QoS 1 and 2 messages that wait for all clients together; set by Server.Limits
	Sessions         int // of clients that are away
}

const (
	// descriptorMargin is left for files, pollers and what the Go runtime opens. (chosen)
	descriptorMargin = 64
	// descriptorsPerLoop are an epoll set, an eventfd, both ends of the doorbell, and the second
	// descriptor of a connection on its way to the loop.
	descriptorsPerLoop = 5
	// descriptorsOfAcceptor are the listener, the second descriptors of more connections on their
	// way, and one accepted before it is refused or before there is room on the way.
	descriptorsOfAcceptor = 2 + enrollingMax
	// refusalRoom is how many connections beyond the slots may be open, so that a client
	// that finds the server full is told so with CONNACK 0x03. (chosen)
	refusalRoom = 256
)

// raiseDescriptorLimit lifts the process's soft limit to the hard one and returns it.
func raiseDescriptorLimit() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the descriptor limit: %w", err)
	}
	if limit.Cur < limit.Max {
		raised := unix.Rlimit{Cur: limit.Max, Max: limit.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	return limit.Cur, nil
}

// fitLimits returns the limits that hold with so many descriptors: a client is better told that the
// server is full than left in the backlog.
func fitLimits(descriptors uint64, loops, maxClients int) (Limits, error) {
	spare := int64(descriptorMargin + descriptorsOfAcceptor + descriptorsPerLoop*loops)
	usable := int64(min(descriptors, 1<<30)) - spare
	if usable < 2 {
		return Limits{}, fmt.Errorf("the descriptor limit of %d is too small for %d loops: raise it (ulimit -n) to %d at least",
			descriptors, loops, spare+2)
	}
	room := min(refusalRoom, max(1, usable/8))
	clients := min(int64(maxClients), usable-room)
	return Limits{MaxClients: int(clients), Connections: int(clients + room), Descriptors: descriptors}, nil
}

// quarterMax is the most that a quarter of the memory is taken for.
const quarterMax = 1 << 30

// orQuarter returns a bound of memory: as it is configured, or a quarter of the memory.
func orQuarter(configured int) int {
	if configured > 0 {
		return configured
	}
	return max(int(min(quarterMax, Memory()/4)), ClientBufferBytesMin)
}

// Memory returns how many bytes of memory the system has, or the container may take.
func Memory() uint64 {
	total := uint64(4 * quarterMax)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		total = info.Totalram * uint64(info.Unit)
	}
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil { // in a container
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
			total = min(total, n)
		}
	}
	return total
}

package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// nowNs returns the monotonic time. It is the clock of every latency.
func nowNs() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail
	return ts.Nano()
}

// clocks read CPU time to the nanosecond, where /proc has only ticks of 10 ms.
type clocks struct {
	brokerPID int // 0: not measured
}

// read fills in the CPU times. loopCPU is that of the calling thread.
func (c clocks) read(to *counters) error {
	to.loopCPU, _ = cpuTime(unix.CLOCK_THREAD_CPUTIME_ID)
	to.processCPU, _ = cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID)
	if c.brokerPID == 0 {
		return nil
	}
	cpu, err := cpuTime(processClock(c.brokerPID))
	if err != nil {
		return fmt.Errorf("bench: the broker's process %d is gone: %w", c.brokerPID, err)
	}
	to.brokerCPU = cpu
	return nil
}

// processClock is what clock_getcpuclockid(3) computes: CPU time of all threads of a process,
// children excluded.
func processClock(pid int) int32 {
	const cpuClockSched = 2
	return int32(^pid<<3 | cpuClockSched)
}

func cpuTime(clock int32) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

// waitTime returns how long a thread of this process was ready to run while no processor was free; 0
// where the kernel does not tell.
//
//	/proc/self/task/TID/schedstat: ns on a processor, ns waiting for one, number of turns
func waitTime(tid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", tid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) != 3 {
		return 0
	}
	ns, _ := strconv.ParseInt(fields[1], 10, 64)
	return time.Duration(ns)
}

package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	timerSlack = 100 * time.Millisecond // chosen: a signal ends the process after about two of it
	slackSet   = "FLOOR_TIMER_SLACK"
)

// execWithSlack replaces the process by itself, with the same process id, when its timers are still
// precise. The Go scheduler's monitor wakes up a hundred times a second and has the loop's thread
// yield, which is 4 % of the CPU time at a low rate. It inherits the slack, and then wakes up ten
// times less; nothing here waits for a timer. Where this fails, that cost stays.
func execWithSlack() {
	if os.Getenv(slackSet) != "" {
		return
	}
	program, err := os.Executable()
	if err != nil {
		return
	}
	if unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack.Nanoseconds()), 0, 0, 0) == nil {
		_ = unix.Exec(program, os.Args, append(os.Environ(), slackSet+"=1"))
	}
}

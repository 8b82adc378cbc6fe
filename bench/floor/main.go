// Command floor is the physical limit that the ratios in bench/results refer to: it does what any
// QoS 0 fan-out broker must do on this machine, and nothing else.
//
// It reads PUBLISH frames, finds where each ends, appends them to their topic's bytes, and sends
// each subscriber those bytes once per topic and epoll round. One locked thread, raw epoll, raw
// system calls, no allocation per message.
//
// It leaves out what makes a broker: sessions, Client Identifiers, Keep Alive, Wills, retained
// messages, QoS 1 and 2, MQTT 5.0, access control, and most checks. A filter that ends in '#'
// matches everything. What would be measured wrongly is refused: a filter with '+' by its SUBACK
// return code, a PUBLISH above QoS 0 and any other packet by closing the connection.
//
//	go build -o /tmp/floor ./bench/floor
//	/tmp/floor -port 1899          # one send per subscriber, topic and epoll round
//	/tmp/floor -port 1899 -each    # one send per delivery: what a broker that does not batch pays
//
// Run it beside the broker under test, with the same load, interleaved, and quote ratios.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Exit codes; exitPortTaken is EX_TEMPFAIL of sysexits.h.
const (
	exitOK        = 0
	exitFailed    = 1
	exitUsage     = 2
	exitPortTaken = 75
)

// init keeps main on the process' first thread, whose descriptors are those in /proc/PID/fd: there
// mqttbench looks for who holds the listening socket.
func init() { runtime.LockOSThread() }

func main() {
	port := flag.Int("port", 1899, "TCP `port` on 127.0.0.1; 0: any free one")
	each := flag.Bool("each", false, "one send per delivery instead of one per epoll round")
	flag.Parse()
	if flag.NArg() > 0 || *port < 0 || *port > 65535 {
		fmt.Fprintln(os.Stderr, "floor: takes no arguments, and a port between 0 and 65535")
		flag.Usage()
		os.Exit(exitUsage)
	}
	if err := run(*port, *each); errors.Is(err, unix.EADDRINUSE) {
		exit(exitPortTaken, err)
	} else if err != nil {
		exit(exitFailed, err)
	}
}

func exit(code int, err error) {
	fmt.Fprintln(os.Stderr, "floor:", err)
	os.Exit(code)
}

func run(port int, each bool) error {
	execWithSlack()
	exitOnSignal()
	if err := ownThread(); err != nil {
		return err
	}
	listener, port, err := listen(port)
	if err != nil {
		return err
	}
	l, err := newLoop(listener, each)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "floor listens on 127.0.0.1:%d\n", port)
	return l.run()
}

func exitOnSignal() {
	runtime.GOMAXPROCS(2) // the loop never gives its P back, even on a machine with one CPU
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	go func() {
		<-signals
		unix.Exit(exitOK) // os.Exit sleeps in a race build, and longer by the timer slack
	}()
}

// ownThread takes away what the Go runtime costs this thread and a C program would not pay.
func ownThread() error {
	// A collection would wait for a loop that blocks in raw calls. Nothing is allocated per
	// message, and bytes are kept outside of the heap (see buffer).
	debug.SetGCPercent(-1)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("descriptor limit: %w", err)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("descriptor limit: %w", err)
	}
	// The scheduler asks for preemption by SIGURG, which would end epoll_wait a hundred times a
	// second. SIGINT and SIGTERM go to the other threads.
	var blocked unix.Sigset_t
	for _, s := range []unix.Signal{unix.SIGURG, unix.SIGINT, unix.SIGTERM} {
		blocked.Val[0] |= 1 << (s - 1)
	}
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &blocked, nil); err != nil {
		return fmt.Errorf("signal mask: %w", err)
	}
	// A descriptor table of its own: the kernel then counts no references to a file for each
	// call, as in a program with one thread. Where this is forbidden, calls cost a little more.
	_ = unix.Unshare(unix.CLONE_FILES)
	return nil
}

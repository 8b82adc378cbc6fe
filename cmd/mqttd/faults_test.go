package main_test

import (
	"flag"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The fault tests: one kind of misbehaviour each, against the built broker, while a witness beside it
// publishes and subscribes as a client should. The witness must not notice, and the broker must give
// back what the fault cost it. Each test reports one line, see report.

var faultSizes = flag.String("faults", "short", "sizes of the fault tests: short or full, which takes minutes")

const (
	// faultPatience is how long a fault test waits for what must happen. (chosen: hundreds of times
	// what it takes)
	faultPatience = time.Minute
	// neverTimeout is a time-out of the broker's that is not to end anything during a test.
	neverTimeout = "1h"
	// witnessP99Max and witnessP99MaxShort are bounds on the disturbance of a healthy client, on top of twice what the
	// witness was late by its own fault: then the machine is too busy to tell. What was measured is reported. The
	// second one is for tests that run beside others. (chosen)
	witnessP99Max      = time.Second
	witnessP99MaxShort = 10 * time.Second
	// memorySlack is what the garbage collector may leave lying on top of what a test allows. (chosen)
	memorySlack = 16 << 20
	// raceMemory and raceTime are how many times its usual memory and time a broker with the race detector may
	// take, roughly by the detector's documentation.
	raceMemory, raceTime = 10, 5
)

// sized returns the size that the flag asks for.
func sized[T any](short, full T) T {
	if *faultSizes == "full" {
		return full
	}
	return short
}

// busyFor returns a function that reports whether to go on: for so long, and then until it is enough or patience has
// ended. Any goroutine may call it.
func busyFor(howLong time.Duration, enough func() bool) func() bool {
	begun := time.Now()
	return func() bool {
		passed := time.Since(begun)
		return passed < howLong || passed < howLong+faultPatience && !enough()
	}
}

// fault is a running fault test. It may be used by the test's goroutine only.
type fault struct {
	*broker
	t       *testing.T
	name    string
	witness *witness
	before  footprint // of the broker with the witness alone
}

// beginFault starts a broker of two loops, with more flags, and the witness. Short ones run side by side.
func beginFault(t *testing.T, name string, arguments ...string) *fault {
	t.Helper()
	return beginFaultWith(t, name, append([]string{brokerProgram}, arguments...)...)
}

// beginFaultWith is beginFault with a command line that ends in the flags of the broker.
func beginFaultWith(t *testing.T, name string, command ...string) *fault {
	t.Helper()
	require.Contains(t, []string{"short", "full"}, *faultSizes, "-faults")
	requireOwnBroker(t)
	if *faultSizes == "short" {
		t.Parallel()
	}
	return watch(t, name, startBrokerWith(t, "0", command...))
}

// startBrokerWith starts a broker of two loops, which has patience with clients on a busy machine, unless the command
// line says otherwise. It takes from the broker's log which port it has.
func startBrokerWith(t *testing.T, port string, command ...string) *broker {
	t.Helper()
	b := &broker{host: "127.0.0.1"}
	command = append(command, "-host", b.host, "-port", port, "-log-level", "debug")
	for flag, value := range map[string]string{
		"-loops": "2", "-connect-timeout": neverTimeout, "-stall-timeout": neverTimeout,
	} {
		if !slices.Contains(command, flag) {
			command = append(command, flag, value)
		}
	}
	b.process = startProcess(t, nil, command[0], command[1:]...)
	t.Cleanup(func() { b.stop(t) })
	require.Eventually(t, func() bool {
		if listens := listenerLogged.FindStringSubmatch(b.log.String()); listens != nil {
			b.port = listens[1]
		}
		return b.port != "" || b.hasExited()
	}, faultPatience, 5*time.Millisecond, "the broker listens")
	require.NotEmpty(t, b.port, "the broker ended at once")
	return b
}

// listenerLogged is in the broker's log, in either format, when clients can connect.
var listenerLogged = regexp.MustCompile(`listener(?:":"|=)127\.0\.0\.1:(\d+)`)

// watch puts a witness beside a broker and takes the broker's measure.
func watch(t *testing.T, name string, b *broker) *fault {
	t.Helper()
	f := &fault{broker: b, t: t, name: name, witness: startWitness(t, b)}
	f.witness.settle(t)
	f.resetPeak(t)
	f.before = f.footprint(t)
	return f
}

// growsAtMost checks that the broker's memory has at no time been larger than before by more than
// so many bytes and the garbage collector's slack.
func (f *fault) growsAtMost(bytes int) {
	f.t.Helper()
	allowed := bytes + memorySlack
	if raceDetector() {
		allowed *= raceMemory
	}
	now := f.footprint(f.t)
	f.t.Logf("%s: peak of memory %d KiB above %d KiB, allowed %d KiB",
		f.name, (now.peak-f.before.rss)>>10, f.before.rss>>10, allowed>>10)
	assert.LessOrEqual(f.t, now.peak-f.before.rss, allowed, "%s: memory grew", f.name)
}

// end checks, when the test has closed its faulty connections, that the broker has closed them too and
// that the witness was served as it should be.
func (f *fault) end() {
	f.t.Helper()
	f.releases(0)
	f.report()
}

// releases waits until the broker has no more descriptors open than before, but for so many.
func (f *fault) releases(extra int) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		return f.footprint(f.t).descriptors <= f.before.descriptors+extra
	}, faultPatience, 20*time.Millisecond, "%s: connections that are gone still have descriptors", f.name)
}

// report ends the witness, writes the line of the table, and judges.
func (f *fault) report() {
	f.t.Helper()
	after := f.footprint(f.t)
	v := f.witness.stop(f.t)
	const mib = 1 << 20
	f.t.Logf("fault=%s sent=%d delivered=%d lost=%d twice=%d p50=%v p99=%v max=%v late=%v "+
		"rss_before=%.1fMiB rss_after=%.1fMiB rss_peak=%.1fMiB fds_before=%d fds_after=%d threads_before=%d threads_after=%d",
		f.name, v.sent, v.delivered, v.lost, v.disordered, v.p50, v.p99, v.max, v.late,
		float64(f.before.rss)/mib, float64(after.rss)/mib, float64(after.peak)/mib,
		f.before.descriptors, after.descriptors, f.before.threads, after.threads)
	assert.NotZero(f.t, v.sent, "%s: the witness has seen something", f.name)
	assert.Empty(f.t, v.faults, "%s: what the witness noticed", f.name)
	assert.Zero(f.t, v.lost, "%s: the witness's messages that were lost", f.name)
	assert.Zero(f.t, v.disordered, "%s: the witness's messages that came twice or out of order", f.name)
	p99Max := sized(witnessP99MaxShort, witnessP99Max)
	if raceDetector() {
		p99Max *= raceTime
	}
	assert.Less(f.t, v.p99, p99Max+2*v.late, "%s: the witness's latency", f.name)
}

// awaitLog waits until the broker's log has said something, from an offset on.
func (f *fault) awaitLog(offset int, text string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool { return strings.Contains(f.log.String()[offset:], text) },
		faultPatience, 10*time.Millisecond, "%s: the log does not say %q", f.name, text)
}

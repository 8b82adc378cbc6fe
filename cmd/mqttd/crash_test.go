package main_test

import (
	"flag"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The crash tests: the built broker with a data directory is killed again and again, at random moments, and started
// again on the same directory and port, while publishers at QoS 1 and 2 and subscribers with persistent sessions go
// on and account for every message. See crashSight for what is checked of messages, crashWatch for retained ones, and
// crashPlan for what happens between two kills. Each test reports one line.
//
// SIGKILL leaves the kernel's cache in place, so these tests cannot tell whether the broker syncs, only whether it
// writes before it acknowledges.

var (
	crashes   = flag.Int("crashes", 20, "how often each crash test kills the broker")
	crashSeed = flag.Uint64("crash-seed", 0, "seed of the crash tests' plan; 0: by the clock")
)

const crashInterval = 200 * time.Millisecond // of -sync interval

// Acknowledged means saved: nothing is lost, and nothing comes twice at QoS 2, whatever happens.
func TestCrashSyncAlways(t *testing.T) {
	requireOwnBroker(t)
	t.Parallel()
	c := newCrash(t, mqttdToCrash("-sync", "always"), 0, crashRandomSeed())
	c.run(crashPlans(c.seed, *crashes))
	c.report(0)
	assert.Empty(t, c.faults(0))
}

// What is forgotten happened within the interval before a SIGKILL. SIGTERM loses nothing.
func TestCrashSyncInterval(t *testing.T) {
	requireOwnBroker(t)
	t.Parallel()
	// A change waits for the next commit, which may begin late and takes its time: an interval more.
	command := mqttdToCrash("-sync", "interval", "-sync-interval", crashInterval.String())
	c := newCrash(t, command, 2*crashInterval, crashRandomSeed())
	c.run(crashPlans(c.seed, *crashes))
	c.report(c.window())
	assert.Empty(t, c.faults(c.window()))
}

// The tests above can fail: a disk that loses what was written is found out by either rule.
func TestCrashTestsFindLosses(t *testing.T) {
	requireOwnBroker(t)
	t.Parallel()
	c := newCrash(t, forgetful(mqttdToCrash("-sync", "always")), time.Hour, crashRandomSeed())
	c.planted = true
	plans := append(crashPlainPlans(1, syscall.SIGTERM), crashPlainPlans(3, syscall.SIGKILL)...)
	for i := range crashSubscribers {
		plans[0].away[i] = true // so that something is saved that was not sent, to come twice later
		plans[2].away[i] = true // so that something is lost that is not young
	}
	for i := range plans {
		plans[i].progress = 1200
	}
	c.run(plans)
	c.report(0)
	for _, rule := range []time.Duration{0, 2 * crashInterval} {
		books := c.ledger.judge(&c.lives, rule)
		assert.NotEmpty(t, books.lost.faults, "window %v", rule)
		assert.NotEmpty(t, books.doubled.faults, "window %v", rule)
		assert.NotEmpty(t, books.retained.faults, "window %v", rule)
	}
}

// forgetful puts the file of the broker's third start back before the fourth and the fifth: a disk that loses what it said
// was written.
func forgetful(command crashCommand) crashCommand {
	starts, kept := 0, []byte(nil)
	return func(t *testing.T, folder, host, port, loops string) []string {
		file := filepath.Join(folder, "mqttd.db")
		switch starts++; starts {
		case 3:
			var err error
			kept, err = os.ReadFile(file)
			require.NoError(t, err)
		case 4, 5:
			require.NoError(t, os.WriteFile(file, kept, 0o600))
		}
		return command(t, folder, host, port, loops)
	}
}

// crashRandomSeed returns the seed that the flag asks for.
func crashRandomSeed() uint64 {
	if *crashSeed != 0 {
		return *crashSeed
	}
	return uint64(time.Now().UnixNano())
}

// mqttdToCrash returns how to start our own broker, with further arguments.
func mqttdToCrash(arguments ...string) crashCommand {
	return func(t *testing.T, folder, host, port, loops string) []string {
		return append([]string{brokerProgram, "-host", host, "-port", port, "-loops", loops, "-data-dir", folder,
			"-max-queued-messages", "30000", "-max-queued-bytes", "67108864",
			"-connect-rate", "0", "-connect-timeout", neverTimeout, "-stall-timeout", neverTimeout}, arguments...)
	}
}

// report logs what happened in one line.
func (c *crash) report(window time.Duration) {
	c.t.Helper()
	books := c.ledger.judge(&c.lives, window)
	kills, terms := c.lives.count()
	require.NotZero(c.t, books.sent)
	c.t.Logf("crash=%s seed=%d kills=%d terms=%d took=%v cycle=%v sent=%d delivered=%d repeats=%d resent=%d "+
		"lost=%d lost_per_kill_max=%d lost_oldest=%v doubled=%d doubled_per_kill_max=%d doubled_oldest=%v "+
		"retained_back=%d window=%v stall=%v faults=%d",
		c.t.Name(), c.seed, kills, terms, c.took.Round(time.Millisecond), c.cycle.Round(time.Millisecond),
		books.sent, books.delivered, books.repeats, books.resent,
		books.lost.total, books.lost.perLifeMax(), books.lost.oldest.Round(time.Millisecond),
		books.doubled.total, books.doubled.perLifeMax(), books.doubled.oldest.Round(time.Millisecond),
		books.retained.total, window, c.stall.longest().Round(time.Millisecond), len(c.faults(window)))
}

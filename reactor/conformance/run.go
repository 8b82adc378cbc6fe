package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// casesAtOnceMax bounds how many cases use the broker at one time; chosen. Most of them wait for the network, so
// it is far above the number of CPUs, which bounds t.Parallel.
const casesAtOnceMax = 64

// testCase is one thing a broker is held to.
type testCase struct {
	rule  string   // statement or section, such as MQTT-3.1.0-1 or section-3.3.5
	name  string   // which part of the rule; unique within it
	also  []string // further statements that the same exchange shows
	needs need     // what the target must be able to do
	run   func(*trial)
}

// need is a set of capabilities of the broker without which a case means nothing.
type need uint

const (
	needsQoS1 need = 1 << iota
	needsQoS2
	needsSessions
	needsWindow
	needsPacketLimit
	needsMegabyte
	needsRestart
	needsConnectTimeout

	needsNothing need = 0
)

// needsQoS is the need of a case in which the broker sends at qos.
func needsQoS(qos byte) need { return [3]need{needsNothing, needsQoS1, needsQoS2}[qos] }

// lacks says what the target lacks for n, or nothing.
func (n need) lacks(target Target) string {
	for _, lack := range []struct {
		need  need
		lacks bool
		says  string
	}{
		{needsQoS1, target.MaxQoS < 1, "needs subscriptions at QoS 1"},
		{needsQoS2, target.MaxQoS < 2, "needs subscriptions at QoS 2"},
		{needsSessions, !target.PersistentSessions, "needs Sessions that outlive the connection"},
		{needsWindow, target.MaxInflight == 0, "the broker's number of unacknowledged messages is not known"},
		{needsPacketLimit, target.MaxPacketBytes == 0, "the broker's largest packet is not known"},
		{needsMegabyte, target.MaxPacketBytes > 0 && target.MaxPacketBytes < 1<<20, "needs packets of a mebibyte"},
		{needsRestart, target.Restart == nil, "the broker cannot be restarted"},
		{needsConnectTimeout, target.ConnectTimeout == 0, "the broker's time for a CONNECT is not known"},
	} {
		if n&lack.need != 0 && lack.lacks {
			return lack.says
		}
	}
	return ""
}

// overQoS makes a case of each QoS of a message with each QoS that is asked for by the subscription which it meets.
func overQoS(c testCase, run func(t *trial, published, subscribed byte)) []testCase {
	return pairsOfQoS(0, ", published at %d and subscribed at %d", c, run)
}

// overQoSSent is overQoS without what is sent at QoS 0. The cases need a broker that grants what is asked for.
func overQoSSent(c testCase, run func(t *trial, published, subscribed byte)) []testCase {
	c.needs |= needsQoS2
	return pairsOfQoS(1, ", published at %d and subscribed at %d", c, run)
}

// overQoSOfTwo makes a case of each QoS of one subscription, or message, with each QoS of another.
func overQoSOfTwo(c testCase, run func(t *trial, first, second byte)) []testCase {
	return pairsOfQoS(0, " at QoS %d and %d", c, run)
}

func pairsOfQoS(lowest byte, suffix string, c testCase, run func(t *trial, a, b byte)) []testCase {
	var cases []testCase
	for a := lowest; a <= 2; a++ {
		for b := lowest; b <= 2; b++ {
			each := c
			each.name += fmt.Sprintf(suffix, a, b)
			each.run = func(t *trial) { run(t, a, b) }
			cases = append(cases, each)
		}
	}
	return cases
}

// eachQoS makes a case of each QoS from lowest on, at which the broker sends.
func eachQoS(c testCase, lowest byte, run func(t *trial, qos byte)) []testCase {
	var cases []testCase
	for qos := lowest; qos <= 2; qos++ {
		each := c
		each.name += fmt.Sprintf(" at QoS %d", qos)
		each.needs |= needsQoS(qos)
		each.run = func(t *trial) { run(t, qos) }
		cases = append(cases, each)
	}
	return cases
}

// fullName is the case's key in Target.Deviations and the subtest's name.
func (c *testCase) fullName() string { return strings.ReplaceAll(c.rule+"/"+c.name, " ", "_") }

// allCases lists every case in the order of the specification's chapters.
func allCases() []testCase {
	return slices.Concat(
		utf8Cases(), flagsCases(), frameCases(), identifierCases(),
		connectCases(), connectPayloadCases(), connackCases(), takeoverCases(), willCases(), keepAliveCases(),
		publishCases(), deliveryCases(), retainedCases(), qosCases(), inflightCases(), redeliveryCases(),
		subscribeCases(), unsubscribeCases(), pingCases(), disconnectCases(),
		sessionCases(), absentCases(), restartCases(), mqtt31Cases(), orderCases(), topicCases(), violationCases(),
	)
}

// Run holds the target to every case, each a subtest, and returns when all have ended.
func Run(t *testing.T, target Target) {
	t.Helper()
	runCases(t, target, allCases())
}

// runCases runs first the cases that need no restart, and then the others around one restart.
func runCases(t *testing.T, target Target, cases []testCase) {
	t.Helper()
	reportUnknownDeviations(t, target, cases)
	run := strconv.FormatUint(rand.Uint64N(36*36*36*36*36), 36)
	places := make(chan struct{}, casesAtOnceMax)
	around := newRestart()
	start := func(t *testing.T, i int) {
		t.Helper()
		c := &cases[i]
		t.Run(c.fullName(), func(t *testing.T) {
			if lack := c.needs.lacks(target); lack != "" {
				t.Skip(lack)
			}
			tr := newTrial(target, fmt.Sprintf("%sx%s", run, strconv.FormatInt(int64(i), 36)))
			if _, known := target.Deviations[c.fullName()]; known {
				tr.patience = patienceForDeviations
			}
			if c.needs&needsRestart != 0 {
				tr.join(around)
			}
			// Start now and wait after t.Parallel, which lets only as many subtests go on as there are CPUs.
			ended := tr.start(c.run, places)
			t.Parallel()
			<-ended
			report(t, c, target, tr)
		})
	}
	t.Run("MQTT-3.1.1", func(t *testing.T) {
		for i := range cases {
			if cases[i].needs&needsRestart == 0 {
				start(t, i)
			}
		}
	})
	t.Run("MQTT-3.1.1 and a restart", func(t *testing.T) {
		for i := range cases {
			if cases[i].needs&needsRestart != 0 {
				start(t, i)
			}
		}
		if target.Restart != nil {
			around.perform(target.Restart)
		}
	})
}

// report turns what the trial found into the subtest's result.
func report(t *testing.T, c *testCase, target Target, tr *trial) {
	t.Helper()
	t.Log(c.rule + ": " + says(c.rule))
	reason, known := target.Deviations[c.fullName()]
	switch {
	case known && len(tr.failures) == 0:
		t.Errorf("listed as a deviation, but the broker conforms: %s", reason)
	case known:
		t.Logf("known deviation: %s\nwhat differed: %s", reason, strings.Join(tr.failures, "\n"))
	default:
		for _, failure := range tr.failures {
			t.Error(failure)
		}
	}
}

func reportUnknownDeviations(t *testing.T, target Target, cases []testCase) {
	t.Helper()
	for name := range target.Deviations {
		if !slices.ContainsFunc(cases, func(c testCase) bool { return c.fullName() == name }) {
			t.Errorf("a deviation is listed for %q, which is no case", name)
		}
	}
}

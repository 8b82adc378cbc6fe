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

// need is a capability of the broker without which a case means nothing.
type need int

const (
	needsNothing need = iota
	needsQoS1
	needsQoS2
	needsSessions
	needsSessionsQoS1
	needsSessionsQoS2
	needsPacketLimit
	needsConnectTimeout
)

// lacks says what the target lacks for n, or nothing.
func (n need) lacks(target Target) string {
	sessions := target.PersistentSessions
	switch {
	case n == needsQoS1 && target.MaxQoS < 1, n == needsQoS2 && target.MaxQoS < 2:
		return "needs subscriptions above the broker's highest QoS"
	case n == needsSessions && !sessions:
		return "needs Sessions that outlive the connection"
	case n == needsSessionsQoS1 && (!sessions || target.MaxQoS < 1),
		n == needsSessionsQoS2 && (!sessions || target.MaxQoS < 2):
		return "needs Sessions that outlive the connection and subscriptions above QoS 0"
	case n == needsPacketLimit && target.MaxPacketBytes == 0:
		return "the broker's largest packet is not known"
	case n == needsConnectTimeout && target.ConnectTimeout == 0:
		return "the broker's time for a CONNECT is not known"
	}
	return ""
}

// fullName is the case's key in Target.Deviations and the subtest's name.
func (c *testCase) fullName() string { return strings.ReplaceAll(c.rule+"/"+c.name, " ", "_") }

// allCases lists every case in the order of the specification's chapters.
func allCases() []testCase {
	return slices.Concat(
		utf8Cases(), flagsCases(), frameCases(), identifierCases(),
		connectCases(), connectPayloadCases(), connackCases(), takeoverCases(), willCases(), keepAliveCases(),
		publishCases(), retainedCases(), qosCases(), outboundQoSCases(),
		subscribeCases(), unsubscribeCases(), pingCases(), disconnectCases(),
		sessionCases(), persistentSessionCases(), orderCases(), topicCases(), violationCases(),
	)
}

// Run holds the target to every case, each a subtest, and returns when all have ended.
func Run(t *testing.T, target Target) {
	t.Helper()
	runCases(t, target, allCases())
}

func runCases(t *testing.T, target Target, cases []testCase) {
	t.Helper()
	reportUnknownDeviations(t, target, cases)
	run := strconv.FormatUint(rand.Uint64N(36*36*36*36*36), 36)
	places := make(chan struct{}, casesAtOnceMax)
	t.Run("MQTT-3.1.1", func(t *testing.T) {
		for i := range cases {
			c := &cases[i]
			t.Run(c.fullName(), func(t *testing.T) {
				if lack := c.needs.lacks(target); lack != "" {
					t.Skip(lack)
				}
				tr := newTrial(target, fmt.Sprintf("%sx%s", run, strconv.FormatInt(int64(i), 36)))
				// Start now and wait after t.Parallel, which lets only as many subtests go on as there are CPUs.
				ended := tr.start(c.run, places)
				t.Parallel()
				<-ended
				report(t, c, target, tr)
			})
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

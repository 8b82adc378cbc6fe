package report

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench"
)

// samples of one phase, each of a length in seconds.
func samplesOf(from float64, phase string, n int, seconds float64) []bench.Sample {
	var all []bench.Sample
	for i := range n {
		all = append(all, bench.Sample{Phase: phase, ElapsedSeconds: from + float64(i+1)*seconds, Seconds: seconds, BrokerCPUSeconds: seconds / 2, LoopbackBytes: 1e6})
	}
	return all
}

func TestCondenseKeepsSumsAndLimitsPoints(t *testing.T) {
	merged := condense(samplesOf(0, "measure", 10_000, 0.01))
	assert.InDelta(t, pointsMax, len(merged), 2)
	var cpu, seconds float64
	for _, s := range merged {
		cpu += s.BrokerCPUSeconds
		seconds += s.Seconds
	}
	assert.InDelta(t, 100, seconds, 0.5)
	assert.InDelta(t, 50, cpu, 0.25)
}

func TestCondenseLeavesOutAShortPhaseAndDoesNotMixPhases(t *testing.T) {
	all := append(samplesOf(0, "connect", 1, 0.02), samplesOf(0.02, "warm-up", 2, 0.4)...)
	all = append(all, samplesOf(0.82, "measure", 3, 1)...)
	var phases []string
	for _, s := range condense(all) {
		phases = append(phases, s.Phase)
	}
	assert.Equal(t, []string{"warm-up", "measure", "measure", "measure"}, phases)
}

func TestLineBeginsWithTheMeasurement(t *testing.T) {
	r := bench.Result{Broker: &bench.Usage{}, Samples: append(samplesOf(0, "warm-up", 2, 1.0003), samplesOf(2.0006, "measure", 2, 1.0001)...)}
	l := newLine(3, &r)
	text, err := json.Marshal(l)
	require.NoError(t, err)
	assert.JSONEq(t, `{"peer":3,"seconds":[-1,0,1,2],"cpu":[50,50,50,50],"memory":[0,0,0,0],"switches":[0,0,0,0],"network":[0.9997,0.9997,0.9999,0.9999]}`, string(text))
}

func TestLineOfABrokerThatWasNotMeasuredHasNoCost(t *testing.T) {
	l := newLine(0, &bench.Result{Samples: samplesOf(0, "measure", 2, 1)})
	assert.Empty(t, l.CPU)
	assert.Empty(t, l.Memory)
	assert.Len(t, l.Network, 2)
}

package soak

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench"
	"mqttd/bench/fake"
	"mqttd/bench/peer"
)

func TestMain(m *testing.M) { fake.Main(m.Run) }

// short is a soak of little load against a broker with a fault; latency is not judged.
func short(fault string) Options {
	c := DefaultConfig()
	c.Publishers, c.Subscribers, c.Window = 1, 3, 10
	c.Warmup, c.Duration = 20*time.Millisecond, 1800*time.Millisecond
	m := DefaultMargins()
	m.LatencyNs = time.Minute.Nanoseconds()
	m.MemoryFactor, m.MemoryBytes = 1, 24<<20 // in 1200 ms 48 MiB leak, however much has before
	return Options{Peer: fake.Peer("fake", fault), Config: c, PeakTime: 500 * time.Millisecond, Share: 0.2, Margins: m}
}

// hold runs a soak, and again when one is spoiled because the machine stood still for a part of it. A sixth that
// nobody saw spoils it anyway.
func hold(t *testing.T, o Options, spoiled func(s *Soak) bool) *Soak {
	t.Helper()
	for attempt := 1; ; attempt++ {
		s, err := Run(t.Context(), o)
		require.NoError(t, err)
		if attempt == 3 || len(s.Sixths) == parts && !spoiled(s) {
			return s
		}
		t.Logf("attempt %d is spoiled: %+v", attempt, s.Demands)
	}
}

// unmet returns the demands that were not met. The load is left out: a machine that is busy with other
// tests may be unable to hold it.
func unmet(s *Soak) []string {
	names := []string{}
	for _, d := range s.Demands {
		if !d.Met && d.Name != "load" {
			names = append(names, d.Name)
		}
	}
	return names
}

func TestASoakFindsTheFault(t *testing.T) {
	for fault, demands := range map[string][]string{
		fake.None:        {},
		fake.Drop:        {"no loss"},
		fake.Twice:       {"no duplicate"},
		fake.Swap:        {"no disorder"},
		fake.Descriptors: {"descriptors"},
		fake.Memory:      {"memory"},
	} {
		t.Run(fault, func(t *testing.T) {
			wanted := func(s *Soak) []string {
				if fault == fake.Swap && s.Run.Deliveries.Lost > 0 { // a message that waited for the next one at the end
					return append([]string{"no loss"}, demands...)
				}
				return demands
			}
			s := hold(t, short(fault), func(s *Soak) bool { return !slices.Equal(wanted(s), unmet(s)) })
			require.Len(t, s.Demands, 9)
			if fault == fake.Swap {
				assert.LessOrEqual(t, s.Run.Deliveries.Lost, uint64(3))
			}
			assert.Equal(t, wanted(s), unmet(s), "%+v", s.Demands)
		})
	}
}

func TestTheSixthsAddUp(t *testing.T) {
	stages := []string{}
	o := short(fake.Twice)
	o.OnStage = func(stage string, c bench.Config) func(bench.Sample) {
		stages = append(stages, stage)
		return func(bench.Sample) {}
	}
	s := hold(t, o, func(s *Soak) bool { return !slices.Equal([]string{"no duplicate"}, unmet(s)) })
	assert.Equal(t, []string{StagePeak, StageSoak}, stages[:2])
	assert.InDelta(t, 0.2*s.Peak.Throughput.MessagesPerSecond, s.Config.RatePerSecond, 1e-6)
	assert.NotEqual(t, s.Peak.Broker.PID, s.Run.Broker.PID, "each run has a broker of its own")
	require.Len(t, s.Sixths, parts)
	const aSample = "but for a sample of less than 1 ms, in which much may come after a moment without"
	var messages, duplicated uint64
	var latencies int64
	for _, x := range s.Sixths {
		messages += x.Messages
		duplicated += x.Duplicated
		latencies += x.Latency.Count
		assert.Positive(t, x.Messages)
		assert.Positive(t, x.BrokerResidentBytesMax)
		assert.Positive(t, x.BrokerThreadsMax)
		assert.Greater(t, x.BrokerDescriptorsMin, 4, "four clients and a listener")
	}
	assert.InDelta(t, s.Run.Throughput.Messages, messages, 0.5*float64(messages), aSample)
	assert.LessOrEqual(t, duplicated, s.Run.Deliveries.Duplicated, "those of the warm-up are not in a sixth")
	assert.Positive(t, duplicated)
	assert.InDelta(t, s.Run.Latency.Count, latencies, 0.5*float64(latencies), aSample)

	var text strings.Builder
	require.NoError(t, s.WriteTable(&text))
	assert.Contains(t, text.String(), "FAIL  no duplicate")
	assert.Contains(t, text.String(), "PASS  no loss")
	assert.True(t, strings.HasSuffix(text.String(), "\nFAIL\n"), text.String())
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	var again Soak
	require.NoError(t, json.Unmarshal(raw, &again))
	assert.Equal(t, s.Sixths, again.Sixths)
	assert.Equal(t, s.Demands, again.Demands)
}

func TestABrokerThatDiesFailsTheSoak(t *testing.T) {
	file := filepath.Join(t.TempDir(), "now")
	o := short(fake.DieWhen + file)
	o.Config.Duration = time.Minute // it dies long before
	o.OnStage = func(stage string, c bench.Config) func(bench.Sample) {
		return func(sample bench.Sample) {
			if stage == StageSoak && sample.Phase == bench.PhaseMeasure {
				assert.NoError(t, os.WriteFile(file, nil, 0o600))
			}
		}
	}
	s, err := Run(t.Context(), o)
	require.NoError(t, err)
	assert.Nil(t, s.Run, "no figure that pretends")
	assert.Equal(t, []string{"connections"}, unmet(s))
	assert.Contains(t, s.Failure, "out of cheese")
	assert.NotEmpty(t, s.Sixths, "what was seen until then")
	assert.False(t, s.Passed())
	var text strings.Builder
	require.NoError(t, s.WriteTable(&text))
	assert.Contains(t, text.String(), "out of cheese")
}

func TestInterrupted(t *testing.T) {
	for _, at := range []string{StagePeak, StageSoak} {
		ctx, cancel := context.WithCancel(t.Context())
		o := short(fake.None)
		o.Config.Duration, o.PeakTime = time.Hour, time.Second
		o.OnStage = func(stage string, c bench.Config) func(bench.Sample) {
			return func(sample bench.Sample) {
				if stage == at && sample.Phase == bench.PhaseMeasure {
					cancel()
				}
			}
		}
		s, err := Run(ctx, o)
		cancel()
		if at == StagePeak {
			require.ErrorIs(t, err, context.Canceled)
			continue
		}
		require.NoError(t, err)
		assert.True(t, s.Interrupted)
		assert.False(t, s.Passed())
		var text strings.Builder
		require.NoError(t, s.WriteTable(&text))
		assert.Contains(t, text.String(), "INTERRUPTED")
	}
}

func TestWrongOptionsAndNoPeak(t *testing.T) {
	for text, change := range map[string]func(o *Options){
		"share 1.5 is not within 0 to 1":   func(o *Options) { o.Share = 1.5 },
		"a soak of 299ms is shorter than":  func(o *Options) { o.Config.Duration = 299 * time.Millisecond },
		"a closed loop of at least one":    func(o *Options) { o.Config.RatePerSecond = 1 },
		"publishers have no subscriber":    func(o *Options) { o.Config.Subscribers = 0 },
		"duration -1ns is not within":      func(o *Options) { o.PeakTime = -1 },
		"smaller than one message for eac": func(o *Options) { o.Config.Window = 0 },
	} {
		o := short(fake.None)
		change(&o)
		_, err := Run(t.Context(), o)
		require.ErrorIs(t, err, bench.ErrConfig)
		assert.ErrorContains(t, err, text)
	}
	o := short(fake.None)
	o.Peer = peer.Peer{Name: "gone", Command: []string{"/nonexistent/broker", "{port}"}}
	_, err := Run(t.Context(), o)
	assert.ErrorContains(t, err, "no peak was measured: ")
}

func TestEverySampleBelongsToOneSixth(t *testing.T) {
	for _, d := range []time.Duration{durationMin, time.Second, 61 * time.Second, 10 * time.Minute, 24 * time.Hour} {
		interval := sampleInterval(d)
		assert.GreaterOrEqual(t, interval, sampleIntervalMin, d)
		samples := int64(interval) * parts
		n := (int64(d) + samples - 1) / samples
		assert.GreaterOrEqual(t, n, int64(samplesMin), d)
		assert.InDelta(t, int64(d), n*samples, float64(n*parts), "a whole number in each sixth, but for ns: %v", d)
	}
}

package compare

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench"
	"mqttd/bench/fake"
	"mqttd/bench/peer"
)

func TestMain(m *testing.M) { fake.Main(m.Run) }

func scenario(t *testing.T, name string, change func(c *bench.Config)) Scenario {
	t.Helper()
	s, err := bench.FindScenario(name)
	require.NoError(t, err)
	c := s.Config()
	c.Warmup, c.Duration, c.SampleInterval = 20*time.Millisecond, 400*time.Millisecond, 20*time.Millisecond
	if c.Publishers > 0 {
		c.Publishers, c.Subscribers, c.Window = 2, 3, 40
	} else {
		c.Subscribers = min(c.Subscribers, 50)
	}
	if change != nil {
		change(&c)
	}
	return NewScenario(s, c)
}

func TestRunInterleavesAndTellsTheTruth(t *testing.T) {
	t.Parallel()
	type step struct {
		scenario, peer string
		round          int
	}
	var begun []step
	pids := map[int]bool{}
	c, err := Run(t.Context(), Options{
		Peers:     []peer.Peer{fake.Peer("good", fake.None), fake.Peer("bad", fake.Drop)},
		Missing:   []peer.Missing{{Name: "absent", Why: "not installed"}},
		Scenarios: []Scenario{scenario(t, "fanout-50-50", nil), scenario(t, "idle-10k", nil)},
		Rounds:    2,
		Command:   []string{"mqttbench", "compare"},
		OnProgress: func(p Progress) {
			if p.Sample == nil && p.Result == nil && p.Err == nil {
				begun = append(begun, step{p.Scenario, p.Peer, p.Round})
				assert.Equal(t, len(begun), p.Run)
				assert.Equal(t, 8, p.Runs)
			}
			if p.Result != nil && p.Result.Broker != nil {
				pids[p.Result.Broker.PID] = true
			}
		},
	})
	require.NoError(t, err)
	assert.Equal(t, []step{
		{"fanout-50-50", "good", 1}, {"fanout-50-50", "bad", 1}, {"fanout-50-50", "bad", 2}, {"fanout-50-50", "good", 2},
		{"idle-10k", "good", 1}, {"idle-10k", "bad", 1}, {"idle-10k", "bad", 2}, {"idle-10k", "good", 2},
	}, begun, "the peer that begins changes")
	assert.Len(t, pids, 8, "each run has a broker of its own")
	for pid := range pids {
		waitGone(t, pid)
	}
	require.False(t, c.Failed(), "%+v", c.Scenarios)
	assert.False(t, c.Interrupted)
	assert.Equal(t, "not installed", c.Missing[0].Why)

	fanout, idle := &c.Scenarios[0], &c.Scenarios[1]
	for _, r := range fanout.Cell("good").Runs {
		assert.Zero(t, r.Deliveries.Lost)
	}
	for _, r := range fanout.Cell("bad").Runs {
		assert.Equal(t, r.Deliveries.MessagesSent/4*3, r.Deliveries.Lost, "of %d messages", r.Deliveries.MessagesSent)
	}
	rate, ok := fanout.Cell("good").Median(Deliveries)
	assert.True(t, ok)
	assert.Positive(t, rate)
	assert.Equal(t, 50, idle.Cell("bad").Runs[1].Connections.Opened)

	text, err := json.Marshal(c)
	require.NoError(t, err)
	var read Comparison
	require.NoError(t, json.Unmarshal(text, &read))
	again, err := json.Marshal(read)
	require.NoError(t, err)
	assert.JSONEq(t, string(text), string(again), "nothing is lost on the way to a report")
}

func TestRunRecordsFailuresAndGoesOn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "now")
	notThere := peer.Peer{Name: "gone", Command: []string{"/nonexistent/broker", "{port}"}}
	c, err := Run(t.Context(), Options{
		Peers:     []peer.Peer{fake.Peer("dies", fake.DieWhen+file), notThere, fake.Peer("good", fake.None)},
		Scenarios: []Scenario{scenario(t, "fanout-50-50", func(c *bench.Config) { c.Duration = 2 * time.Second })},
		Rounds:    1,
		OnProgress: func(p Progress) {
			if p.Peer == "dies" && p.Sample != nil && p.Sample.Phase == bench.PhaseMeasure {
				assert.NoError(t, os.WriteFile(file, nil, 0o600))
			}
		},
	})
	require.NoError(t, err)
	assert.True(t, c.Failed())
	s := &c.Scenarios[0]

	require.Len(t, s.Cell("dies").Failures, 1)
	assert.Empty(t, s.Cell("dies").Runs, "no figure that pretends")
	assert.Equal(t, 1, s.Cell("dies").Failures[0].Round)
	for _, text := range []string{"dies", "exit status 4", "out of cheese"} {
		assert.Contains(t, s.Cell("dies").Failures[0].Error, text)
	}
	_, ok := s.Cell("dies").Median(Deliveries)
	assert.False(t, ok)
	assert.Contains(t, s.Cell("gone").Failures[0].Error, "/nonexistent/broker")
	assert.Len(t, s.Cell("good").Runs, 1)
}

func TestRunLeavesOutWhatAPeerIsUnableToDo(t *testing.T) {
	t.Parallel()
	limited := fake.Peer("limited", fake.None)
	limited.Unable = map[string]string{peer.FeatureWildcards: "it compares topics"}
	c, err := Run(t.Context(), Options{
		Peers:     []peer.Peer{limited},
		Scenarios: []Scenario{scenario(t, "wild-1k", nil), scenario(t, "fanin-200-1", func(c *bench.Config) { c.Subscribers = 1 })},
		Rounds:    1,
	})
	require.NoError(t, err)
	assert.Equal(t, "it compares topics", c.Scenarios[0].Cell("limited").Unable)
	assert.Empty(t, c.Scenarios[0].Cell("limited").Runs)
	assert.Empty(t, c.Scenarios[1].Cell("limited").Unable, "a # for everything is no wildcard to speak of")
	assert.Len(t, c.Scenarios[1].Cell("limited").Runs, 1)
}

// Faults are counted at each QoS, and a peer without QoS 1 and 2 plays the rest.
func TestRunAtQoS1And2(t *testing.T) {
	t.Parallel()
	simple := fake.Peer("simple", fake.None)
	simple.Unable = map[string]string{peer.FeatureQoS: "it knows QoS 0 only"}
	names := []string{"fanout-50-50", "fanout-50-50-qos1", "pairs-50-w1000-qos2", "pairs-50-w1000-qos2-kept"}
	var scenarios []Scenario
	for _, name := range names {
		scenarios = append(scenarios, scenario(t, name, nil))
	}
	c, err := Run(t.Context(), Options{
		Peers:     []peer.Peer{fake.Peer("good", fake.None), fake.Peer("twice", fake.Twice), simple},
		Scenarios: scenarios,
		Rounds:    1,
	})
	require.NoError(t, err)
	require.False(t, c.Failed(), "%+v", c.Scenarios)
	for i, s := range c.Scenarios {
		good := s.Cell("good").Runs[0]
		assert.Equal(t, s.Config.QoS, good.Connections.GrantedQoS)
		assert.Positive(t, good.Deliveries.Received)
		d := good.Deliveries
		assert.Zero(t, d.Lost+d.Duplicated+d.OutOfOrder+d.Unexpected+d.Unacknowledged, names[i])
		assert.Positive(t, s.Cell("twice").Runs[0].Deliveries.Duplicated, names[i])
		if i == 0 {
			assert.Len(t, s.Cell("simple").Runs, 1)
			continue
		}
		assert.Equal(t, "it knows QoS 0 only", s.Cell("simple").Unable)
		assert.Empty(t, s.Cell("simple").Runs)
	}
}

func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, err := Run(ctx, Options{
		Peers:     []peer.Peer{fake.Peer("good", fake.None)},
		Scenarios: []Scenario{scenario(t, "fanout-50-50", nil)},
		Rounds:    3,
		OnProgress: func(p Progress) {
			if p.Round == 2 && p.Sample != nil {
				cancel()
			}
		},
	})
	require.NoError(t, err)
	assert.True(t, c.Interrupted)
	assert.Len(t, c.Scenarios[0].Cells[0].Runs, 1, "the run that was cut short does not count")
	assert.Empty(t, c.Scenarios[0].Cells[0].Failures)
}

func TestRunRefusesWrongOptions(t *testing.T) {
	good := Options{Peers: []peer.Peer{fake.Peer("good", fake.None)}, Scenarios: []Scenario{scenario(t, "fanout-50-50", nil)}}
	for text, change := range map[string]func(o *Options){
		"no peer to compare; x is missing: because": func(o *Options) { o.Peers, o.Missing = nil, []peer.Missing{{Name: "x", Why: "because"}} },
		"no scenario to play":                       func(o *Options) { o.Scenarios = nil },
		"rounds is -1":                              func(o *Options) { o.Rounds = -1 },
		"scenario fanout-50-50: ": func(o *Options) {
			o.Scenarios = []Scenario{scenario(t, "fanout-50-50", func(c *bench.Config) { c.QoS = 7 })}
		},
	} {
		o := good
		change(&o)
		_, err := Run(t.Context(), o)
		require.ErrorIs(t, err, bench.ErrConfig)
		assert.ErrorContains(t, err, text)
	}
}

func pidExists(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return err == nil
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); pidExists(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

package compare

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"mqttd/bench"
	"mqttd/bench/peer"
)

// RoundsMax bounds Options.Rounds; chosen.
const RoundsMax = 100

// Options describe a comparison.
type Options struct {
	Peers     []peer.Peer
	Missing   []peer.Missing
	Scenarios []Scenario // without cells, see NewScenario
	// Rounds is how often each peer plays each scenario, 1 to RoundsMax. Default, at 0: 3.
	Rounds int
	// Command is recorded.
	Command []string
	// OnProgress, unless nil, is called from one goroutine at a time.
	OnProgress func(Progress)
	// OnScenario, unless nil, is called with what there is whenever all rounds of a scenario are over.
	OnScenario func(*Comparison)
}

// Progress is where a comparison stands.
type Progress struct {
	Run, Runs int // the number of this run, from 1, and of all
	Scenario  string
	Peer      string
	Round     int           // from 1
	Elapsed   time.Duration // since the comparison began
	Sample    *bench.Sample // of this run; nil: it begins or has ended
	Result    *bench.Result // it has ended with a result
	Err       error         // it has ended without one
}

// NewScenario returns a scenario to be played with a configuration of its own; its title says so when
// the load is another one.
func NewScenario(s bench.Scenario, c bench.Config) Scenario {
	own, title := s.Config(), s.Title
	own.Duration, own.Warmup, own.SampleInterval = c.Duration, c.Warmup, c.SampleInterval
	if !reflect.DeepEqual(own, c) {
		title = "with numbers of its own instead of: " + title
	}
	return Scenario{Name: s.Name, Title: title, About: s.About, Config: c}
}

// Run plays all scenarios, round by round, each peer in turn; the peer that begins changes from round
// to round. A run that fails is recorded and the others go on. When ctx ends, Run returns what is
// complete until then, with Interrupted set. The error is only for options that are wrong.
func Run(ctx context.Context, o Options) (*Comparison, error) {
	if o.Rounds == 0 {
		o.Rounds = 3
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	r := &runner{options: o, comparison: &Comparison{
		Version:   bench.Version(),
		Command:   o.Command,
		StartedAt: time.Now(),
		Machine:   bench.ThisMachine(),
		Rounds:    o.Rounds,
		Peers:     o.Peers,
		Missing:   o.Missing,
		Scenarios: o.Scenarios,
	}}
	r.play(ctx)
	r.comparison.Interrupted = ctx.Err() != nil
	r.comparison.EndedAt = time.Now()
	return r.comparison, nil
}

func (o Options) validate() error {
	switch {
	case len(o.Peers) == 0:
		return fmt.Errorf("%w: no peer to compare%s", bench.ErrConfig, missingText(o.Missing))
	case len(o.Scenarios) == 0:
		return fmt.Errorf("%w: no scenario to play", bench.ErrConfig)
	case o.Rounds < 1 || o.Rounds > RoundsMax:
		return fmt.Errorf("%w: rounds is %d, not within 1 to %d", bench.ErrConfig, o.Rounds, RoundsMax)
	}
	for _, s := range o.Scenarios {
		if err := s.Config.Validate(); err != nil {
			return fmt.Errorf("scenario %s: %w", s.Name, err)
		}
	}
	return nil
}

func missingText(missing []peer.Missing) string {
	var b strings.Builder
	for _, m := range missing {
		fmt.Fprintf(&b, "; %s is missing: %s", m.Name, m.Why)
	}
	return b.String()
}

type runner struct {
	options    Options
	comparison *Comparison
	done       int // runs
}

func (r *runner) play(ctx context.Context) {
	for i := range r.comparison.Scenarios {
		s := &r.comparison.Scenarios[i]
		s.Cells = nil
		for _, p := range r.comparison.Peers {
			s.Cells = append(s.Cells, Cell{Peer: p.Name, Unable: unable(p, s.Config), Runs: []bench.Result{}})
		}
	}
	for i := range r.comparison.Scenarios {
		for round := range r.options.Rounds {
			if !r.playRound(ctx, &r.comparison.Scenarios[i], round) {
				return
			}
		}
		if r.options.OnScenario != nil {
			r.options.OnScenario(r.comparison)
		}
	}
}

// playRound reports whether the round came to its end.
func (r *runner) playRound(ctx context.Context, s *Scenario, round int) bool {
	for i := range s.Cells {
		cell := (i + round) % len(s.Cells)
		if s.Cells[cell].Unable != "" {
			continue
		}
		result, err := r.playOne(ctx, s, cell, round)
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			s.Cells[cell].Failures = append(s.Cells[cell].Failures, Failure{round + 1, err.Error()})
			continue
		}
		s.Cells[cell].Runs = append(s.Cells[cell].Runs, result)
	}
	return true
}

func (r *runner) playOne(ctx context.Context, s *Scenario, cell, round int) (result bench.Result, err error) {
	r.done++
	at := Progress{Run: r.done, Runs: r.runs(), Scenario: s.Name, Peer: s.Cells[cell].Peer, Round: round + 1}
	report := func(p Progress) {
		if r.options.OnProgress != nil {
			p.Elapsed = time.Since(r.comparison.StartedAt)
			r.options.OnProgress(p)
		}
	}
	report(at)
	config := s.Config
	config.OnSample = func(sample bench.Sample) {
		p := at
		p.Sample = &sample
		report(p)
	}
	result, err = Measure(ctx, r.comparison.Peers[cell], config)
	if at.Err = err; err == nil {
		at.Result = &result
	}
	if ctx.Err() == nil { // else the run does not count
		report(at)
	}
	return result, err
}

// runs counts the runs of the whole comparison.
func (r *runner) runs() int {
	n := 0
	for _, s := range r.comparison.Scenarios {
		for _, c := range s.Cells {
			if c.Unable == "" {
				n += r.options.Rounds
			}
		}
	}
	return n
}

// Measure starts a broker, plays one run and ends the broker; config's host, port and process are
// replaced. A broker that ended by itself is the cause of whatever went wrong.
func Measure(ctx context.Context, p peer.Peer, config bench.Config) (bench.Result, error) {
	broker, err := p.Start(ctx)
	if err != nil {
		return bench.Result{}, err
	}
	config.Host, config.Port = "127.0.0.1", broker.Port
	config.PID = 0 // whoever listens: a peer may be started by a script
	result, err := bench.Run(ctx, config)
	died := deathOf(ctx, broker, err)
	if stopped := broker.Stop(); died == nil {
		died = stopped
	}
	return result, join(died, err)
}

// deathOf returns how a broker ended by itself, or nil. A connection is lost a little before its process
// is gone, so after a failure it waits for that a moment.
func deathOf(ctx context.Context, broker *peer.Broker, failure error) error {
	const moment = time.Second
	for deadline := time.Now().Add(moment); ; time.Sleep(moment / 100) {
		died := broker.Err()
		if died != nil || failure == nil || ctx.Err() != nil || time.Now().After(deadline) {
			return died
		}
	}
}

// join returns one error, of one line, for what happened and what came of it.
func join(cause, consequence error) error {
	if cause == nil || consequence == nil {
		return errors.Join(cause, consequence)
	}
	return fmt.Errorf("%w; then %w", cause, consequence)
}

// unable returns why a peer cannot play a configuration, or "".
func unable(p peer.Peer, c bench.Config) string {
	narrow := strings.Contains(c.Filter, "#") && strings.Contains(c.Filter, "%")
	if why := p.Unable[peer.FeatureWildcards]; why != "" && (narrow || strings.Contains(c.Filter, "+")) {
		return why
	}
	if c.QoS > 0 {
		return p.Unable[peer.FeatureQoS]
	}
	return ""
}

package soak

import (
	"context"
	"fmt"
	"time"

	"mqttd/bench"
	"mqttd/bench/compare"
	"mqttd/bench/peer"
)

// Stages of a soak.
const (
	StagePeak = "peak"
	StageSoak = "soak"
)

// Options describe a soak.
type Options struct {
	Peer peer.Peer
	// Config is the scenario in a closed loop, with the duration of the soak. Start from DefaultConfig.
	Config bench.Config
	// PeakTime is how long the peak is measured. Default, at 0: 10 s.
	PeakTime time.Duration
	// Share of the peak's messages that the soak publishes, above 0, at most 1. Default, at 0: 0.7.
	Share float64
	// Margins is what the verdict allows. Start from DefaultMargins.
	Margins Margins
	// Command is recorded.
	Command []string
	// OnStage, unless nil, is called before each of the two runs and returns a Config.OnSample.
	OnStage func(stage string, c bench.Config) func(bench.Sample)
}

// DefaultConfig returns one-to-many at 2,000 connections: 10 publishers with a topic each that 199
// subscribers read. The window is one message of each publisher: every delivery of the peak is a write
// of its own, as it is in an open loop that the broker keeps up with. Under a larger window the peak
// would measure how well messages of one publisher are batched, and a share of it is no lighter load.
func DefaultConfig() bench.Config {
	c := bench.DefaultConfig()
	c.Scenario = "soak"
	c.Publishers, c.Subscribers, c.Window, c.Topic = 10, 1990, 10, "soak/%i"
	c.Duration = 10 * time.Minute
	return c
}

// Soak is everything known about one soak, the raw samples included.
type Soak struct {
	Version     string        `json:"version"` // of this program: a tag or a commit
	Command     []string      `json:"command"`
	StartedAt   time.Time     `json:"started_at"`
	Machine     bench.Machine `json:"machine"`
	Interrupted bool          `json:"interrupted"` // before the soak was over; there are no Demands then
	Peer        peer.Peer     `json:"peer"`
	Share       float64       `json:"share"`
	Margins     Margins       `json:"margins"`
	Config      bench.Config  `json:"config"` // of the soak itself
	Peak        bench.Result  `json:"peak"`
	Run         *bench.Result `json:"run"`     // nil: see Failure
	Failure     string        `json:"failure"` // why the run of the soak did not come to its end
	Sixths      []Sixth       `json:"sixths"`  // those that began
	Demands     []Demand      `json:"demands"`
}

// Run measures the peak and plays the soak, each against a broker of its own. A soak that fails is no
// error; one is returned for options that are wrong, and when there is no peak to take a share of. When
// ctx ends during the soak itself, what was measured is returned with Interrupted set.
func Run(ctx context.Context, o Options) (*Soak, error) {
	if o.PeakTime == 0 {
		o.PeakTime = 10 * time.Second
	}
	if o.Share == 0 {
		o.Share = 0.7
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Soak{
		Version: bench.Version(), Command: o.Command, StartedAt: time.Now(), Machine: bench.ThisMachine(),
		Peer: o.Peer, Share: o.Share, Margins: o.Margins,
	}
	var err error
	if s.Peak, err = o.peak(ctx); err != nil {
		return nil, err
	}
	s.Config = o.Config
	s.Config.RatePerSecond = o.Share * s.Peak.Throughput.MessagesPerSecond
	s.Config.SampleInterval = sampleInterval(o.Config.Duration)
	s.hold(ctx, o)
	return s, nil
}

func (o Options) validate() error {
	if !(o.Share > 0 && o.Share <= 1) { // NaN too
		return fmt.Errorf("%w: share %g is not within 0 to 1, 0 excluded", bench.ErrConfig, o.Share)
	}
	if o.Config.Duration < durationMin {
		return fmt.Errorf("%w: a soak of %v is shorter than %v", bench.ErrConfig, o.Config.Duration, durationMin)
	}
	if o.Config.Open() || o.Config.Publishers == 0 {
		return fmt.Errorf("%w: a soak begins with a closed loop of at least one publisher", bench.ErrConfig)
	}
	peak := o.Config
	peak.Duration = o.PeakTime
	if err := peak.Validate(); err != nil {
		return err
	}
	return o.Config.Validate()
}

const (
	sampleIntervalMin = 10 * time.Millisecond // that of bench.Config
	sampleIntervalMax = time.Second           // chosen
	samplesMin        = 5                     // of a sixth; chosen
	durationMin       = parts * samplesMin * sampleIntervalMin
)

// sampleInterval divides a sixth into equal samples, so that each belongs to one. It is rounded up: the
// last sample ends with the measurement.
func sampleInterval(duration time.Duration) time.Duration {
	samples := max(samplesMin, duration/parts/sampleIntervalMax)
	return (duration + parts*samples - 1) / (parts * samples)
}

func (o Options) peak(ctx context.Context) (bench.Result, error) {
	c := o.Config
	c.Duration = o.PeakTime
	c.OnSample = o.onSample(StagePeak, c)
	peak, err := compare.Measure(ctx, o.Peer, c)
	switch {
	case ctx.Err() != nil:
		return peak, ctx.Err()
	case err != nil:
		return peak, fmt.Errorf("no peak was measured: %w", err)
	case peak.Throughput.Messages == 0:
		return peak, fmt.Errorf("no peak was measured: %s delivered nothing", o.Peer.Name)
	}
	return peak, nil
}

// hold plays the soak itself and judges it.
func (s *Soak) hold(ctx context.Context, o Options) {
	c, gathered, show := s.Config, newSixths(s.Config.Duration), o.onSample(StageSoak, s.Config)
	c.OnSample = func(sample bench.Sample) {
		gathered.add(sample)
		show(sample)
	}
	result, err := compare.Measure(ctx, o.Peer, c)
	s.Interrupted = ctx.Err() != nil
	s.Sixths = gathered.all()
	if err == nil {
		s.Run = &result
	} else {
		s.Failure = err.Error()
	}
	if !s.Interrupted {
		s.Demands = s.judge()
	}
}

// onSample is never nil.
func (o Options) onSample(stage string, c bench.Config) func(bench.Sample) {
	if o.OnStage == nil {
		return func(bench.Sample) {}
	}
	return o.OnStage(stage, c)
}

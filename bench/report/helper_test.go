package report

import (
	"math"
	"math/rand/v2"
	"time"

	"mqttd/bench"
	"mqttd/bench/compare"
	"mqttd/bench/peer"
)

// hostile is text of a peer that tries to leave the place it is shown in.
const hostile = `</script><b>bold</b> <img src="http://127.0.0.1:9/x"> | ` + "\x1b[31m" + `'"&` + "`"

// speed is how a made-up peer does.
type speed struct {
	name       string
	deliveries float64 // per second, in fanout-50-50
	million    float64 // CPU seconds per million deliveries
	latencyMs  float64 // median
	mebibytes  float64
}

var speeds = []speed{
	{"floor", 71.2e6, 0.011, 0.9, 3.1},
	{"mqttd", 60.3e6, 0.0142, 1.3, 9.1},
	{"mqttd:2", 53.5e6, 0.018, 1.9, 12.2},
	{"mosquitto", 165988, 5.94, 380, 8.4},
	{"mochi", 431000, 4.1, 120, 61},
	{"nats-server", 2.1e6, 0.9, 31, 38},
	{"aedes", 92000, 11.3, 560, 118},
}

// madeUp is a comparison of seven peers in several scenarios, with every kind of trouble in it. It
// is the same each time.
func madeUp() *compare.Comparison {
	c := &compare.Comparison{
		Version:   "v0.3.0-12-g0a7e6d1",
		Command:   []string{"mqttbench", "compare", "-rounds", "3", "-html", "my report.html"},
		StartedAt: time.Date(2026, 11, 23, 4, 30, 0, 0, time.UTC),
		EndedAt:   time.Date(2026, 11, 23, 6, 2, 30, 0, time.UTC),
		Machine:   bench.Machine{Kernel: "Linux 6.18.44", Arch: "amd64", CPUs: 2, CPUModel: "AMD EPYC", MemoryBytes: 24 << 30, GoVersion: "go1.26.8"},
		Rounds:    3,
		Missing:   []peer.Missing{{Name: "emqx", Why: "not installed: see https://example.org/emqx " + hostile}},
	}
	for _, s := range speeds {
		c.Peers = append(c.Peers, madeUpPeer(s.name))
	}
	for _, s := range madeUpScenarios() {
		for i := range speeds {
			s.Cells = append(s.Cells, madeUpCell(s, i))
		}
		c.Scenarios = append(c.Scenarios, s)
	}
	trouble(c)
	return c
}

func madeUpPeer(name string) peer.Peer {
	p := peer.Peer{Name: name, Title: name, Version: "1.2.3", Command: []string{"/usr/bin/" + name, "-p", "{port}"},
		Settings: "Best known settings: " + name + " runs with its defaults, and no log."}
	switch name {
	case "mosquitto":
		p.Version, p.Config = "2.0.11", "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
	case "nats-server":
		p.Version, p.Config = hostile, "# "+hostile+"\njetstream {}\n"
		p.Unable = map[string]string{peer.FeatureWildcards: "has no # below other levels"}
	}
	return p
}

func madeUpScenarios() []compare.Scenario {
	fanout := bench.DefaultConfig()
	fanout.Window, fanout.Duration, fanout.Warmup = 2000, 20*time.Second, 3*time.Second
	small := fanout
	small.Window = 100
	seed := func(clients int) bench.Config {
		config := fanout
		config.Publishers, config.Subscribers, config.Topic = clients, clients, "seed/%i"
		if clients > 0 {
			config.RatePerSecond = 1000 * float64(clients)
		}
		return config
	}
	open := fanout
	open.RatePerSecond = 2000
	idle := fanout
	idle.Publishers, idle.Subscribers = 0, 10_000
	return []compare.Scenario{
		{Name: "fanout-50-50", Title: "50 publishers to 50 subscribers over one topic", About: bench.AboutThroughput, Config: fanout},
		{Name: "fanout-50-50-w100", Title: "the same with a small window", About: bench.AboutThroughput, Config: small},
		{Name: "seed-0", Title: "nobody is there", About: bench.AboutRest, Config: seed(0)},
		{Name: "seed-2", Title: "two pairs", About: bench.AboutRest, Config: seed(2)},
		{Name: "seed-100", Title: "a hundred pairs", About: bench.AboutRest, Config: seed(100)},
		{Name: "latency-100k", Title: "latency at 100,000 deliveries a second", About: bench.AboutLatency, Config: open},
		{Name: "idle-10k", Title: "10,000 connections that do nothing", About: bench.AboutMemory, Config: idle},
		{Name: "connect-10k", Title: "10,000 connections are opened", About: bench.AboutConnections, Config: idle},
	}
}

func madeUpCell(s compare.Scenario, i int) compare.Cell {
	random := rand.New(rand.NewPCG(uint64(i), uint64(len(s.Name))))
	cell := compare.Cell{Peer: speeds[i].name}
	for range 3 {
		cell.Runs = append(cell.Runs, madeUpRun(s.Config, speeds[i], 1+0.08*(random.Float64()-0.5), random))
	}
	return cell
}

func madeUpRun(config bench.Config, s speed, luck float64, random *rand.Rand) bench.Result {
	r := bench.Result{Config: config, Warnings: []string{}, Broker: &bench.Usage{Name: s.name, PID: 4711}}
	rate := s.deliveries * luck
	switch {
	case config.Publishers == 0:
		rate = 0
	case config.Open():
		rate = min(rate, config.RatePerSecond*float64(max(config.Subscribers, 1)))
	case config.Window < 1000:
		rate /= 7
	}
	seconds := config.Duration.Seconds()
	n := uint64(rate * seconds)
	r.Throughput = bench.Rates{Seconds: seconds, Deliveries: n, DeliveriesPerSecond: rate}
	r.Deliveries = bench.Accounts{Expected: n, Received: n}
	r.Broker.CPUSecondsPerMillion = s.million * luck
	r.Broker.CorePercent = math.Min(100*rate/1e6*s.million*luck+s.million/30, 100)
	r.Broker.ResidentBytesMax = uint64(s.mebibytes * luck * (1 << 20))
	r.Connections.Opened = config.Publishers + config.Subscribers
	if r.Connections.Opened > 0 {
		r.Connections.PerSecond = 21000 / math.Sqrt(s.million*50) * luck
		r.Connections.BrokerCPUSeconds = float64(r.Connections.Opened) * 21e-6 * luck
		r.Connections.ResidentBytesEach = 120 * s.mebibytes * luck
	}
	if n > 0 {
		r.Latency = madeUpLatency(int64(n), s.latencyMs*luck*1e6)
	}
	r.Samples = madeUpSamples(r, random)
	return r
}

func madeUpLatency(n int64, median float64) bench.Latency {
	l := bench.Latency{Count: n, P50Ns: int64(median)}
	for _, percent := range []float64{50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100} {
		l.Percentiles = append(l.Percentiles, bench.Percentile{Percent: percent, Ns: int64(median * math.Pow(1.9, nines(percent)-0.3))})
	}
	l.P99Ns, l.MaxNs = l.Percentiles[4].Ns, l.Percentiles[10].Ns
	return l
}

func madeUpSamples(r bench.Result, random *rand.Rand) []bench.Sample {
	var samples []bench.Sample
	elapsed := 0.0
	add := func(phase string, seconds, load float64) {
		elapsed += seconds
		noise := 1 + 0.06*(random.Float64()-0.5)
		rate := r.Throughput.DeliveriesPerSecond * load * noise
		samples = append(samples, bench.Sample{
			Phase: phase, ElapsedSeconds: elapsed, Seconds: seconds,
			BrokerCPUSeconds:      r.Broker.CorePercent / 100 * seconds * load * noise,
			BrokerResidentBytes:   uint64(float64(r.Broker.ResidentBytesMax) * (0.8 + 0.2*min(elapsed/10, 1))),
			BrokerContextSwitches: uint64((300 + rate/1500) * seconds),
			LoopbackBytes:         uint64(rate * 90 * seconds),
		})
	}
	add("connect", 0.31+random.Float64()/10, 0.2)
	for range int(r.Config.Warmup.Seconds()) {
		add("warm-up", 1.0002, 0.9)
	}
	for range int(r.Config.Duration.Seconds()) {
		add("measure", 1.0001, 1)
	}
	add("drain", 0.05, 0.1)
	return samples
}

// trouble puts in a failed cell, one that was unable, losses, warnings and a failed round.
func trouble(c *compare.Comparison) {
	fanout := &c.Scenarios[0]
	*fanout.Cell("nats-server") = compare.Cell{Peer: "nats-server", Unable: "has no wildcards " + hostile}
	*fanout.Cell("aedes") = compare.Cell{Peer: "aedes", Failures: []compare.Failure{
		{Round: 1, Error: "did not listen within 10 s"}, {Round: 2, Error: hostile}, {Round: 3, Error: "exit status 1"}}}
	mochi := fanout.Cell("mochi")
	mochi.Runs = mochi.Runs[:2]
	mochi.Failures = []compare.Failure{{Round: 2, Error: "the broker closed a connection"}}
	mochi.Runs[0].Deliveries.Lost, mochi.Runs[1].Deliveries.Lost = 1200, 3400
	mochi.Runs[1].Deliveries.Duplicated, mochi.Runs[1].Deliveries.OutOfOrder = 2, 7
	mochi.Runs[1].Warnings = []string{"3,400 of the lost deliveries may still be on their way: nothing had arrived for 2s when the run ended"}
	floor := fanout.Cell("floor")
	for i, w := range []string{"97", "99"} {
		floor.Runs[i].Warnings = []string{"the generator was saturated (its thread was " + w + " % busy): the broker may be faster than this"}
	}
	latency := &c.Scenarios[5]
	latency.Cell("aedes").Runs[0].Warnings = []string{"the rate was not reached: 1840 of 2000 messages/s"}
	for i := range latency.Cell("mochi").Runs {
		latency.Cell("mochi").Runs[i].Broker = nil
		latency.Cell("mochi").Runs[i].BrokerUnknown = "it runs elsewhere"
	}
}

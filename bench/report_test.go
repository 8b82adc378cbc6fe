package bench

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func faultlessResult() Result {
	return Result{
		Config: DefaultConfig(),
		Throughput: Rates{
			Seconds: 10.0004, Messages: 8_012_345, Deliveries: 400_617_250,
			MessagesPerSecond: 801_202.5, DeliveriesPerSecond: 40_060_125, BytesPerSecond: 3.2e9,
		},
		Latency:    Latency{Count: 1, P50Ns: 301_234, P99Ns: 1_512_499, P999Ns: 12_000_000, MaxNs: 1_234_567_890},
		Deliveries: Accounts{MessagesSent: 9_600_000, Expected: 480_000_000, Received: 480_000_000},
		Broker:     &Usage{PID: 4711, Name: "mqttd", CPUSeconds: 9.4512, CPUSecondsPerMillion: 0.02359, CorePercent: 94.5, ResidentBytes: 12 << 20, ResidentBytesMax: 13 << 20},
		Generator:  Usage{CPUSeconds: 7.1, CPUSecondsPerMillion: 0.0177, CorePercent: 71, ThreadPercent: 70},
	}
}

func TestTable(t *testing.T) {
	faulty := faultlessResult()
	faulty.Interrupted = true
	faulty.Config.RatePerSecond, faulty.Config.Filter, faulty.Config.Publishers = 900_000, "bench/#", 1
	faulty.Deliveries = Accounts{
		MessagesSent: 9_600_000, MessagesUnsent: 1_000, Expected: 480_000_000, Received: 479_999_000, Lost: 1_001, Duplicated: 1,
		OutOfOrder: 2, Unexpected: 3, Worst: &SubscriberAccount{Subscriber: 17, Lost: 1_000, Duplicated: 1, OutOfOrder: 2},
	}
	faulty.Broker, faulty.BrokerUnknown = nil, errRemote.Error()
	faulty.Generator.ThreadPercent = 97
	empty := Result{Config: DefaultConfig(), Interrupted: true, BrokerUnknown: errNotReadable.Error()}
	idle := faultlessResult()
	idle.Config.Publishers, idle.Config.Subscribers, idle.Config.Topic = 0, 10_000, "bench/%i"
	idle.Throughput, idle.Latency, idle.Deliveries = Rates{Seconds: 10}, Latency{}, Accounts{}
	idle.Connections = Connections{
		Opened: 10_000, Seconds: 0.8, PerSecond: 12_500, Latency: Latency{Count: 10_000, P50Ns: 5_000_000, P99Ns: 9_876_543},
		BrokerCPUSeconds: 0.31, ResidentBytesBefore: 8 << 20, ResidentBytesEach: 1381.4,
	}
	literal := faultlessResult()
	literal.Config.ConnectPerMessage, literal.Config.RatePerSecond, literal.Config.Topic, literal.Config.Topics = true, 100, "bench/%i/%j", 20

	for name, r := range map[string]Result{"table-faultless.txt": faultlessResult(), "table-faulty.txt": faulty, "table-empty.txt": empty, "table-idle.txt": idle, "table-literal.txt": literal} {
		t.Run(name, func(t *testing.T) {
			r.judge()
			var b strings.Builder
			require.NoError(t, r.WriteTable(&b))
			golden(t, name, b.String())
		})
	}
}

func TestProgress(t *testing.T) {
	samples := []Sample{
		{Phase: "connect", ElapsedSeconds: 0.4, Seconds: 0.4, Connections: 100},
		{Phase: "connect", ElapsedSeconds: 1, Seconds: 0.6, Connections: 600},
		{Phase: "warm-up", ElapsedSeconds: 2, Seconds: 1, MessagesSent: 801_202, Deliveries: 40_060_125, LatencyP99Ns: 301_234},
		{Phase: "measure", ElapsedSeconds: 7.5, Seconds: 0.5, MessagesSent: 5, Deliveries: 250, Missing: 12_345, LatencyP99Ns: 1_234_567_890},
		{Phase: "drain", ElapsedSeconds: 7.6, Seconds: 0.1},
	}
	for name, terminal := range map[string]bool{"progress-lines.txt": false, "progress-terminal.txt": true} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			p := NewProgress(&b, terminal, DefaultConfig())
			for _, s := range samples {
				p.Sample(s)
			}
			p.Close()
			golden(t, name, b.String())
		})
	}
}

func TestJudgeSaturation(t *testing.T) {
	tests := map[string]struct {
		threadPercent float64
		broker        *Usage
		want          bool
	}{
		"an idle generator":                                      {50, &Usage{CorePercent: 50}, false},
		"a busy generator, an idle broker":                       {95, &Usage{CorePercent: 50}, true},
		"both busy: a broker of two loops may have more to give": {95, &Usage{CorePercent: 95}, true},
		"a busy generator, an unknown broker":                    {95, nil, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := Result{Broker: test.broker, Generator: Usage{ThreadPercent: test.threadPercent}}
			r.judge()
			assert.Equal(t, test.want, r.Saturated)
			assert.Equal(t, test.want, len(r.Warnings) == 1)
		})
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -1000: "-1,000", -123456: "-123,456"} {
		assert.Equal(t, want, Thousands(n))
	}
}

func TestSecondsHaveNoMeaninglessDigits(t *testing.T) {
	assert.InDelta(t, 1.234568, seconds(1234567890*time.Nanosecond), 1e-12)
}

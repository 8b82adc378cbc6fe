package admin_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/reactor"
)

// fake is a broker that says what the test wants.
type fake struct {
	stats      reactor.Stats
	top        []reactor.ClientInfo
	histograms [2]reactor.Histogram
}

func (f *fake) Stats() reactor.Stats                      { return f.stats }
func (f *fake) Loops() []reactor.LoopStats                { return []reactor.LoopStats{{Busy: 0.25}} }
func (f *fake) Fanout() (latency, skew reactor.Histogram) { return f.histograms[0], f.histograms[1] }
func (f *fake) Responsive(context.Context) error          { return nil }
func (f *fake) Ready() bool                               { return false }
func (f *fake) Clients(context.Context, int, int) ([]reactor.ClientInfo, int, error) {
	return nil, -1, nil
}
func (f *fake) Client(context.Context, string) (reactor.ClientInfo, bool, error) {
	return reactor.ClientInfo{}, false, nil
}
func (f *fake) Top(context.Context, int) (byLoss, byWaiting []reactor.ClientInfo, err error) {
	return f.top, f.top, nil
}

func TestReadinessIsTheBrokers(t *testing.T) {
	status, _ := startAdmin(t, &fake{}, nil).get("/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, status)
}

// Each number of reactor.Stats has its metric: a field that is added there and forgotten here fails.
func TestEveryCounterIsAMetric(t *testing.T) {
	f := &fake{}
	next := uint64(1_000_000)
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Int:
			next += 1013
			v.SetInt(int64(next))
		case reflect.Int64:
			next += 1013
			if v.Type() == reflect.TypeFor[time.Duration]() {
				v.SetInt(int64(next) * int64(time.Second))
			} else {
				v.SetInt(int64(next))
			}
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Uint64:
			next += 1013
			v.SetUint(next)
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				next += 1013
				v.Set(reflect.ValueOf(time.Unix(int64(next), 0)))
				return
			}
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		default: // an array
			for i := range v.Len() {
				fill(v.Index(i))
			}
		}
	}
	stats := reflect.ValueOf(&f.stats).Elem()
	for i := range stats.NumField() {
		fill(stats.Field(i))
	}
	_, text := startAdmin(t, f, nil).get("/metrics")
	values := map[string]bool{}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "mqttd_") {
			var value float64
			_, err := fmt.Sscan(fields[len(fields)-1], &value)
			require.NoError(t, err, line)
			values[fmt.Sprint(uint64(math.Round(value)))] = true
		}
	}
	var look func(name string, v reflect.Value)
	look = func(name string, v reflect.Value) {
		if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() {
			for i := range v.NumField() {
				look(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
			return
		}
		if v.Kind() == reflect.Array {
			for i := range v.Len() {
				look(fmt.Sprintf("%s[%d]", name, i), v.Index(i))
			}
			return
		}
		want := fmt.Sprint(v)
		switch at := v.Interface().(type) {
		case time.Time:
			want = fmt.Sprint(at.Unix())
		case time.Duration:
			want = fmt.Sprint(uint64(at.Seconds()))
		case bool:
			want = "1"
		}
		if name == "ConnectsRefused" { // shown without RefusedFull, which is a part of it
			want = fmt.Sprint(v.Uint() - min(v.Uint(), f.stats.RefusedFull))
		}
		assert.True(t, values[want], "no metric for %s", name)
	}
	for i := range stats.NumField() {
		look(stats.Type().Field(i).Name, stats.Field(i))
	}
}

func TestMetricsOfALiveBroker(t *testing.T) {
	server := startBroker(t, nil)
	connect(t, server, "anna", "a")
	_, text := startAdmin(t, server, nil).get("/metrics")
	for _, line := range []string{
		"mqttd_connections 1", "mqttd_subscriptions 1", "mqttd_retained_messages 0", "mqttd_retained_bytes 0",
		"mqttd_queue_bytes 0", "mqttd_queue_messages 0", "mqttd_congested_connections 0",
		`mqttd_connects_total{result="accepted"} 1`, `mqttd_publish_received_total{qos="2"} 0`,
		`mqttd_publish_sent_total{qos="0"} 0`, `mqttd_deliveries_dropped_total{qos="0",reason="handover"} 0`,
		`mqttd_loop_busy_ratio{loop="1"} `, `mqttd_loop_turn_seconds{loop="0"} `,
		`mqttd_fanout_seconds_bucket{le="1e-05"} 0`, "mqttd_fanout_skew_seconds_count 0",
		`mqttd_build_info{goversion="go`, `version="v1"} 1`, "go_goroutines ", "process_cpu_seconds_total ",
	} {
		assert.Contains(t, text, line)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	assert.Empty(t, problems)
}

func TestHistogramsAreCumulative(t *testing.T) {
	f := &fake{}
	f.histograms[0] = reactor.Histogram{
		Buckets: []reactor.Bucket{{Bound: time.Millisecond, Count: 3}, {Bound: time.Second, Count: 4}},
		Count:   8, Sum: 5 * time.Second,
	}
	_, text := startAdmin(t, f, nil).get("/metrics")
	assert.Contains(t, text, `mqttd_fanout_seconds_bucket{le="0.001"} 3
mqttd_fanout_seconds_bucket{le="1"} 7
mqttd_fanout_seconds_bucket{le="+Inf"} 8
mqttd_fanout_seconds_sum 5
mqttd_fanout_seconds_count 8
`)
}

// What clients call themselves neither breaks the scrape nor grows it.
func TestTopClientsAsLabels(t *testing.T) {
	long := strings.Repeat("x", 100)
	f := &fake{}
	for i, id := range []string{"a\"b\\c", "bell\a", long + "1", long + "2", ""} {
		info := reactor.ClientInfo{ClientID: id, WaitingBytes: 10 + i}
		info.Dropped[reactor.ReasonSlow] = uint64(20 + i)
		f.top = append(f.top, info)
	}
	status, text := startAdmin(t, f, nil).get("/metrics")
	require.Equal(t, 200, status, text)
	var series []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "mqttd_top_client_lost{") {
			series = append(series, strings.TrimSpace(line))
		}
	}
	assert.ElementsMatch(t, []string{
		`mqttd_top_client_lost{client_id="a\"b\\c"} 20`,
		"mqttd_top_client_lost{client_id=\"bell\uFFFD\"} 21",
		`mqttd_top_client_lost{client_id="` + long[:64] + `…"} 22`,
		`mqttd_top_client_lost{client_id=""} 24`,
	}, series)
	assert.Contains(t, text, "\nmqttd_top_client_waiting_bytes{client_id=\"\"} 14\n")
}

// BenchmarkScrape is what a scrape costs, over the loopback, with 1,000 clients.
func BenchmarkScrape(b *testing.B) {
	server := startBroker(b, nil)
	for n := range 1000 {
		connect(b, server, fmt.Sprint("client-", n), fmt.Sprint("topic/", n))
	}
	s := startAdmin(b, server, nil)
	b.ReportAllocs()
	for b.Loop() {
		status, _ := s.get("/metrics")
		require.Equal(b, 200, status)
	}
}

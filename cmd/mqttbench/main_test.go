package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench"
)

// command runs mqttbench and returns what it wrote.
func command(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, append([]string{"mqttbench"}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func TestWrongUsageIsOneLine(t *testing.T) {
	for _, args := range []string{"-nonsense", "-port x", "-port 0 -qos 1 -topic a/#", "extra", "-qos 3", "-payload 23",
		"-duration 5", "-scenario nonsense", "-scenario seed-0 -rate 5", "-connects 0", "-source eth0",
		"run extra", "compare -nonsense", "compare extra", "compare -peers nonsense", "compare -peers floor,floor", "compare -scenarios nonsense",
		"compare -rounds -1 -peers floor", "compare -peer x=nothing", "compare -window 10", "soak -nonsense", "soak extra", "soak -peer nonsense", "soak -share 1.1 -peer a=true", "report", "report a.json", "report -out x", "report a.json -out x y",
	} {
		code, stdout, stderr := command(t.Context(), strings.Fields(args)...)
		assert.Equal(t, exitUsage, code, args)
		assert.Empty(t, stdout, args)
		assert.True(t, strings.HasPrefix(stderr, "mqttbench: "), stderr)
		assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	}
}

func TestHelpAndVersion(t *testing.T) {
	code, stdout, stderr := command(t.Context(), "-h")
	assert.Equal(t, exitOK, code)
	assert.Empty(t, stderr)
	load := "publishers subscribers topic topics filter payload rate window connect-per-message connects connect-rate source duration warmup sample qos persistent"
	for _, name := range strings.Fields("host port pid scenario json q " + load) {
		assert.Contains(t, stdout, "\n  -"+name)
	}
	for _, name := range []string{"compare", "soak", "report", "scenarios"} {
		assert.Contains(t, stdout, "mqttbench "+name)
	}
	code, stdout, _ = command(t.Context(), "compare", "-h")
	assert.Equal(t, exitOK, code)
	for _, name := range strings.Fields("peers peer scenarios rounds loops bin out json q " + load) {
		assert.Contains(t, stdout, "\n  -"+name)
	}
	code, stdout, _ = command(t.Context(), "-version")
	assert.Equal(t, exitOK, code)
	assert.Regexp(t, `^mqttbench \S+ go\S+ \w+/\w+\n$`, stdout)
}

func TestScenariosAreListed(t *testing.T) {
	code, stdout, stderr := command(t.Context(), "scenarios")
	assert.Equal(t, exitOK, code)
	assert.Empty(t, stderr)
	for _, name := range strings.Fields(`seed-0 seed-2 seed-2-literal seed-100 seed-100-literal fanout-50-50 fanout-1-1000 fanout-1-1000-1k
		pairs-50 fanin-200-1 topics-10k wild-1k latency-20k latency-100k latency-1m fanout-5-1000-250k idle-10k connect-10k
		fanout-50-50-qos1 fanout-50-50-qos2 pairs-50-w1000-qos1 pairs-50-w1000-qos2 latency-20k-qos1 latency-20k-qos2 pairs-50-10k-qos1 pairs-50-10k-qos2
		fanout-50-50-qos1-kept pairs-50-w1000-qos1-kept pairs-50-w1000-qos2-kept pairs-50-1k-qos1-kept`) {
		assert.Contains(t, "\n"+stdout, "\n"+name+" ")
	}
	_, rest, _ := strings.Cut(stdout, "\nconnect-10k ")
	above, kept, _ := strings.Cut(rest, "\n\nPersistent sessions\n\n")
	assert.Contains(t, above, "\n\nQoS 1 and 2\n\nfanout-50-50-qos1 ")
	assert.Equal(t, 4, strings.Count(above, "QoS 1.\n"))
	assert.Equal(t, 4, strings.Count(kept, "Subscribers have persistent sessions.\n"))
}

// A flag that is given changes the scenario, one that is not leaves it as it is.
func TestFlagsOverrideTheScenario(t *testing.T) {
	c, _, _, err := measureOptions(strings.Fields("-payload 99 -scenario fanin-200-1 -port 7 -source 127.0.0.2,127.0.0.3"), io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []any{99, 200, 1, "bench/#", 7, "fanin-200-1"}, []any{c.PayloadBytes, c.Publishers, c.Subscribers, c.Filter, c.Port, c.Scenario})
	assert.Equal(t, []string{"127.0.0.2", "127.0.0.3"}, c.Sources)

	o, err := parseCompare(strings.Fields("-scenarios seed-2,pairs-50 -duration 7s -window 60"), io.Discard)
	require.NoError(t, err)
	require.Len(t, o.configs, 2)
	assert.Equal(t, []any{"seed-2", 1, 7 * time.Second, 200 * time.Millisecond}, []any{o.configs[0].Name, o.configs[0].Config.Publishers, o.configs[0].Config.Duration, o.configs[0].Config.SampleInterval})
	assert.Equal(t, []any{"pairs-50", 50, 7 * time.Second, 60}, []any{o.configs[1].Name, o.configs[1].Config.Publishers, o.configs[1].Config.Duration, o.configs[1].Config.Window})
	o, err = parseCompare(strings.Fields("-scenarios all"), io.Discard)
	require.NoError(t, err)
	assert.Len(t, o.configs, len(bench.Scenarios()))
}

func TestNoBroker(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, listener.Close())
	code, stdout, stderr := command(t.Context(), "-port", port)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, stdout)
	assert.Equal(t, "mqttbench: cannot connect to the broker at 127.0.0.1:"+port+": connection refused, nothing listens there\n", stderr)
}

func TestTableProgressAndJSON(t *testing.T) {
	port := startEcho(t)
	args := []string{"-port", port, "-publishers", "1", "-subscribers", "1", "-window", "10", "-warmup", "0s", "-duration", "200ms"}
	code, stdout, stderr := command(t.Context(), args...)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, stdout, "\nThroughput\n")
	assert.Contains(t, stderr, "deliveries/s")

	code, stdout, stderr = command(t.Context(), append(args, "-q", "-json")...)
	assert.Equal(t, exitOK, code)
	assert.Empty(t, stderr)
	var result struct {
		Command    []string
		Deliveries struct{ Expected, Received uint64 }
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &result))
	assert.Contains(t, result.Command, "-json")
	assert.Positive(t, result.Deliveries.Received)
	assert.Equal(t, result.Deliveries.Expected, result.Deliveries.Received)
}

func TestInterrupted(t *testing.T) {
	port := startEcho(t)
	ctx, cancel := context.WithCancel(t.Context())
	stderr := writerFunc(func(p []byte) (int, error) {
		cancel() // at the first progress line
		return len(p), nil
	})
	var stdout bytes.Buffer
	code := run(ctx, []string{"mqttbench", "-port", port, "-publishers", "1", "-subscribers", "1", "-duration", "1h"}, &stdout, stderr)
	assert.Equal(t, exitInterrupted, code)
	assert.Contains(t, stdout.String(), "INTERRUPTED")
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// startEcho is a broker for one publisher and one subscriber, reduced to the bytes: what one
// connection publishes goes to the other. It returns its port.
func startEcho(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	subscribers := make(chan net.Conn, 1)
	running.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { echo(c, subscribers) })
		}
	})
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// echo answers CONNECT; then a SUBSCRIBE makes c the subscriber, and anything else goes there.
func echo(c net.Conn, subscribers chan net.Conn) {
	defer func() { _ = c.Close() }()
	packet := make([]byte, 1024)
	_, _ = c.Read(packet)
	_, _ = c.Write([]byte{0x20, 2, 0, 0})
	n, err := c.Read(packet)
	if err != nil {
		return
	}
	if packet[0] != 0x82 {
		subscriber := <-subscribers
		_, _ = subscriber.Write(packet[:n])
		_, _ = io.Copy(subscriber, c)
		return
	}
	_, _ = c.Write([]byte{0x90, 3, 0, 1, 0})
	subscribers <- c
	_, _ = c.Read(packet) // DISCONNECT
}

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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// command runs mqttbench and returns what it wrote.
func command(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, append([]string{"mqttbench"}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func TestWrongUsageIsOneLine(t *testing.T) {
	for _, args := range []string{"-nonsense", "-port x", "-port 0 -qos 1 -topic a/#", "extra", "-qos 2", "-payload 23", "-duration 5"} {
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
	for _, name := range strings.Fields("host port publishers subscribers topic filter payload rate window duration warmup qos pid json q version") {
		assert.Contains(t, stdout, "\n  -"+name)
	}
	code, stdout, _ = command(t.Context(), "-version")
	assert.Equal(t, exitOK, code)
	assert.Regexp(t, `^mqttbench \S+ go\S+ \w+/\w+\n$`, stdout)
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

package main

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench/soak"
)

// brief is a soak of little load, whose latency and memory may be anything.
const brief = "soak -connections 12 -publishers 2 -window 4 -peak 200ms -warmup 20ms -duration 600ms -share 0.05 " +
	"-memory-slack 100 -p99-slack 1m -q"

func TestSoakWritesItsReports(t *testing.T) {
	dir, out := buildBrokers(t), filepath.Join(t.TempDir(), "new", "folder")
	code, stdout, stderr := command(t.Context(), strings.Fields(brief+" -bin "+dir+" -out "+out)...)
	if code != exitOK { // on a busy machine
		assert.Contains(t, stdout, "this machine cannot hold 5 % of the peak")
		assert.Equal(t, 2, strings.Count(stdout, "\nFAIL"), stdout)
	}
	for _, text := range []string{"Soak of mqttd", "2 publishers and 10 subscribers", "PASS  connections         12 open", "PASS  no loss"} {
		assert.Contains(t, stdout, text, stderr)
	}
	table, err := os.ReadFile(filepath.Join(out, fileTable))
	require.NoError(t, err)
	assert.Equal(t, string(table), stdout)

	file, err := os.Open(filepath.Join(out, fileSoak))
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	z, err := gzip.NewReader(file)
	require.NoError(t, err)
	var s soak.Soak
	require.NoError(t, json.NewDecoder(z).Decode(&s))
	assert.Len(t, s.Sixths, 6)
	assert.NotEmpty(t, s.Run.Samples)
	assert.Contains(t, s.Command, "-out")
}

func TestSoakSaysByItsExitCodeWhatTheTableSays(t *testing.T) {
	args := strings.Fields(brief + " -json -p99-factor 0 -p99-slack 0s -bin " + buildBrokers(t))
	code, stdout, stderr := command(t.Context(), args...)
	assert.Equal(t, exitFailed, code, "no latency is 0")
	assert.Equal(t, "mqttbench: the soak failed, see above\n", stderr)
	var s soak.Soak
	require.NoError(t, json.Unmarshal([]byte(stdout), &s))
	assert.False(t, s.Passed())

	code, _, stderr = command(t.Context(), strings.Fields("soak -q -bin "+t.TempDir()+" -peer floor")...)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, stderr, "floor is missing: ")

	code, _, stderr = command(t.Context(), "soak", "-q", "-peer", "quits=/bin/sh -c 'echo no licence >&2; exit 9' {port}")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "no licence")
}

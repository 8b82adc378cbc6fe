package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench/compare"
)

// buildBrokers builds mqttd and floor and returns their folder.
func buildBrokers(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	output, err := exec.Command("go", "build", "-o", dir, "../mqttd", "../../bench/floor").CombinedOutput()
	require.NoError(t, err, "%s", output)
	return dir
}

// small keeps the scenarios and shrinks their numbers.
const small = " -publishers 2 -subscribers 3 -window 8 -warmup 20ms -duration 100ms -sample 20ms -q"

func TestCompareWritesItsReports(t *testing.T) {
	dir, out := buildBrokers(t), filepath.Join(t.TempDir(), "new", "folder")
	code, stdout, stderr := command(t.Context(), strings.Fields(
		"compare -bin "+dir+" -peers floor,mqttd:1,mqttd,mosquitto -loops 2 -scenarios fanout-50-50,wild-1k -rounds 2 -out "+out+small)...)
	require.Equal(t, exitOK, code, stderr)
	assert.Empty(t, stderr)
	for _, text := range []string{"fanout-50-50", "wild-1k", "floor", "mqttd:1", "mosquitto", "unable: it compares topics only"} {
		assert.Contains(t, strings.Join(strings.Fields(stdout), " "), text)
	}
	for _, name := range []string{fileRaw, fileHTML, fileTable, fileMarkdown} {
		info, err := os.Stat(filepath.Join(out, name))
		require.NoError(t, err)
		assert.Positive(t, info.Size(), name)
	}
	table, err := os.ReadFile(filepath.Join(out, fileTable))
	require.NoError(t, err)
	assert.Equal(t, string(table), stdout)

	c, err := readComparison(filepath.Join(out, fileRaw))
	require.NoError(t, err)
	require.Len(t, c.Scenarios, 2)
	for _, cell := range c.Scenarios[0].Cells {
		require.Len(t, cell.Runs, 2, cell.Peer)
		for _, r := range cell.Runs {
			assert.Zero(t, r.Deliveries.Lost, cell.Peer)
			assert.NotEmpty(t, r.Samples, cell.Peer)
		}
	}

	again := t.TempDir()
	code, stdout, stderr = command(t.Context(), "report", filepath.Join(out, fileRaw), "-out", again)
	require.Equal(t, exitOK, code, stderr)
	assert.Equal(t, string(table), stdout)
	for _, name := range []string{fileHTML, fileTable, fileMarkdown} {
		first, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		second, err := os.ReadFile(filepath.Join(again, name))
		require.NoError(t, err)
		assert.Equal(t, string(first), string(second), name)
	}
}

func TestCompareNamesWhatFailedAndWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // nothing is installed, nor can be built
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	code, stdout, stderr := command(t.Context(), append(strings.Fields("compare -bin "+t.TempDir()+" -peers floor,mochi -json"+small),
		"-peer", "quits=/bin/sh -c 'echo no licence >&2; exit 9' {port}")...)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "mochi is left out: ")
	assert.Contains(t, stderr, "floor is left out: ")
	assert.Contains(t, stderr, "some runs failed")
	var c compare.Comparison
	require.NoError(t, json.Unmarshal([]byte(stdout), &c))
	require.Len(t, c.Missing, 2)
	cell := c.Scenarios[0].Cell("quits")
	require.Len(t, cell.Failures, 3, "each round")
	assert.Contains(t, cell.Failures[0].Error, "no licence")
	assert.Empty(t, cell.Runs)

	code, stdout, stderr = command(t.Context(), strings.Fields("compare -peers mochi -bin "+t.TempDir()+small)...)
	assert.Equal(t, exitUsage, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "no peer to compare; mochi is missing: ")
}

func TestReportRefusesWhatIsNoComparison(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.json": "{}", "b.json": "nonsense", "c.json.gz": "nonsense", "d.json": `{"peers":[{}]}`} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		code, stdout, stderr := command(t.Context(), "report", path, "-out", filepath.Join(dir, "out"))
		assert.Equal(t, exitFailed, code)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, name)
		assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	}
	assert.NoDirExists(t, filepath.Join(dir, "out"), "no report that pretends")
}

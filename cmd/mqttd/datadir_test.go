package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A data directory that cannot be used is named with the cause and the remedy, and left as it is.
func TestDataDirectoryThatCannotBeUsed(t *testing.T) {
	held := t.TempDir()
	requireOwnBroker(t)
	startBrokerWith(t, "0", brokerProgram, "-data-dir", held)
	garbage, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(filepath.Join(garbage, "mqttd.db"), []byte("not a database"), 0o600))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for directory, want := range map[string]struct {
		code int
		says []string
	}{
		held:    {75, []string{held, "in use by another process", "stop that one, or choose another directory"}},
		garbage: {1, []string{filepath.Join(garbage, "mqttd.db"), "damaged", "move it away to start empty, or restore a backup"}},
		file:    {1, []string{file, "not a directory", "must be a directory that this user may write to"}},
	} {
		_, log, code := run(t, "-host", "127.0.0.1", "-port", "0", "-data-dir", directory)
		assert.Equal(t, want.code, code, log)
		for _, text := range want.says {
			assert.Contains(t, log, text)
		}
	}
	left, err := os.ReadFile(filepath.Join(garbage, "mqttd.db"))
	require.NoError(t, err)
	assert.Equal(t, "not a database", string(left))
}

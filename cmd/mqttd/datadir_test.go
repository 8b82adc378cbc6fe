package main_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

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

// A start that ends because a port is taken leaves the data directory as a stop does.
func TestStartThatEndsLeavesTheDataDirectoryClean(t *testing.T) {
	requireOwnBroker(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	require.NoError(t, err)
	dir := t.TempDir()
	for _, flags := range [][]string{{"-port", port}, {"-port", "0", "-admin", "127.0.0.1:" + port}} {
		_, log, code := run(t, append(flags, "-host", "127.0.0.1", "-data-dir", dir)...)
		require.Equal(t, 75, code, log)
		b := startBrokerWith(t, "0", brokerProgram, "-data-dir", dir)
		assert.Contains(t, b.log.String(), `"clean":true`, "%v", flags)
		b.stop(t)
	}
}

// A second signal ends the wait for slow readers, and what is to be saved is saved all the same.
func TestSecondSignalSaves(t *testing.T) {
	requireOwnBroker(t)
	dir := t.TempDir()
	require.True(t, once(func() bool { // it must not have waited long enough when the second one comes
		b := startBrokerWith(t, "0", brokerProgram, "-data-dir", dir, "-sync-interval", "1h")
		stall(t, b)
		c := dialRaw(t, b)
		raw(t, c, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01r\x33\x06\x00\x01t\x00\x01v") // CONNECT, PUBLISH retained
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		_, err := c.Read(make([]byte, 8))
		require.NoError(t, err)
		return endsAtTheSecondSignal(t, b)
	}))
	b := startBrokerWith(t, "0", brokerProgram, "-data-dir", dir)
	assert.Contains(t, b.log.String(), `"retained":1`)
	assert.Contains(t, b.log.String(), `"clean":true`)
}

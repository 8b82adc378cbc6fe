package main_test

import (
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// adminStatus asks the admin server for a page, and returns 0 when it does not answer.
func adminStatus(port, path string) int {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://127.0.0.1:" + port + path)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// The admin server answers while the broker lives, and says that it goes while it drains.
func TestAdminFromStartToEnd(t *testing.T) {
	requireOwnBroker(t)
	port := freePort(t)
	b := startBrokerAt(t, freePort(t), "-admin", ":"+port)
	awaitStatus := func(path string, status int, why string) {
		require.Eventually(t, func() bool { return adminStatus(port, path) == status }, patience, time.Millisecond, why)
	}
	awaitStatus("/readyz", 200, "it listens")
	assert.Equal(t, 200, adminStatus(port, "/healthz"))
	assert.Equal(t, 200, adminStatus(port, "/metrics"))
	assert.Equal(t, 404, adminStatus(port, "/debug/pprof/"))
	stall(t, b)
	require.NoError(t, b.cmd.Process.Signal(syscall.SIGTERM))
	awaitStatus("/readyz", 503, "it drains")
	awaitStatus("/readyz", 0, "it ends with the broker")
	await(t, b.exited, "the broker to end")
	assert.Contains(t, b.log.String(), `"address":"127.0.0.1:`+port+`"`)
	assert.Contains(t, b.log.String(), "admin listens, on the loopback only")
}

func TestAdminWithProfiles(t *testing.T) {
	requireOwnBroker(t)
	port := freePort(t)
	startBrokerAt(t, freePort(t), "-admin", "0.0.0.0:"+port, "-pprof")
	require.Eventually(t, func() bool { return adminStatus(port, "/debug/pprof/") == 200 }, patience, 10*time.Millisecond)
}

// A port that is taken ends the start before any client is let in.
func TestAdminPortInUseExits75(t *testing.T) {
	requireOwnBroker(t)
	port := freePort(t)
	startBrokerAt(t, freePort(t), "-admin", ":"+port)
	_, stderr, code := run(t, "-host", "127.0.0.1", "-port", "0", "-admin", ":"+port)
	assert.Equal(t, 75, code)
	assert.Contains(t, stderr, "admin address :"+port+" is in use")
	assert.NotContains(t, stderr, "mqttd listens")
	_, stderr, code = run(t, "-host", "127.0.0.1", "-port", "0", "-admin", "192.0.2.1:0")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "cannot assign requested address")
}

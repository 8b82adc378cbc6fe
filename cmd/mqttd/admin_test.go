package main_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
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

// metric returns the value of one metric, written with its labels.
func metric(t *testing.T, port, name string) int {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://127.0.0.1:" + port + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n"+name+" ")
	require.True(t, found, "no %s in %s", name, text)
	var number float64 // a million is 1e+06
	_, err = fmt.Sscan(rest, &number)
	require.NoError(t, err)
	return int(number)
}

// The admin server answers while the broker lives, and says that it goes while it drains.
func TestAdminFromStartToEnd(t *testing.T) {
	requireOwnBroker(t)
	require.True(t, once(func() bool { // it drains for seconds, of which the test has to see one moment
		port := freePort(t)
		b := startBrokerAt(t, freePort(t), "-admin", ":"+port)
		awaitStatus := func(path, what string, wanted ...int) (status int) {
			t.Helper()
			require.Eventually(t, func() bool {
				status = adminStatus(port, path)
				return slices.Contains(wanted, status)
			}, patience, time.Millisecond, what)
			return status
		}
		awaitStatus("/readyz", "it listens", 200)
		awaitStatus("/healthz", "every loop answers", 200)
		assert.Equal(t, 200, adminStatus(port, "/metrics"))
		assert.Equal(t, 404, adminStatus(port, "/debug/pprof/"))
		stall(t, b)
		require.NoError(t, b.cmd.Process.Signal(syscall.SIGTERM))
		seen := awaitStatus("/readyz", "it drains", 503, 0)
		awaitStatus("/readyz", "it ends with the broker", 0)
		b.stop(t)
		assert.Contains(t, b.log.String(), `"address":"127.0.0.1:`+port+`"`)
		assert.Contains(t, b.log.String(), "admin listens, on the loopback only")
		return seen == 503
	}))
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

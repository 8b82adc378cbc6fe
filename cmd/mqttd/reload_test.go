package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// configured is a broker with a configuration file.
type configured struct {
	*broker
	t    *testing.T
	file string
}

// startConfigured starts a broker that listens where the flags say and takes all else from the file.
func startConfigured(t *testing.T, content string, arguments ...string) *configured {
	t.Helper()
	requireOwnBroker(t)
	c := &configured{t: t, file: filepath.Join(t.TempDir(), "mqttd.yaml"), broker: &broker{host: "127.0.0.1"}}
	c.write(content)
	c.process = startProcess(t, nil, brokerProgram, append([]string{"-c", c.file, "-host", c.host, "-port", "0"}, arguments...)...)
	t.Cleanup(func() { c.stop(t) })
	c.port = listenerLogged.FindStringSubmatch(c.awaitLog(0, `"listener":`))[1]
	return c
}

func (c *configured) write(content string) {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(c.file, []byte(content), 0o600))
}

// awaitLog waits until the log says something, from an offset on, and returns it from there.
func (c *configured) awaitLog(offset int, text string) (log string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		log = c.log.String()[offset:]
		end := strings.Index(log, text)
		return end >= 0 && strings.Contains(log[end:], "\n")
	}, faultPatience, 5*time.Millisecond, "the log does not say %q", text)
	return log
}

// reload changes the file and has it read again. It returns what is logged, as far as the text that is waited for.
func (c *configured) reload(content, until string) string {
	c.t.Helper()
	offset := len(c.log.String())
	c.write(content)
	require.NoError(c.t, c.cmd.Process.Signal(syscall.SIGHUP))
	return c.awaitLog(offset, until)
}

const (
	readAgain   = "configuration read again"
	notReloaded = "not reloaded: the configuration before stays in force"
)

// client connects a client with a filter.
func (c *configured) client() (subscribe func(filter byte) (code byte)) {
	c.t.Helper()
	conn := dialRaw(c.t, c.broker)
	raw(c.t, conn, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01s")
	expectRaw(c.t, conn, "\x20\x02\x00\x00")
	return func(filter byte) byte {
		c.t.Helper()
		raw(c.t, conn, "\x82\x06\x00\x01\x00\x01"+string(filter)+"\x00")
		suback := make([]byte, 5)
		require.NoError(c.t, conn.SetReadDeadline(time.Now().Add(patience)))
		_, err := conn.Read(suback)
		require.NoError(c.t, err)
		return suback[4]
	}
}

func TestReloadChangesLimitsOfThoseConnected(t *testing.T) {
	c := startConfigured(t, "max_filters: 1\n")
	subscribe := c.client()
	assert.Equal(t, byte(0), subscribe('a'))
	assert.Equal(t, byte(0x80), subscribe('b'))
	log := c.reload("max_filters: 2\n", readAgain)
	assert.Contains(t, log, `"changed":{"max_filters":"1 -> 2"}`)
	assert.NotContains(t, log, "needs a restart")
	assert.Equal(t, byte(0), subscribe('b'))
	assert.Equal(t, byte(0x80), subscribe('c'))
	c.reload("# as it comes\n", readAgain)
	assert.Equal(t, byte(0), subscribe('c'), "the default is in force")

	publisher := dialRaw(t, c.broker)
	raw(t, publisher, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01p")
	expectRaw(t, publisher, "\x20\x02\x00\x00")
	large := "\x30\xff\x01\x00\x01x" + strings.Repeat("x", 252) // 258 bytes
	raw(t, publisher, large+"\xc0\x00")
	expectRaw(t, publisher, "\xd0\x00")
	c.reload("max_packet_size: 257\n", readAgain)
	raw(t, publisher, large)
	require.NoError(t, publisher.SetReadDeadline(time.Now().Add(patience)))
	_, err := publisher.Read(make([]byte, 1))
	require.Error(t, err, "closed")
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
}

func TestReloadChangesTheLogLevel(t *testing.T) {
	c := startConfigured(t, "log: {level: info}\n")
	refused := func() { // who goes without a CONNECT is a debug line
		offset := len(c.log.String())
		require.NoError(t, dialRaw(t, c.broker).Close())
		c.awaitLog(offset, `"level":"debug"`)
	}
	require.True(t, serves(c.broker))
	assert.NotContains(t, c.log.String(), `"level":"debug"`)
	assert.Contains(t, c.reload("log: {level: debug}\n", readAgain), `"log.level":"info -> debug"`)
	refused()
	log := c.reload("log: {level: error}\n", readAgain)
	assert.Contains(t, log, `"log.level":"debug -> error"`, "the last line that is seen")
	offset := len(c.log.String())
	require.True(t, serves(c.broker))
	assert.Contains(t, c.reload("log: {level: trace}\n", readAgain), `"log.level":"error -> trace"`)
	assert.NotContains(t, c.log.String()[offset:strings.LastIndex(c.log.String(), readAgain)], "client connected")
}

func TestReloadOfAWrongFileChangesNothing(t *testing.T) {
	c := startConfigured(t, "max_filters: 1\n")
	subscribe := c.client()
	assert.Equal(t, byte(0), subscribe('a'))
	for content, want := range map[string][]string{
		"max_filters: 2\nloosp: 2\nconnect_rate: -1\n": {`:2: unknown key \"loosp\"; the closest valid one is loops`, ":3: connect_rate -1: want 0 to"},
		"":                                       {"is empty"},
		"max_filters: 3\nadmin: {pprof: true}\n": {"admin.pprof: it is part of what -admin serves"},
	} {
		log := c.reload(content, notReloaded)
		for _, text := range want {
			assert.Contains(t, log, text)
		}
		assert.NotContains(t, log, readAgain)
		assert.Equal(t, byte(0x80), subscribe('b'))
	}
	require.NoError(t, os.Remove(c.file))
	offset := len(c.log.String())
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGHUP))
	assert.Contains(t, c.awaitLog(offset, notReloaded), "no such file or directory")
	c.reload("max_filters: 2\n", readAgain)
	assert.Equal(t, byte(0), subscribe('b'))
}

func TestReloadNamesWhatNeedsARestart(t *testing.T) {
	c := startConfigured(t, "loops: 1\n", "-max-retained", "7")
	const changed = "loops: 2\nmax_filters: 3\nmax_retained: 8\nadmin: {address: ':0'}\nlog: {format: console}\n"
	for range 2 { // it is so until the restart
		log := c.reload(changed, readAgain)
		assert.Contains(t, log, `"needs_restart":["loops","admin.address","log.format"]`)
		assert.Contains(t, log, `"msg":"configuration read again; needs a restart: loops, admin.address, log.format"`)
		assert.Contains(t, log, "flag -max-retained wins over")
		assert.NotRegexp(t, `"changed":\{[^}]*max_retained`, log, "the flag wins still")
	}
	log := c.reload("max_filters: 3\nloops: 1\n", readAgain)
	assert.Contains(t, log, `"changed":{}`)
	assert.NotContains(t, log, "needs a restart")
	assert.Regexp(t, `"value":"0","time":"[^"]+","msg":"flag -port wins over .*mqttd.yaml:1"`, c.reload("listeners: {tcp: {port: 1}}\nloops: 1\n", readAgain))
}

func TestWrongConfigurationExits78(t *testing.T) {
	requireOwnBroker(t)
	file := filepath.Join(t.TempDir(), "mqttd.yaml")
	require.NoError(t, os.WriteFile(file, []byte("loops: 0\nmax_conections: 3\n"), 0o600))
	want := "mqttd: " + file + ":1: loops 0: want 1 to 256\n" +
		"mqttd: " + file + ":2: unknown key \"max_conections\"; the closest valid one is max_connections\n"
	for _, arguments := range [][]string{{}, {"-test-config"}, {"-dump-config"}} {
		stdout, stderr, code := run(t, append(arguments, "-c", file)...)
		assert.Equal(t, 78, code)
		assert.Equal(t, want, stderr)
		assert.Empty(t, stdout)
	}
	t.Setenv("MQTTD_LOOP", "2")
	_, stderr, code := run(t, "-test-config")
	assert.Equal(t, 78, code)
	assert.Equal(t, "mqttd: MQTTD_LOOP: unknown variable; the closest one is MQTTD_LOOPS\n", stderr)
}

func TestRightConfigurationIsSaidSo(t *testing.T) {
	t.Setenv("MQTTD_LISTENERS__TCP__PORT", "1884")
	stdout, stderr, code := run(t, "-test-config")
	assert.Equal(t, 0, code)
	assert.Equal(t, "the configuration is valid\n", stdout)
	assert.Empty(t, stderr)
	stdout, _, code = run(t, "-dump-config", "-v")
	assert.Equal(t, 0, code)
	assert.Contains(t, stdout, "    port: 1884 # MQTTD_LISTENERS__TCP__PORT\n")
	assert.Contains(t, stdout, "  level: debug # flag -v\n")
	file := filepath.Join(t.TempDir(), "dumped.yaml")
	require.NoError(t, os.WriteFile(file, []byte(stdout), 0o600))
	stdout, _, code = run(t, "-test-config", "-c", file)
	assert.Equal(t, 0, code)
	assert.Equal(t, "the configuration is valid\n", stdout)
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/reactor"
)

// write puts a configuration file into a folder of the test's own.
func write(t testing.TB, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mqttd.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// configureFile returns what a file makes of the defaults, and the faults without the file's folder.
func configureFile(t testing.TB, content string) (configuration, []string) {
	t.Helper()
	path := write(t, content)
	c, faults := (&command{file: path}).configure(nil)
	var lines []string
	for _, f := range faults {
		lines = append(lines, strings.ReplaceAll(f.String(), filepath.Dir(path)+"/", ""))
	}
	return c, lines
}

func TestFileSetsTheConfiguration(t *testing.T) {
	c, faults := configureFile(t, `# what a house needs
listeners:
  tcp: {host: "::1", port: 1884}
loops: 3
max_connections: "50"   # quoted is as good
max_packet_size: 64KiB
persistent_client_expiration: 36h
slow_policy: conflate
log:
  level: debug
  # format: json
admin:
`)
	require.Empty(t, faults)
	want := defaultOptions()
	want.config.Host, want.config.Port, want.config.Loops, want.config.MaxClients = "::1", 1884, 3, 50
	want.config.MaxPacketBytes, want.config.SessionExpiry = 64<<10, 36*time.Hour
	want.config.SlowPolicy, want.logLevel = reactor.Conflate, zerolog.DebugLevel
	assert.Equal(t, want, c.options)
	assert.Equal(t, 5, c.origins[settingOf("max-clients")].line)
}

// Days and weeks are as in Mosquitto. Its m is months, but a minute is what m is wherever else a time is given.
func TestTimesInDaysAndWeeks(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "2m": 2 * time.Minute, "1h30m": 90 * time.Minute,
	} {
		var d time.Duration
		require.NoError(t, duration{&d}.Set(text), text)
		assert.Equal(t, want, d, text)
	}
	for _, text := range []string{"d", "1.5d", "1d12h", "9999999999d", "99999999d", "1e3w", "1y"} {
		assert.Error(t, duration{new(time.Duration)}.Set(text), text)
	}
}

func TestFileOfCommentsIsTheDefaults(t *testing.T) {
	for _, content := range []string{"# nothing yet\n", "\n", "---\n", "{}\n", "loops: 2\r\n"} {
		_, faults := configureFile(t, content)
		assert.Empty(t, faults, "%q", content)
	}
}

func TestFaultsOfAFileNameTheLine(t *testing.T) {
	for _, test := range []struct{ name, content, want string }{
		{"empty", "", "mqttd.yaml: is empty: it was not written to the end perhaps"},
		{"too large", strings.Repeat("# a comment\n", 100_000), "mqttd.yaml: is larger than 256KiB: is it a configuration file?"},
		{"byte order mark", "\xef\xbb\xbfloops: 2\n", "mqttd.yaml:1: begins with a byte order mark: save it as UTF-8 without one"},
		{"UTF-16", "\xff\xfel\x00", "mqttd.yaml:1: is UTF-16: save it as UTF-8"},
		{"Latin-1", "loops: 2\nlisteners: {tcp: {host: caf\xe9}}\n", "mqttd.yaml:2: is no UTF-8"},
		{"NUL", "loops: 2\n\x00\n", `mqttd.yaml:2: holds the control character '\x00'`},
		{"tab", "log:\n\tlevel: info\n", "mqttd.yaml:2: a tab in the indentation: YAML wants spaces"},
		{"a list", "- loops: 2\n", `mqttd.yaml:1: want keys with values, as in "loops: 2", not a list`},
		{"a text", "# mosquitto.conf\nlistener 1883\n", `mqttd.yaml:2: want keys with values, as in "loops: 2", not the text "listener 1883"`},
		{"two documents", "loops: 2\n---\nloops: 3\n", "mqttd.yaml:2: another document begins: want one only"},
		{"something behind the end", "loops: 2\n...\nloops\n", "mqttd.yaml:3: did not find expected <document start>"},
		{"colon missing", "loops: 2\nmax_filters 3\n", "mqttd.yaml:2: could not find expected ':'"},
		{"two colons", "loops: 2: 3\n", "mqttd.yaml:1: mapping values are not allowed in this context"},
		{"indentation", "log:\n  level: info\n rate: 3\n", "mqttd.yaml:3: did not find expected key"},
		{"bracket open", "listeners: {tcp: {port: 1}\nloops: 2\n", "mqttd.yaml:2: did not find expected ',' or '}'"},
		{"quote open", "loops: 2\nlog: {level: 'info}\n", "mqttd.yaml:2: found unexpected end of stream"},
		{"deep", strings.Repeat("[", 20_000), "mqttd.yaml:1: exceeded max depth of 10000"},
		{"anchor", "loops: &n 2\n", `mqttd.yaml:1: "loops": anchors are not supported: write the value out`},
		{"alias", "log: &n {}\nloops: *n\n", `mqttd.yaml:2: "loops": aliases are not supported: write the value out`},
		{"alias of nothing", "loops: 2\nmax_filters: *n\n", "mqttd.yaml: unknown anchor 'n' referenced"},
		{"merge", "log:\n  <<: {level: info}\n", `mqttd.yaml:2: "log.<<": merge keys are not supported`},
		{"tag", "loops: !!int 2\n", `mqttd.yaml:1: "loops": tags such as "!!int" are not supported`},
		{"a key that is no word", "? [1]\n: 2\n", `mqttd.yaml:1: "": want a word for a key, not a list`},

		{"unknown", "loops: 2\nmax_conections: 3\n", `mqttd.yaml:2: unknown key "max_conections"; the closest valid one is max_connections`},
		{"unknown in a group", "log:\n  lvl: info\n", `mqttd.yaml:2: unknown key "log.lvl"; the closest valid one is log.level`},
		{"unknown group", "listners:\n  tcp:\n    port: 1\n", `mqttd.yaml:1: unknown key "listners"; the closest valid one is listeners`},
		{"unknown group in a group", "listeners:\n  tpc:\n    port: 1\n", `mqttd.yaml:2: unknown key "listeners.tpc"; the closest valid one is listeners.tcp`},
		{"in the wrong place", "port: 1\n", `mqttd.yaml:1: unknown key "port"; the closest valid one is listeners.tcp.port`},
		{"in the wrong group", "listeners: {port: 1}\n", `mqttd.yaml:1: unknown key "listeners.port"; the closest valid one is listeners.tcp.port`},
		{"as the flag is called", "max_clients: 1\n", `mqttd.yaml:1: unknown key "max_clients"; the closest valid one is max_connections`},
		{"as the flag is written", "session-expiry: 1h\n", `mqttd.yaml:1: unknown key "session-expiry"; the closest valid one is persistent_client_expiration`},
		{"upper case", "Loops: 1\n", `mqttd.yaml:1: unknown key "Loops"; the closest valid one is loops`},
		{"very long", strings.Repeat("é", 1000) + ": 1\n", `mqttd.yaml:1: unknown key "` + strings.Repeat("é", 64) + `…"`},
		{"a version", "%YAML 1.2\n---\nloops: 2\n", "mqttd.yaml:1: a %YAML line of another version than 1.1: leave it out"},
		{"twice", "loops: 2\nlog: {level: info}\nloops: 3\n", `mqttd.yaml:3: "loops" is given already in line 1`},
		{"a group twice", "log: {level: info}\nlog: {rate: 3}\n", `mqttd.yaml:2: "log" is given already in line 1`},

		{"a dot for a group", "listeners.tcp.port: 1884\n", `mqttd.yaml:1: "listeners.tcp.port": a dot in a key: write "listeners: {tcp: {port: …}}"`},
		{"a dot in a group", "listeners:\n  tcp.port: 1884\n", `mqttd.yaml:2: "listeners.tcp.port": a dot in a key: write "tcp: {port: …}"`},
		{"a dot before a group", "listeners.tcp: {port: 1884}\n", `mqttd.yaml:1: "listeners.tcp": a dot in a key: write "listeners: {tcp: …}"`},

		{"no value", "loops:\n", "mqttd.yaml:1: loops: want a value, not nothing"},
		{"null", "loops: ~\n", "mqttd.yaml:1: loops: want a value, not nothing"},
		{"a list for a value", "listeners: {tcp: {host: [a, b]}}\n", "mqttd.yaml:1: listeners.tcp.host: want a value, not a list"},
		{"a group for a value", "loops: {n: 2}\n", "mqttd.yaml:1: loops: want a value, not a group of keys"},
		{"a value for a group", "log: debug\n", `mqttd.yaml:1: log: want a group with level, format and rate, not the text "debug"`},
		{"a list for a group", "listeners:\n  - tcp\n", "mqttd.yaml:2: listeners: want a group with tcp, not a list"},

		{"not a number", "listeners:\n  tcp:\n    port: mqtt\n", `mqttd.yaml:3: listeners.tcp.port "mqtt": want a whole number`},
		{"a fraction", "loops: 1.5\n", `mqttd.yaml:1: loops "1.5": want a whole number`},
		{"a number without end", "loops: 99999999999999999999\n", `mqttd.yaml:1: loops "99999999999999999999": want a whole number with fewer digits`},
		{"hexadecimal", "loops: 0x2\n", `mqttd.yaml:1: loops "0x2": want a whole number`},
		{"octal, or is it", "loops: 010\n", `mqttd.yaml:1: loops "010": want a whole number`},
		{"out of range", "listeners:\n  tcp:\n    port: 70000\n", "mqttd.yaml:3: listeners.tcp.port 70000: want 0 to 65535"},
		{"under its own name", "loops: 2\nmax_connections: 0\n", "mqttd.yaml:2: max_connections 0: want 1 to 16777216"},
		{"a unit that is none", "max_packet_size: 1MB\n", `mqttd.yaml:1: max_packet_size "1MB": want a number of bytes, as in 65536, 64KiB, 1MiB or 1GiB`},
		{"no unit", "connect_timeout: 10\n", `mqttd.yaml:1: connect_timeout "10": want a time with its unit, as in 500ms, 10s, 24h or 7d`},
		{"years, or seconds", "persistent_client_expiration: 1y\n", `mqttd.yaml:1: persistent_client_expiration "1y": want a time with its unit`},
		{"too short", "stall_timeout: 1ms\n", "mqttd.yaml:1: stall_timeout 1ms: want 1s to 1h0m0s"},
		{"yes and no", "admin: {address: ':9883', pprof: yes}\n", `mqttd.yaml:1: admin.pprof "yes": want true or false`},
		{"unknown policy", "slow_policy: wait\n", `mqttd.yaml:1: slow_policy "wait": want drop-newest, drop-oldest, conflate or disconnect`},
		{"unknown level", "log: {level: loud}\n", `mqttd.yaml:1: log.level "loud": want trace, debug, info, warn or error`},
		{"unknown format", "log:\n  format: xml\n", `mqttd.yaml:2: log.format "xml": want console, json or auto`},
		{"unknown way to sync", "persistence: {sync: never}\n", `mqttd.yaml:1: persistence.sync "never": want always or interval`},
		{"synced, but where to", "persistence: {sync: always}\n", "mqttd.yaml:1: persistence.sync always: nothing is kept without -data-dir"},
		{"an address without a port", "admin:\n  address: localhost\n", `mqttd.yaml:2: admin.address "localhost": want host:port, such as`},
		{"profiles of nothing", "admin:\n  pprof: true\n", "mqttd.yaml:2: admin.pprof: it is part of what -admin serves, which is off"},
		{"a line break in a text", `listeners: {tcp: {host: "a\nb"}}`, `mqttd.yaml:1: listeners.tcp.host "a\nb": want printable text in UTF-8`},
		{"a text without end", "persistence: {data_dir: " + strings.Repeat("x", 5000) + "}", `want 4095 bytes at most`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, faults := configureFile(t, test.content)
			require.NotEmpty(t, faults)
			last := faults[len(faults)-1]
			assert.Contains(t, last, test.want)
			assert.Less(t, len(last), 400)
			assert.NotContains(t, last, "\n")
			assert.Len(t, faults, map[bool]int{true: 2, false: 1}[test.name == "alias"], "and no other: %v", faults)
		})
	}
}

// A word that is like none here is not taken for another, and one of Mosquitto's is told from a mistyped one.
func TestFaultsSuggestWhatMayBeMeantOnly(t *testing.T) {
	for content, want := range map[string]string{
		"xyzzy: 1\n":                 `mqttd.yaml:1: unknown key "xyzzy"`,
		"log: {xyzzy: 1}\n":          `mqttd.yaml:1: unknown key "log.xyzzy"`,
		"allow_anonymous: true\n":    `mqttd.yaml:1: unknown key "allow_anonymous": not supported yet`,
		"max_keepalive: 60\n":        `mqttd.yaml:1: unknown key "max_keepalive": not supported yet`,
		"persistence_location: /x\n": `mqttd.yaml:1: unknown key "persistence_location"; the closest valid one is persistence.data_dir`,
		"listener: 1883\n":           `mqttd.yaml:1: unknown key "listener"; the closest valid one is listeners.tcp.port`,
		"listener: {tcp: {}}\n":      `mqttd.yaml:1: unknown key "listener"; the closest valid one is listeners`,
	} {
		_, faults := configureFile(t, content)
		assert.Equal(t, []string{want}, faults)
	}
	_, faults := (&command{}).configure([]string{"MQTTD_FOO=1"})
	require.Len(t, faults, 1)
	assert.Equal(t, "MQTTD_FOO: unknown variable", faults[0].String())
	for old, key := range ofMosquitto {
		assert.True(t, key == "" || slices.ContainsFunc(settings, func(s *setting) bool { return s.key == key }), old)
		assert.False(t, slices.ContainsFunc(settings, func(s *setting) bool { return s.key == old }), old)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	folder := t.TempDir()
	pipe := folder + "/pipe"
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for path, want := range map[string]string{
		folder:                               "is a directory: want a file",
		pipe:                                 "is a pipe or a device: want a regular file", // at once: nobody writes to it
		os.DevNull:                           "is a pipe or a device: want a regular file",
		folder + "/none.yaml":                "no such file or directory",
		write(t, "loops: 2") + "/below.yaml": "not a directory",
	} {
		_, faults := (&command{file: path}).configure(nil)
		require.Len(t, faults, 1)
		assert.Equal(t, path+": "+want, faults[0].String())
	}
}

func TestAllFaultsAtOnceInTheirOrder(t *testing.T) {
	path := write(t, "loops: 0\nmax_clients: 3\nlisteners:\n  tcp:\n    port: x\nmax_filters: 0\n")
	c, err := parseCommand([]string{"-c", path, "-top", "101", "-max-retained", "-1"}, nil)
	require.NoError(t, err)
	_, faults := c.configure([]string{"MQTTD_LOG__LEVEL=loud", "MQTTD_LOG__RAT=3", "HOME=/", "MQTTD_LOG__RATE=0"})
	var lines []string
	for _, f := range faults {
		lines = append(lines, strings.ReplaceAll(f.String(), path, "f"))
	}
	assert.Equal(t, []string{
		"f:1: loops 0: want 1 to 256",
		`f:2: unknown key "max_clients"; the closest valid one is max_connections`,
		`f:5: listeners.tcp.port "x": want a whole number`,
		"f:6: max_filters 0: want 1 to 16777216",
		"MQTTD_LOG__RAT: unknown variable; the closest one is MQTTD_LOG__RATE",
		`MQTTD_LOG__LEVEL: log.level "loud": want trace, debug, info, warn or error`,
		"MQTTD_LOG__RATE: log.rate 0: want 1 to 2147483647",
		"max-retained -1: want 0 to 2147483647",
		"top 101: want 0 to 100",
	}, lines)
	var out bytes.Buffer
	assert.Equal(t, exitConfig, complain(faults, &out))
	assert.Contains(t, out.String(), "mqttd: max-retained -1: want 0 to 2147483647; top 101: want 0 to 100 (mqttd -h lists the flags)\n")
}

func TestEndlessFaultsAreCut(t *testing.T) {
	var unknown strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&unknown, "unknown%d: 1\n", i)
	}
	for _, content := range []string{strings.Repeat("loops: 1\n", 1001), unknown.String()} {
		_, faults := (&command{file: write(t, content)}).configure(nil)
		require.Len(t, faults, 1000)
		list := bounded(faults)
		require.Len(t, list, faultsMax+1)
		assert.Regexp(t, `mqttd.yaml: 950 more faults$`, list[faultsMax].String())
	}
}

func TestEnvironmentSetsTheConfiguration(t *testing.T) {
	c, faults := (&command{}).configure([]string{"PATH=/bin", "MQTTD_LISTENERS__TCP__PORT=1884", "MQTTD_LISTENERS__TCP__PORT=1885",
		"MQTTD_MAX_PACKET_SIZE=2MiB", "MQTTD_ADMIN__ADDRESS=:9883", "MQTTD_ADMIN__PPROF=true", "MQTTD_LISTENERS__TCP__HOST="})
	require.Empty(t, faults)
	want := defaultOptions()
	want.config.Port, want.config.MaxPacketBytes = 1884, 2<<20
	want.admin.Address, want.admin.Pprof = ":9883", true
	assert.Equal(t, want, c.options)
}

func TestFaultsOfTheEnvironment(t *testing.T) {
	for entry, want := range map[string]string{
		"MQTTD_LOOP=2":                      "MQTTD_LOOP: unknown variable; the closest one is MQTTD_LOOPS",
		"MQTTD_LISTENERS_TCP_PORT=1":        "MQTTD_LISTENERS_TCP_PORT: unknown variable; the closest one is MQTTD_LISTENERS__TCP__PORT",
		"MQTTD_PORT=1884":                   "MQTTD_PORT: unknown variable; the closest one is MQTTD_LISTENERS__TCP__PORT",
		"MQTTD_MAX_CLIENTS=1":               "MQTTD_MAX_CLIENTS: unknown variable; the closest one is MQTTD_MAX_CONNECTIONS",
		"MQTTD_=1":                          "MQTTD_: unknown variable",
		"MQTTD_LOOPS=":                      `MQTTD_LOOPS: loops "": want a whole number`,
		"MQTTD_LOOPS=0":                     "MQTTD_LOOPS: loops 0: want 1 to 256",
		"MQTTD_SYS_INTERVAL=10":             `MQTTD_SYS_INTERVAL: sys_interval "10": want a time with its unit`,
		"MQTTD_PERSISTENCE__DATA_DIR=a\xff": `MQTTD_PERSISTENCE__DATA_DIR: persistence.data_dir "a\xff": want printable text in UTF-8`,
	} {
		_, faults := (&command{}).configure([]string{entry})
		require.Len(t, faults, 1, entry)
		assert.Contains(t, faults[0].String(), want)
		assert.Equal(t, exitConfig, complain(faults, &bytes.Buffer{}))
	}
}

// A service named mqttd, mqttd-admin or the like puts such variables into every container of its namespace.
func TestVariablesOfKubernetesAreNotOurs(t *testing.T) {
	_, faults := (&command{}).configure([]string{"MQTTD_SERVICE_HOST=10.0.0.1", "MQTTD_SERVICE_PORT=1883", "MQTTD_SERVICE_PORT_MQTT=1883",
		"MQTTD_PORT=tcp://10.0.0.1:1883", "MQTTD_PORT_1883_TCP=tcp://10.0.0.1:1883", "MQTTD_PORT_1883_TCP_PROTO=tcp",
		"MQTTD_PORT_1883_TCP_PORT=1883", "MQTTD_PORT_1883_TCP_ADDR=10.0.0.1", "MQTTD_ADMIN_SERVICE_HOST=10.0.0.2",
		"MQTTD_ADMIN_PORT=tcp://10.0.0.2:9883"})
	assert.Empty(t, faults)
}

func TestFlagsWinOverTheEnvironmentAndThatOverTheFile(t *testing.T) {
	path := write(t, "listeners:\n  tcp:\n    port: 1\nloops: 1\nmax_filters: 1\n")
	c, err := parseCommand([]string{"--config-file", path, "--port", "2", "-p", "3"}, nil)
	require.NoError(t, err)
	configured, faults := c.configure([]string{"MQTTD_LISTENERS__TCP__PORT=4", "MQTTD_LOOPS=4"})
	require.Empty(t, faults)
	assert.Equal(t, 3, configured.config.Port)
	assert.Equal(t, 4, configured.config.Loops)
	assert.Equal(t, 1, configured.config.FiltersMax)
	var log bytes.Buffer
	tellOverrides(zerolog.New(&log), &configured)
	assert.Equal(t, strings.ReplaceAll(`{"level":"info","setting":"listeners.tcp.port","value":"3","message":"MQTTD_LISTENERS__TCP__PORT wins over f:3"}
{"level":"info","setting":"loops","value":"4","message":"MQTTD_LOOPS wins over f:4"}
{"level":"info","setting":"listeners.tcp.port","value":"3","message":"flag -port wins over MQTTD_LISTENERS__TCP__PORT"}
`, "f:", path+":"), strings.ReplaceAll(log.String(), zerolog.MessageFieldName, "message"))
}

func TestShorthands(t *testing.T) {
	for _, test := range []struct {
		args []string
		want zerolog.Level
	}{
		{[]string{"-v"}, zerolog.DebugLevel}, {[]string{"--verbose"}, zerolog.DebugLevel},
		{[]string{"-q"}, zerolog.ErrorLevel}, {[]string{"--quiet"}, zerolog.ErrorLevel},
		{[]string{"-v", "-log-level", "warn"}, zerolog.WarnLevel}, {[]string{"-log-level", "warn", "-v"}, zerolog.DebugLevel},
	} {
		o, err := parseFlags(test.args, nil)
		require.NoError(t, err)
		assert.Equal(t, test.want, o.logLevel, test.args)
	}
	for _, args := range [][]string{{"-d"}, {"--daemon"}} {
		_, err := parseFlags(args, nil)
		assert.ErrorContains(t, err, "-d: mqttd stays in the foreground")
	}
	for _, name := range []string{"-c", "-config", "--config-file"} {
		_, err := parseFlags([]string{name, ""}, nil)
		assert.ErrorContains(t, err, "want the name of a file")
		_, err = parseFlags([]string{name, write(t, "loops: 0")}, nil)
		assert.ErrorContains(t, err, "want 1 to 256")
	}
}

// What is dumped, of values that are all of them unusual, gives the same configuration when it is read.
func TestDumpReadsBack(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"-host", `C:\x "y" # é`, "-port", "0", "-data-dir", "'", "-sys-interval", "0", "-session-expiry", "90061s",
			"-max-packet-size", "1025", "-total-buffer", "2KiB", "-slow-policy", "disconnect", "-connect-timeout", "1500ms",
			"-admin", "[::1]:9", "-pprof", "-log-level", "trace", "-loops", "200"},
	} {
		c, err := parseCommand(args, nil)
		require.NoError(t, err)
		before, faults := c.configure(nil)
		require.Empty(t, faults)
		var out bytes.Buffer
		require.NoError(t, dump(&before, &out))
		after, lines := configureFile(t, out.String())
		require.Empty(t, lines, out.String())
		assert.Equal(t, before.options, after.options)
		assert.Len(t, after.origins, len(settings), "every setting is there")
	}
}

func TestDumpTellsWhereValuesComeFrom(t *testing.T) {
	path := write(t, "log: {rate: 3}\nloops: 2\n")
	c, err := parseCommand([]string{"-c", path, "-p", "1884", "-v"}, nil)
	require.NoError(t, err)
	configured, faults := c.configure([]string{"MQTTD_LOOPS=4"})
	require.Empty(t, faults)
	var out bytes.Buffer
	require.NoError(t, dump(&configured, &out))
	assert.True(t, strings.HasPrefix(out.String(), "listeners:\n  tcp:\n    host: \"\" # default\n    port: 1884 # flag -port\n"+
		"loops: 4 # MQTTD_LOOPS\nmax_connections: 10000 # default\nconnect_timeout: 10s # default\n"), out.String())
	assert.True(t, strings.HasSuffix(out.String(), fmt.Sprintf(
		"  top: 10 # default\nlog:\n  level: debug # flag -v\n  format: \"auto\" # default\n  rate: 3 # %s:1\n", path)), out.String())
}

// Each name leads to one setting, and each setting's name in the file to no group.
func TestSettingsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range settings {
		for _, name := range []string{"key " + s.key, "flag " + s.flag, "variable " + s.variable(), "alias " + s.alias} {
			assert.False(t, seen[name] && name != "alias ", name)
			seen[name] = true
		}
		assert.Empty(t, childrenOf(s.key), s.key)
		assert.Regexp(t, `^[a-z_]+(\.[a-z_]+)*$`, s.key)
		assert.NotContains(t, s.key, "__")
	}
	for _, flag := range liveFlags {
		assert.NotNil(t, settingOf(flag))
	}
}

func TestEdits(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"loops", "LOOPS", 0}, {"loosp", "loops", 1}, {"lops", "loops", 1}, {"loopss", "loops", 1},
		{"luups", "loops", 2}, {"kitten", "sitting", 3},
	} {
		assert.Equal(t, test.want, edits(test.a, test.b), "%s, %s", test.a, test.b)
		assert.Equal(t, test.want, edits(test.b, test.a), "%s, %s", test.b, test.a)
	}
}

// Whatever a file holds, it gives a configuration that can be dumped and read back, or faults of one line each.
func FuzzFile(f *testing.F) {
	var out bytes.Buffer
	defaults, _ := (&command{}).configure(nil)
	require.NoError(f, dump(&defaults, &out))
	for _, seed := range []string{out.String(), "loops: 2\n---\n", "a: &b [*b]\n", "log: {level: 'x", "\t", "? ", "!!map {}", "<<: *a"} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "mqttd.yaml")
	f.Fuzz(func(t *testing.T, content []byte) {
		require.NoError(t, os.WriteFile(path, content, 0o600))
		c, faults := (&command{file: path}).configure(nil)
		for _, fault := range faults {
			require.NotContains(t, fault.String(), "\n")
			require.True(t, strings.HasPrefix(fault.String(), path+":"), fault.String())
		}
		if len(faults) == 0 {
			var out bytes.Buffer
			require.NoError(t, dump(&c, &out))
			again, faults := combineFile(t, out.Bytes())
			require.Empty(t, faults)
			require.Equal(t, c.options, again.options)
		}
	})
}

func combineFile(t *testing.T, content []byte) (configuration, []fault) {
	t.Helper()
	f := file{name: "again"}
	if root := f.parse(content); root != nil {
		f.mapping(root, "")
	}
	require.Empty(t, f.faults)
	return combine(f.list)
}

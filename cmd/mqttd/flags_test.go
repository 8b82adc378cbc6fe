package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/reactor"
	"mqttd/reactor/admin"
)

// parseFlags returns what a command line alone asks for, and its faults as one line.
func parseFlags(args []string, out io.Writer) (o struct {
	options
	done bool
}, err error) {
	c, err := parseCommand(args, out)
	if err != nil || c.done {
		o.done = c.done
		return o, err
	}
	configured, faults := c.configure(nil)
	if len(faults) > 0 {
		var text bytes.Buffer
		complain(faults, &text)
		return o, errors.New(strings.TrimSpace(text.String()))
	}
	o.options = configured.options
	return o, nil
}

func TestFlagsSetTheConfiguration(t *testing.T) {
	o, err := parseFlags([]string{"-port", "1884", "-host", "127.0.0.1", "-loops", "3", "-max-clients", "50",
		"-max-packet-size", "2000", "-client-buffer", "3000", "-connect-timeout", "4s", "-sys-interval", "0",
		"-connect-rate", "7", "-connect-burst", "8", "-max-connect-size", "1KiB", "-total-buffer", "2MiB",
		"-slow-policy", "conflate", "-stall-timeout", "5s", "-max-topic-length", "9", "-max-topic-levels", "10",
		"-max-filters", "11", "-max-subscribe-filters", "12", "-max-retained", "13", "-max-retained-bytes", "1GiB",
		"-max-client-id", "30", "-max-will-size", "14", "-log-rate", "15",
		"-max-inflight", "16", "-max-queued-messages", "17", "-max-queued-bytes", "18", "-total-queue", "19KiB",
		"-max-sessions", "20", "-session-expiry", "21h", "-data-dir", "/var/lib/mqttd", "-sync", "always", "-sync-interval", "22ms",
		"-log-level", "debug", "-log-format", "json", "-admin", ":9883", "-pprof", "-top", "5"}, nil)
	require.NoError(t, err)
	want := reactor.DefaultConfig()
	want.Port, want.Host, want.Loops, want.MaxClients = 1884, "127.0.0.1", 3, 50
	want.MaxPacketBytes, want.ClientBufferBytes, want.ConnectTimeout = 2000, 3000, 4*time.Second
	want.SysInterval = 0
	want.ConnectRate, want.ConnectBurst = 7, 8
	want.ConnectBytesMax, want.TotalBufferBytes, want.SlowPolicy = 1<<10, 2<<20, reactor.Conflate
	want.StallTimeout, want.Topics.Bytes, want.Topics.Levels = 5*time.Second, 9, 10
	want.FiltersMax, want.SubscribeFiltersMax, want.RetainedMessagesMax, want.RetainedBytesMax = 11, 12, 13, 1<<30
	want.ClientIDBytesMax, want.WillBytesMax, want.LogLinesPerSecond = 30, 14, 15
	want.MaxInflight, want.QueuedMessagesMax, want.QueuedBytesMax, want.TotalQueueBytes = 16, 17, 18, 19<<10
	want.SessionsMax, want.SessionExpiry = 20, 21*time.Hour
	want.DataDir, want.Sync, want.SyncInterval = "/var/lib/mqttd", "always", 22*time.Millisecond
	assert.Equal(t, want, o.config)
	assert.Equal(t, zerolog.DebugLevel, o.logLevel)
	assert.Equal(t, "json", o.logFormat)
	assert.Equal(t, admin.Options{Address: ":9883", Pprof: true, Top: 5, Version: version}, o.admin)
	assert.False(t, o.done)
}

func TestNoFlagsAreTheDefaults(t *testing.T) {
	o, err := parseFlags(nil, nil)
	require.NoError(t, err)
	assert.Equal(t, reactor.DefaultConfig(), o.config)
	assert.Equal(t, 1883, o.config.Port)
	assert.Equal(t, zerolog.InfoLevel, o.logLevel)
	assert.Equal(t, admin.Options{Top: 10, Version: version}, o.admin, "off")
}

func TestBadFlagsAreOneLineThatNamesTheRemedy(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-prot", "1"}, "flag provided but not defined: -prot"},
		{"not a number", []string{"-port", "mqtt"}, `invalid value "mqtt" for flag -port`},
		{"out of range", []string{"-port", "70000"}, "port 70000: want 0 to 65535"},
		{"no loop", []string{"-loops", "0"}, "loops 0: want 1 to 256"},
		{"all faults at once", []string{"-loops", "0", "-max-clients", "0"}, "loops 0: want 1 to 256; max-clients 0: want 1 to"},
		{"no unit", []string{"-connect-timeout", "10"}, `invalid value "10" for flag -connect-timeout`},
		{"too short", []string{"-connect-timeout", "1ms"}, "connect-timeout 1ms: want 1s to 1h0m0s"},
		{"neither off nor long enough", []string{"-sys-interval", "10ms"}, "sys-interval 10ms: want 1s to 1h0m0s, or 0"},
		{"negative", []string{"-connect-rate", "-1"}, "connect-rate -1: want 0 to 1000000"},
		{"a window of nothing", []string{"-max-inflight", "0"}, "max-inflight 0: want 1 to 1000"},
		{"more than there are identifiers for", []string{"-max-queued-messages", "30001"}, "max-queued-messages 30001: want 1 to 30000"},
		{"no bound, as elsewhere", []string{"-max-queued-messages", "0"}, "max-queued-messages 0: want 1 to 30000"},
		{"no bound of bytes", []string{"-max-queued-bytes", "0"}, "max-queued-bytes 0: want 1 to 1073741824 bytes"},
		{"a gigabyte for each", []string{"-max-queued-bytes", "2GiB"}, "max-queued-bytes 2147483648: want 1 to 1073741824 bytes"},
		{"no room for a message", []string{"-total-queue", "1"}, "total-queue 1: want 1024 bytes at least, or 0"},
		{"no room for a reader", []string{"-total-buffer", "5"}, "total-buffer 5: want 1024 bytes at least, or 0"},
		{"a number without end", []string{"-loops", "99999999999999999999"}, "want a whole number with fewer digits"},
		{"no number of sessions", []string{"-max-sessions", "-1"}, "max-sessions -1: want 0 to"},
		{"a session that ends at once", []string{"-session-expiry", "0"}, "session-expiry 0s: want 1s to 87600h0m0s"},
		{"unknown way to sync", []string{"-sync", "never"}, `sync "never": want always or interval`},
		{"a disk that has no rest", []string{"-sync-interval", "1ms"}, "sync-interval 1ms: want 10ms to 1h0m0s"},
		{"synced, but where to", []string{"-sync", "always"}, "sync always: nothing is kept without -data-dir"},
		{"synced often, but where to", []string{"-sync-interval", "100ms"}, "sync-interval 100ms: nothing is kept without -data-dir"},
		{"unknown policy", []string{"-slow-policy", "wait"}, `slow-policy "wait": want drop-newest, drop-oldest, conflate or disconnect`},
		{"unknown unit", []string{"-client-buffer", "1MB"}, `invalid value "1MB" for flag -client-buffer: want a number of bytes, as in 65536, 64KiB, 1MiB or 1GiB`},
		{"too many bytes for an integer", []string{"-client-buffer", "9999999999GiB"}, "want a number of bytes"},
		{"unknown level", []string{"-log-level", "loud"}, `log-level "loud": want trace, debug, info, warn or error`},
		{"unknown format", []string{"-log-format", "xml"}, `log-format "xml": want console, json or auto`},
		{"an admin address without a port", []string{"-admin", "9883"}, `admin "9883": want host:port, such as 127`},
		{"an admin port out of range", []string{"-admin", ":99999"}, `admin ":99999": want host:port`},
		{"profiles of nothing", []string{"-pprof"}, "pprof: it is part of what -admin serves, which is off"},
		{"too many series", []string{"-top", "101"}, "top 101: want 0 to 100"},
		{"an argument", []string{"1884"}, `unexpected argument "1884"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseFlags(test.args, nil)
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestHelpListsEveryFlag(t *testing.T) {
	var out bytes.Buffer
	o, err := parseFlags([]string{"-h"}, &out)
	require.NoError(t, err)
	assert.True(t, o.done)
	for _, name := range []string{"port", "host", "loops", "max-clients", "max-packet-size", "client-buffer",
		"connect-timeout", "connect-rate", "connect-burst", "slow-policy", "total-buffer", "stall-timeout", "sys-interval",
		"admin", "pprof", "top", "log-level", "log-format", "version"} {
		assert.Contains(t, out.String(), "  -"+name)
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	o, err := parseFlags([]string{"-version"}, &out)
	require.NoError(t, err)
	assert.True(t, o.done)
	assert.Regexp(t, `^mqttd \S+ go1\.\S+ linux/\w+\n$`, out.String())
}

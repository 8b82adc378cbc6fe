package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"mqttd/reactor"
	"mqttd/reactor/admin"
)

// options is what the broker is to do. See settings for what each field means.
type options struct {
	config    reactor.Config // Log is not set yet
	logLevel  zerolog.Level
	logFormat string        // "auto", "console" or "json"
	admin     admin.Options // without an Address: off
}

func defaultOptions() options {
	return options{
		config:    reactor.DefaultConfig(),
		logLevel:  zerolog.InfoLevel,
		logFormat: "auto",
		admin:     admin.Options{Top: 10, Version: version},
	}
}

// validate returns every fault at once, nil if there is none. Each begins with the name of a flag.
func (o *options) validate() error {
	var format error
	if o.logFormat != "auto" && o.logFormat != "console" && o.logFormat != "json" {
		format = fmt.Errorf("log-format %q: want console, json or auto", o.logFormat)
	}
	return errors.Join(o.config.Validate(), o.admin.Validate(), format)
}

// setting is one thing that can be configured: by a flag, by a key of the configuration file, by a variable of
// the environment.
type setting struct {
	key   string // in the file; levels are joined by dots
	flag  string
	alias string // another name of the flag; empty: none
	value func(*options) flag.Value
	help  string // the value's placeholder name is in backquotes, once
	unset string // what the default means when that is no number, as the help is to say it
}

// variable returns the name in the environment.
func (s *setting) variable() string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "__"))
}

// live reports whether it can change while the broker runs.
func (s *setting) live() bool { return s.flag == "log-level" || slices.Contains(liveFlags, s.flag) }

var liveFlags = reactor.LiveSettings()

// settings is every setting there is, in the order of help and dumps; those of a group stand together.
var settings = []*setting{
	{key: "listeners.tcp.host", flag: "host", unset: "all addresses",
		value: func(o *options) flag.Value { return text{&o.config.Host} },
		help:  "`address` to listen on"},
	{key: "listeners.tcp.port", flag: "port", alias: "p",
		value: func(o *options) flag.Value { return number{&o.config.Port} },
		help:  "TCP `port` to listen on; 0 takes a free one"},
	{key: "loops", flag: "loops", unset: "one per CPU",
		value: func(o *options) flag.Value { return number{&o.config.Loops} },
		help:  "`number` of event loops; more than CPUs cost throughput"},
	{key: "max_connections", flag: "max-clients",
		value: func(o *options) flag.Value { return number{&o.config.MaxClients} },
		help:  "`number` of client slots; lowered, with a warning, when the descriptor limit is smaller"},
	{key: "connect_timeout", flag: "connect-timeout",
		value: func(o *options) flag.Value { return duration{&o.config.ConnectTimeout} },
		help:  "`time` a connection may take to send CONNECT, such as 10s"},
	{key: "connect_rate", flag: "connect-rate",
		value: func(o *options) flag.Value { return number{&o.config.ConnectRate} },
		help:  "`connections` accepted per second; those above it wait, and are closed when too many wait; 0: no bound"},
	{key: "connect_burst", flag: "connect-burst",
		value: func(o *options) flag.Value { return number{&o.config.ConnectBurst} },
		help:  "`connections` accepted at once after a quiet time"},
	{key: "max_connect_size", flag: "max-connect-size",
		value: func(o *options) flag.Value { return size{&o.config.ConnectBytesMax} },
		help:  "largest CONNECT accepted, in `bytes`, as in 65536 or 64KiB"},
	{key: "max_packet_size", flag: "max-packet-size",
		value: func(o *options) flag.Value { return size{&o.config.MaxPacketBytes} },
		help:  "largest packet accepted after that, in `bytes`"},
	{key: "max_client_id", flag: "max-client-id",
		value: func(o *options) flag.Value { return number{&o.config.ClientIDBytesMax} },
		help:  "longest Client Identifier, in `bytes`"},
	{key: "max_will_size", flag: "max-will-size",
		value: func(o *options) flag.Value { return size{&o.config.WillBytesMax} },
		help:  "largest payload of a Will, in `bytes`"},
	{key: "client_buffer", flag: "client-buffer",
		value: func(o *options) flag.Value { return size{&o.config.ClientBufferBytes} },
		help:  "`bytes` that may wait for one slow reader"},
	{key: "total_buffer", flag: "total-buffer", unset: "0: a quarter of the memory, 1GiB at most",
		value: func(o *options) flag.Value { return size{&o.config.TotalBufferBytes} },
		help:  "`bytes` that may wait for all readers; beyond it the one for which most waits is closed"},
	{key: "slow_policy", flag: "slow-policy",
		value: func(o *options) flag.Value { return policy{&o.config.SlowPolicy} },
		help: "`policy` for a reader whose buffer is full: drop-newest, drop-oldest, conflate (keep the\n" +
			"newest message of each topic), disconnect"},
	{key: "stall_timeout", flag: "stall-timeout",
		value: func(o *options) flag.Value { return duration{&o.config.StallTimeout} },
		help:  "`time` a reader for which something waits may take nothing until it is closed"},
	{key: "max_inflight_messages", flag: "max-inflight",
		value: func(o *options) flag.Value { return number{&o.config.MaxInflight} },
		help:  "`number` of QoS 1 and 2 messages on their way to a client and not acknowledged"},
	{key: "max_queued_messages", flag: "max-queued-messages",
		value: func(o *options) flag.Value { return number{&o.config.QueuedMessagesMax} },
		help:  "`number` of QoS 1 and 2 messages that may wait for one client, connected or not; 1 at least, there is always a bound"},
	{key: "max_queued_bytes", flag: "max-queued-bytes",
		value: func(o *options) flag.Value { return size{&o.config.QueuedBytesMax} },
		help:  "`bytes` of QoS 1 and 2 messages that may wait for one client; 1 at least, which is one message at a time"},
	{key: "total_queue", flag: "total-queue", unset: "0: a quarter of the memory, 1GiB at most",
		value: func(o *options) flag.Value { return size{&o.config.TotalQueueBytes} },
		help: "`bytes` that may wait in the queues of all clients; the last eighth is for messages that\n" +
			"can be sent at once"},
	{key: "max_sessions", flag: "max-sessions", unset: "0: half of -max-clients",
		value: func(o *options) flag.Value { return number{&o.config.SessionsMax} },
		help:  "`number` of sessions kept of clients that are away"},
	{key: "persistent_client_expiration", flag: "session-expiry",
		value: func(o *options) flag.Value { return duration{&o.config.SessionExpiry} },
		help:  "`time` a session is kept of a client that is away, such as 36h, 7d or 2w; 2m is two minutes"},
	{key: "max_topic_length", flag: "max-topic-length",
		value: func(o *options) flag.Value { return number{&o.config.Topics.Bytes} },
		help:  "longest topic and filter, in `bytes`"},
	{key: "max_topic_levels", flag: "max-topic-levels",
		value: func(o *options) flag.Value { return number{&o.config.Topics.Levels} },
		help:  "`number` of levels of a topic and a filter at most"},
	{key: "max_filters", flag: "max-filters",
		value: func(o *options) flag.Value { return number{&o.config.FiltersMax} },
		help:  "`number` of filters of one client"},
	{key: "max_subscribe_filters", flag: "max-subscribe-filters",
		value: func(o *options) flag.Value { return number{&o.config.SubscribeFiltersMax} },
		help:  "`number` of filters in one SUBSCRIBE"},
	{key: "max_retained", flag: "max-retained",
		value: func(o *options) flag.Value { return number{&o.config.RetainedMessagesMax} },
		help:  "`number` of retained messages"},
	{key: "max_retained_bytes", flag: "max-retained-bytes",
		value: func(o *options) flag.Value { return size{&o.config.RetainedBytesMax} },
		help:  "`bytes` of retained messages, with their topics"},
	{key: "sys_interval", flag: "sys-interval",
		value: func(o *options) flag.Value { return duration{&o.config.SysInterval} },
		help:  "`time` between two rounds of $SYS messages, such as 10s; 0 turns them off"},
	{key: "persistence.data_dir", flag: "data-dir", unset: "none: all is in memory",
		value: func(o *options) flag.Value { return text{&o.config.DataDir} },
		help:  "`directory` in which sessions and retained messages outlive the broker"},
	{key: "persistence.sync", flag: "sync",
		value: func(o *options) flag.Value { return text{&o.config.Sync} },
		help:  "`when` what is kept in -data-dir reaches the disk: always, before it is acknowledged, or interval"},
	{key: "persistence.sync_interval", flag: "sync-interval",
		value: func(o *options) flag.Value { return duration{&o.config.SyncInterval} },
		help:  "with -sync interval: `time` between two writes to the disk"},
	{key: "admin.address", flag: "admin", unset: "off",
		value: func(o *options) flag.Value { return text{&o.admin.Address} },
		help: "`host:port` of metrics, health and the API, over HTTP without a login;\n" +
			"without a host on the loopback only"},
	{key: "admin.pprof", flag: "pprof",
		value: func(o *options) flag.Value { return toggle{&o.admin.Pprof} },
		help:  "with -admin: serve Go's profiles under /debug/pprof/"},
	{key: "admin.top", flag: "top",
		value: func(o *options) flag.Value { return number{&o.admin.Top} },
		help:  "`number` of clients with the largest losses that have metrics of their own"},
	{key: "log.level", flag: "log-level",
		value: func(o *options) flag.Value { return level{&o.logLevel} },
		help:  "least `level` that is logged: trace, debug, info, warn, error"},
	{key: "log.format", flag: "log-format",
		value: func(o *options) flag.Value { return text{&o.logFormat} },
		help:  "`format` of the log: console, json, or auto: console on a terminal"},
	{key: "log.rate", flag: "log-rate",
		value: func(o *options) flag.Value { return number{&o.config.LogLinesPerSecond} },
		help:  "log `lines` a second of each kind whose number clients decide; the rest is counted"},
}

// settingOf returns the setting with the flag. It panics when there is none.
func settingOf(flag string) *setting {
	return settings[slices.IndexFunc(settings, func(s *setting) bool { return s.flag == flag })]
}

package reactor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/router"
)

// startQuiet runs a server whose $SYS rounds are the test's to call.
func startQuiet(t *testing.T, configure func(*Config), tune ...func(*Server)) *Server {
	t.Helper()
	return start(t, func(c *Config) {
		c.SysInterval = 0
		if configure != nil {
			configure(c)
		}
	}, tune...)
}

// watch subscribes and returns the retained messages that match, with RETAIN set: topic -> payload.
func (c *client) watch(filters ...string) map[string]string {
	c.t.Helper()
	c.subscribe(filters...)
	c.send(codec.AppendPingreq(nil))
	return c.collect(true, func(f codec.Frame) bool { return f.Type == codec.PINGRESP })
}

// sysEnd is a topic for tests.
const sysEnd = "$SYS/end"

// awaitSys returns what was published on $SYS so far for c, which is subscribed to sysEnd: topic -> payload.
func (c *client) awaitSys(s *Server) map[string]string {
	c.t.Helper()
	s.sys.publish([]sysValue{{topic: sysEnd}})
	return c.collect(false, func(f codec.Frame) bool { return strings.Contains(string(f.Body), sysEnd) })
}

// collect returns the messages that come before a packet: topic -> payload, none twice.
func (c *client) collect(retained bool, end func(codec.Frame) bool) map[string]string {
	c.t.Helper()
	got := map[string]string{}
	for f := c.next(); !end(f); f = c.next() {
		p, err := codec.ParsePublish(f, codec.Version311)
		require.NoError(c.t, err)
		require.Equal(c.t, retained, p.Retain, string(p.Topic))
		require.NotContains(c.t, got, string(p.Topic))
		got[string(p.Topic)] = string(p.Payload)
	}
	return got
}

// sysNames are the topics that there are at any time, each with the format of its payload.
const sysNames = `
$SYS/broker/version                          mqttd version \S+
$SYS/broker/uptime                           \d+ seconds
$SYS/broker/clients/total                    \d+
$SYS/broker/clients/connected                \d+
$SYS/broker/clients/active                   \d+
$SYS/broker/clients/maximum                  \d+
$SYS/broker/clients/disconnected             0
$SYS/broker/clients/inactive                 0
$SYS/broker/clients/expired                  0
$SYS/broker/connections/socket/count         \d+
$SYS/broker/subscriptions/count              \d+
$SYS/broker/shared_subscriptions/count       0
$SYS/broker/retained messages/count          \d+
$SYS/broker/messages/stored                  \d+
$SYS/broker/store/messages/count             \d+
$SYS/broker/store/messages/bytes             \d+
$SYS/broker/messages/inflight                0
$SYS/broker/messages/received                \d+
$SYS/broker/messages/sent                    \d+
$SYS/broker/publish/messages/received        \d+
$SYS/broker/publish/messages/sent            \d+
$SYS/broker/publish/messages/dropped         \d+
$SYS/broker/publish/bytes/received           \d+
$SYS/broker/bytes/received                   \d+
$SYS/broker/bytes/sent                       \d+
$SYS/broker/packet/out/count                 \d+
$SYS/broker/packet/out/bytes                 \d+
$SYS/broker/heap/current                     [1-9]\d+
$SYS/broker/heap/maximum                     [1-9]\d+
$SYS/broker/load/messages/received/*         \d+\.\d\d
$SYS/broker/load/messages/sent/*             \d+\.\d\d
$SYS/broker/load/publish/received/*          \d+\.\d\d
$SYS/broker/load/publish/sent/*              \d+\.\d\d
$SYS/broker/load/publish/dropped/*           \d+\.\d\d
$SYS/broker/load/bytes/received/*            \d+\.\d\d
$SYS/broker/load/bytes/sent/*                \d+\.\d\d
$SYS/broker/load/sockets/*                   \d+\.\d\d
$SYS/broker/load/connections/*               \d+\.\d\d
$SYS/mqttd/matched                           \d+
$SYS/mqttd/delivered                         \d+
$SYS/mqttd/waiting/messages                  \d+
$SYS/mqttd/waiting/bytes                     \d+
$SYS/mqttd/congested                         \d+
$SYS/mqttd/loss/slow                         \d+
$SYS/mqttd/loss/too_large                    \d+
$SYS/mqttd/loss/conflated                    \d+
$SYS/mqttd/loss/cut_off                      \d+
$SYS/mqttd/loss/memory                       \d+
$SYS/mqttd/loss/handover                     \d+
$SYS/mqttd/loss/absent                       \d+
$SYS/mqttd/loss/queue_full                   \d+
$SYS/mqttd/loss/expired                      \d+
$SYS/mqttd/top/loss                          \[\]
$SYS/mqttd/top/waiting                       \[\]
`

func sysFormats() map[string]string {
	formats := map[string]string{}
	for line := range strings.Lines(strings.TrimSpace(sysNames)) {
		topic, format, _ := strings.Cut(strings.TrimSpace(line), "  ")
		for _, window := range []string{"1min", "5min", "15min"} {
			formats[strings.Replace(topic, "*", window, 1)] = strings.TrimSpace(format)
		}
	}
	return formats
}

// A late subscriber gets every topic, by the names and in the formats that monitors know.
func TestSysNamesAndFormats(t *testing.T) {
	s := startQuiet(t, func(c *Config) { c.Version = "1.2.3" })
	s.sys.round(time.Now())
	got := connect(t, s, "late").watch("$SYS/#")
	formats := sysFormats()
	for topic, format := range formats {
		assert.Regexp(t, "^"+format+"$", got[topic], topic)
	}
	for topic := range got {
		assert.Contains(t, formats, topic)
	}
	assert.Equal(t, "mqttd version 1.2.3", got["$SYS/broker/version"])
}

func TestSysFilters(t *testing.T) {
	s := startQuiet(t, nil)
	s.sys.round(time.Now())
	for filter, want := range map[string]string{
		"$SYS/broker/+":                "uptime version",
		"$SYS/+/clients/+":             "active connected disconnected expired inactive maximum total",
		"$SYS/broker/+/messages/count": "count",
		"$SYS/mqttd/loss/#":            "absent conflated cut_off expired handover memory queue_full slow too_large",
		"$SYS/broker/+/count":          "count count count",
		"$SYS":                         "",
		"#":                            "",
		"+/broker/version":             "",
		"+/#":                          "",
	} {
		var last []string
		for topic := range connect(t, s, "reader").watch(filter) {
			last = append(last, topic[strings.LastIndexByte(topic, '/')+1:])
		}
		slices.Sort(last)
		assert.Equal(t, want, strings.Join(last, " "), filter)
	}
}

// Nothing of $SYS reaches a filter that begins with a wildcard [MQTT-4.7.2-1], and all of it $SYS/#, live.
func TestSysLive(t *testing.T) {
	s := startQuiet(t, func(c *Config) { c.Loops = 2 })
	blind := connect(t, s, "blind")
	blind.subscribe("#", "+/broker/version", "+/broker/#", "+/#", sysEnd)
	seeing := connect(t, s, "seeing")
	seeing.subscribe("$SYS/#")
	s.sys.round(time.Now())
	assert.Len(t, seeing.awaitSys(s), len(sysFormats()))
	assert.Empty(t, blind.awaitSys(s))
}

// Each value tells what has happened, no less and no more.
func TestSysValues(t *testing.T) {
	s := startQuiet(t, func(c *Config) { c.Loops = 2 })
	retain(t, s, "kept", "12345")
	reader := connect(t, s, "reader")
	reader.subscribe("a", "b")
	writer := connect(t, s, "writer")
	for range 3 {
		writer.publish("a", "12345")
	}
	var packet []byte
	for id := range codec.QoS2 {
		p := codec.Publish{Topic: []byte("b"), QoS: 1 + id, PacketID: 7 + uint16(id), Payload: []byte("1234567")}
		packet = codec.AppendPublish(packet, &p)
	}
	writer.send(packet)
	assert.Equal(t, codec.PUBACK, writer.next().Type)
	assert.Equal(t, codec.PUBREC, writer.next().Type)
	writer.send(codec.AppendAck(nil, codec.PUBREL, 8))
	assert.Equal(t, codec.PUBCOMP, writer.next().Type)
	reader.countPublishes(func(n int) { assert.Equal(t, 5, n) })
	reader.send(codec.AppendUnsubscribe(nil, 2, []string{"b"}))
	assert.Equal(t, codec.UNSUBACK, reader.next().Type)
	stranger := dial(t, s)
	stranger.send(codec.AppendPingreq(nil)) // a violation: it is no packet that was handled
	stranger.expectClosed()
	eventually(t, "the socket is gone", func() bool { return s.Stats().Connections == 2 })
	bytesSent := s.Stats().BytesSent

	s.sys.round(s.sys.started.Add(90 * time.Second))
	got := connect(t, s, "late").watch("$SYS/#")
	for topic, want := range map[string]string{
		"uptime":                       "90 seconds",
		"clients/total":                "2",
		"clients/connected":            "2",
		"clients/active":               "2",
		"clients/maximum":              "2",
		"connections/socket/count":     "3",
		"subscriptions/count":          "1",
		"retained messages/count":      "1",
		"messages/stored":              "1",
		"store/messages/count":         "1",
		"store/messages/bytes":         fmt.Sprint(s.retained.Bytes()),
		"messages/received":            "11", // 2 CONNECT, SUBSCRIBE, 3+2 PUBLISH, PUBREL, PINGREQ, UNSUBSCRIBE
		"messages/sent":                "13", // 2 CONNACK, SUBACK, 5 PUBLISH, PUBACK, PUBREC, PUBCOMP, PINGRESP, UNSUBACK
		"publish/messages/received":    "5",
		"publish/messages/sent":        "5",
		"publish/messages/dropped":     "0",
		"publish/bytes/received":       "29",
		"bytes/sent":                   fmt.Sprint(bytesSent),
		"load/publish/received/1min":   "2.59", // 5 in 1.5 min: 5/1.5 * (1 - exp(-1.5))
		"load/publish/received/5min":   "0.86",
		"load/publish/received/15min":  "0.32",
		"load/messages/received/15min": "0.70",
		"load/sockets/1min":            "1.55",
		"load/connections/1min":        "1.04",
	} {
		assert.Equal(t, want, got["$SYS/broker/"+topic], topic)
	}
}

// A round brings what has changed, and nothing else.
func TestSysOnlyChanges(t *testing.T) {
	s := startQuiet(t, nil)
	reader := connect(t, s, "reader")
	reader.subscribe("$SYS/broker/version", "$SYS/broker/clients/#", "$SYS/mqttd/loss/#",
		"$SYS/broker/subscriptions/count", sysEnd)
	begun := time.Now()
	s.sys.round(begun)
	assert.Len(t, reader.awaitSys(s), 1+7+int(Reasons)+1)

	connect(t, s, "second").subscribe("a", "b")
	s.sys.round(begun.Add(time.Second))
	assert.Equal(t, map[string]string{
		"$SYS/broker/clients/total":       "2",
		"$SYS/broker/clients/connected":   "2",
		"$SYS/broker/clients/active":      "2",
		"$SYS/broker/clients/maximum":     "2",
		"$SYS/broker/subscriptions/count": "7",
	}, reader.awaitSys(s))
}

// What a client publishes to $SYS is acknowledged and dropped; the connection stays, and other topics that
// begin with a dollar sign are anyone's.
func TestClientsCannotPublishToSys(t *testing.T) {
	s := startQuiet(t, func(c *Config) { c.Loops = 2 })
	s.sys.round(time.Now())
	before := s.sys.retained.Len()
	reader := connect(t, s, "reader")
	reader.watch("$SYS/#", "$SYSTEM/#", "$test/#")
	writer := connect(t, s, "writer")
	for _, topic := range []string{"$SYS", "$SYS/", "$SYS/broker/version", "$SYS/own"} {
		for _, retained := range []bool{false, true} {
			for qos := range codec.QoS2 + 1 {
				p := codec.Publish{Topic: []byte(topic), Payload: []byte("forged"), Retain: retained, QoS: qos}
				if qos > codec.QoS0 {
					p.PacketID = 1
				}
				writer.send(codec.AppendPublish(nil, &p))
				switch qos {
				case codec.QoS1:
					require.Equal(t, codec.PUBACK, writer.next().Type)
				case codec.QoS2:
					require.Equal(t, codec.PUBREC, writer.next().Type)
					writer.send(codec.AppendAck(nil, codec.PUBREL, 1))
					require.Equal(t, codec.PUBCOMP, writer.next().Type)
				}
			}
		}
	}
	removal := codec.Publish{Topic: []byte("$SYS/broker/version"), Retain: true}
	writer.send(codec.AppendPublish(nil, &removal))
	dying := connect(t, s, "dying", withWill("$SYS/broker/version", "forged"),
		func(p *codec.Connect) { p.Will.Retain = true })
	dying.abort()
	eventually(t, "all are refused", func() bool { return s.Stats().PublishRefused == 4*2*3+1+1 })

	writer.publish("$SYSTEM/a", "1")
	assert.Equal(t, "$SYSTEM/a 1", reader.expectPublish())
	writer.publish("$test/a", "2")
	assert.Equal(t, "$test/a 2", reader.expectPublish())
	assert.Equal(t, before, s.sys.retained.Len())
	assert.Zero(t, s.Stats().Retained)
	assert.Equal(t, "mqttd version dev", connect(t, s, "late").watch("$SYS/broker/version")["$SYS/broker/version"])
}

// The users' store of retained messages and that of $SYS know nothing of each other.
func TestSysBesideAFullStore(t *testing.T) {
	s := startQuiet(t, nil, func(s *Server) { s.retained = router.NewRetained(1, 1<<20) })
	retain(t, s, "kept", "v")
	writer := connect(t, s, "writer")
	writer.send(codec.AppendPublish(nil, &codec.Publish{Topic: []byte("too/much"), Payload: []byte("v"), Retain: true}))
	writer.ping()
	require.EqualValues(t, 1, s.Stats().RetainedRefused)
	s.sys.round(time.Now())
	late := connect(t, s, "late")
	assert.Len(t, late.watch("$SYS/#"), len(sysFormats()))
	assert.Equal(t, map[string]string{"kept": "v"}, late.watch("#"))
	assert.Equal(t, 1, s.Stats().Retained)
	assert.EqualValues(t, 1, s.Stats().RetainedRefused)
}

// With the interval set rounds come by themselves, the first one at once; with 0 there are none.
func TestSysInterval(t *testing.T) {
	s := start(t, func(c *Config) { c.SysInterval = time.Second })
	eventually(t, "a round at the start", func() bool { return s.sys.retained.Len() == len(sysFormats()) })
	reader := connect(t, s, "reader")
	reader.subscribe("$SYS/broker/uptime")
	seen := map[string]bool{}
	for len(seen) < 3 {
		topic := reader.expectPublish()
		require.Regexp(t, regexp.MustCompile(`^\$SYS/broker/uptime \d+ seconds$`), topic)
		seen[topic] = true
	}

	off := startQuiet(t, nil)
	assert.Empty(t, connect(t, off, "reader").watch("$SYS/#"))
}

func TestUntilMultiple(t *testing.T) {
	for _, test := range []struct {
		at       string
		interval time.Duration
		want     time.Duration
	}{
		{"12:00:00", 10 * time.Second, 10 * time.Second},
		{"12:00:03", 10 * time.Second, 7 * time.Second},
		{"12:00:09.999", 10 * time.Second, time.Millisecond},
		{"12:59:00", time.Hour, time.Minute},
	} {
		at, err := time.Parse("2006-01-02 15:04:05", "2026-11-23 "+test.at)
		require.NoError(t, err)
		assert.Equal(t, test.want, untilMultiple(at, test.interval), test.at)
	}
}

// Mosquitto 2.0.11 with sys_interval 1, two packets in the first second, then none.
func TestLoads(t *testing.T) {
	var l loads
	st := Stats{PacketsReceived: 2}
	l.advance(&st, time.Second)
	show := func() (list []string) {
		l.each(func(topic, payload string) {
			if strings.HasPrefix(topic, "load/messages/received/") {
				list = append(list, payload)
			}
		})
		return list
	}
	assert.Equal(t, []string{"1.98", "0.40", "0.13"}, show())
	l.advance(&st, time.Second)
	assert.Equal(t, []string{"1.98", "0.40", "0.13"}, show(), "no time has passed")
	l.advance(&st, 2*time.Second)
	assert.Equal(t, []string{"1.95", "0.40", "0.13"}, show())
	l.advance(&Stats{}, 3*time.Second) // counters of several loops, read one by one, may seem to go back
	assert.Equal(t, []string{"1.92", "0.40", "0.13"}, show())
	l.averages = [len(loadSources)]loadAverage{}
	for minute := range 60 { // a steady rate
		st.PacketsReceived += 600
		l.advance(&st, time.Duration(minute+1)*time.Minute)
	}
	assert.Equal(t, "600.00", show()[0])
}

package reactor

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// line is a line of the log, by its keys.
type line map[string]any

// linesOf returns the log's lines with a message.
func linesOf(t testing.TB, log *text, message string) (list []line) {
	t.Helper()
	for _, written := range strings.Split(strings.TrimSpace(log.String()), "\n") {
		var l line
		require.NoError(t, json.Unmarshal([]byte(written), &l), written)
		if l["message"] == message {
			list = append(list, l)
		}
	}
	return list
}

// Whoever runs the broker learns at info why a client does not get in, and what helps.
func TestRefusedClientsAreInTheLog(t *testing.T) {
	var log text
	s := startQuiet(t, func(c *Config) {
		c.Loops, c.MaxClients, c.ClientIDBytesMax, c.WillBytesMax = 1, 1, 23, 10
		c.Log = zerolog.New(&log)
	})
	first := connect(t, s, "first")
	long := strings.Repeat("x", 24)
	for _, test := range []struct {
		name, connect            string
		clientID, reason, remedy string
	}{
		{"MQTT 5", "\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc", "", "MQTT 5 is not supported yet", "3.1.1"},
		{"level 6", "\x10\x07\x00\x04MQTT\x06", "", "protocol level 6 is not supported", "3.1.1"},
		{"a long Client Identifier", string(connectPacket(long)), long, "24 bytes: at most 23", "-max-client-id"},
		{"none", string(connectPacket("", persistent)), "", "empty client identifier", "clean session"},
		{"none in MQTT 3.1", string(connectPacket("", func(p *codec.Connect) { p.Version = codec.Version31 })), "",
			"empty client identifier in MQTT 3.1", "give it"},
		{"a large Will", string(connectPacket("large", withWill("a", "0123456789a"))), "large",
			"will payload of 11 bytes: at most 10", "-max-will-size"},
		{"a full server", string(connectPacket("a\nb")), "a\uFFFDb", "server full", "-max-clients"},
		{"a full server", string(connectPacket("c")), "c", "server full", "-max-clients"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(linesOf(t, &log, "client refused"))
			c := dial(t, s)
			c.send([]byte(test.connect))
			c.expectClosed()
			told := linesOf(t, &log, "client refused")
			require.Len(t, told, before+1)
			last := told[before]
			assert.Equal(t, "info", last["level"])
			assert.Equal(t, c.conn.LocalAddr().String(), last["remote"])
			if test.clientID == "" {
				assert.NotContains(t, last, "client_id")
			} else {
				assert.Equal(t, test.clientID, last["client_id"])
			}
			assert.Equal(t, s.Addr(), last["listener"])
			assert.Contains(t, last["reason"], test.reason)
			assert.Contains(t, last["remedy"], test.remedy)
		})
	}
	assert.Len(t, linesOf(t, &log, "server full: clients are refused; see -max-clients"), 1, "once a minute")
	first.send(codec.AppendDisconnect(nil))
	first.expectClosed()
	eventually(t, "its end is told, and no other's", func() bool {
		return len(linesOf(t, &log, "client disconnected")) == 1 && s.Stats().Connections == 0
	})
}

// A client is told 0x80 for a filter, the log says why.
func TestRefusedFiltersAreInTheLog(t *testing.T) {
	var log text
	s := startQuiet(t, func(c *Config) {
		c.Loops, c.SubscribeFiltersMax, c.FiltersMax, c.Topics.Bytes = 1, 3, 1, 20
		c.Log = zerolog.New(&log)
	})
	connect(t, s, "greedy").subscribe("a", strings.Repeat("x", 21), "b", "c")
	told := linesOf(t, &log, "filter refused")
	require.Len(t, told, 3)
	for i, want := range []line{
		{"filter": strings.Repeat("x", 21), "reason": "than allowed"},
		{"filter": "b", "reason": "-max-filters"},
		{"filter": "c", "reason": "-max-subscribe-filters"},
	} {
		assert.Equal(t, "debug", told[i]["level"])
		assert.Equal(t, "greedy", told[i]["client_id"])
		assert.Equal(t, want["filter"], told[i]["filter"])
		assert.Contains(t, told[i]["reason"], want["reason"])
	}
}

// The line of a client that connects has the User Name it gave, also when it had to wait for the one before it.
func TestConnectLineHasUserAndListener(t *testing.T) {
	var log text
	s := startQuiet(t, func(c *Config) { c.Loops, c.Log = 2, zerolog.New(&log) })
	as := func(user string) func(*codec.Connect) {
		return func(p *codec.Connect) { p.HasUserName, p.UserName = true, []byte(user) }
	}
	connect(t, s, "nobody")
	connect(t, s, "client", as("bob\n"))
	connect(t, s, "client", as(""))
	told := linesOf(t, &log, "client connected")
	require.Len(t, told, 3)
	assert.NotContains(t, told[0], "user")
	assert.Equal(t, "bob\uFFFD", told[1]["user"])
	assert.Equal(t, "", told[2]["user"])
	for _, l := range told {
		assert.Equal(t, s.Addr(), l["listener"])
	}
}

// What clients subscribe to, and no longer, is in the log at debug.
func TestSubscriptionsAreInTheLogAtDebug(t *testing.T) {
	var log text
	s := startQuiet(t, func(c *Config) { c.Loops, c.Log = 1, zerolog.New(&log) })
	c := connect(t, s, "client")
	c.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a/#", QoS: codec.QoS1}, {Filter: "b\u2028"}}))
	require.Equal(t, codec.SUBACK, c.next().Type)
	c.send(codec.AppendUnsubscribe(nil, 2, []string{"a/#", "c"}))
	require.Equal(t, codec.UNSUBACK, c.next().Type)
	assert.Equal(t, []line{
		{"level": "debug", "client_id": "client", "filter": "a/#", "qos": 1.0, "message": "client subscribed"},
		{"level": "debug", "client_id": "client", "filter": "b\uFFFD", "qos": 0.0, "message": "client subscribed"},
	}, linesOf(t, &log, "client subscribed"))
	assert.Equal(t, []line{
		{"level": "debug", "client_id": "client", "filter": "a/#", "subscribed": true, "message": "client unsubscribed"},
		{"level": "debug", "client_id": "client", "filter": "c", "subscribed": false, "message": "client unsubscribed"},
	}, linesOf(t, &log, "client unsubscribed"))
}

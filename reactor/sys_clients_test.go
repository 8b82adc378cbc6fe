package reactor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/router"
)

// What a reader has lost is told on a topic of its own, to those who subscribe late too, until the reader is gone.
func TestSysTellsOfALosingClient(t *testing.T) {
	s := startQuiet(t, func(c *Config) { c.Loops, c.ClientBufferBytes = 2, 64<<10 })
	monitor := connect(t, s, "monitor")
	monitor.subscribe("$SYS/mqttd/clients/#", "$SYS/mqttd/top/loss", sysEnd)
	s.sys.round(time.Now())
	require.Equal(t, map[string]string{"$SYS/mqttd/top/loss": "[]"}, monitor.awaitSys(s))

	const clientID, topic = "a/b+c#d%e", "$SYS/mqttd/clients/a%2Fb%2Bc%23d%25e/loss"
	stalled := connect(t, s, clientID)
	require.NoError(t, stalled.conn.SetReadBuffer(4<<10))
	stalled.subscribe("load")
	writer := connect(t, s, "writer")
	payload := strings.Repeat("x", 32<<10)
	booked := func() uint64 {
		st := s.Stats()
		return st.Delivered + st.Dropped.Total() + uint64(st.WaitingMessages)
	}
	for sent := booked(); s.Stats().Dropped == (Losses{}); sent++ {
		writer.publish("load", payload)
		eventually(t, "the message is delivered, dropped, or waits", func() bool { return booked() == sent+1 })
	}
	lost := s.Stats().Dropped
	s.sys.round(time.Now())
	got := monitor.awaitSys(s)
	var told toldLoss
	require.NoError(t, json.Unmarshal([]byte(got[topic]), &told), "%v", got)
	assert.Equal(t, clientID, told.ClientID)
	assert.Equal(t, lost.Total(), told.Lost)
	assert.Equal(t, map[string]uint64{"slow": lost[ReasonSlow]}, told.Dropped)
	assert.Equal(t, "["+got[topic]+"]", got["$SYS/mqttd/top/loss"])
	s.sys.round(time.Now())
	assert.Empty(t, monitor.awaitSys(s), "nothing has changed")
	assert.Equal(t, got[topic], connect(t, s, "late").watch("$SYS/mqttd/clients/+/loss")[topic])

	stalled.abort()
	eventually(t, "the reader is gone", func() bool { return s.Stats().Clients <= 3 && s.Stats().Connections <= 3 })
	s.sys.round(time.Now())
	assert.Equal(t, map[string]string{topic: "", "$SYS/mqttd/top/loss": "[]"}, monitor.awaitSys(s))
	assert.Empty(t, connect(t, s, "later").watch("$SYS/mqttd/clients/#"))
}

// toldLoss is a ClientLoss as others read it.
type toldLoss struct {
	ClientID string            `json:"client_id"`
	Dropped  map[string]uint64 `json:"dropped"`
	Lost     uint64            `json:"lost"`
}

// Clients of every loop are told of, those with most first, and no more than fit.
func TestSysClientValues(t *testing.T) {
	s := stillServer(t, 3)
	for n := range 30 {
		c, _ := join(t, s.loops[n%3], fmt.Sprintf("client-%02d", n))
		c.loop.lose(c, ReasonSlow, uint64(n))
		c.backlog.messages, c.backlog.bytes, c.pace = uint64(n), 100*(30-n), blocked
		c.loop.congested = append(c.loop.congested, c)
	}
	answering(t, s)
	list, complete := s.sys.clientValues(within(t, patience))
	assert.True(t, complete)
	values := map[string]string{}
	for _, v := range list {
		values[v.topic] = v.payload
	}
	assert.Len(t, values, 2+29, "one has lost nothing")
	assert.Equal(t, `{"client_id":"client-07","dropped":{"slow":7},"lost":7}`, values["$SYS/mqttd/clients/client-07/loss"])
	var top []toldLoss
	require.NoError(t, json.Unmarshal([]byte(values["$SYS/mqttd/top/loss"]), &top))
	require.Len(t, top, sysTop)
	assert.Equal(t, "client-29", top[0].ClientID)
	assert.Equal(t, "client-20", top[9].ClientID)
	waiting := values["$SYS/mqttd/top/waiting"]
	const first = `[{"client_id":"client-00","waiting":{"messages":0,"bytes":3000}},{"client_id":"client-01",`
	assert.Equal(t, first, waiting[:min(len(first), len(waiting))])
	assert.Equal(t, sysTop, strings.Count(waiting, "client_id"))
}

// Identifiers of any length and content have topics of their own, and cost the other values nothing.
func TestSysTellsOfLongClientIDs(t *testing.T) {
	s := startQuiet(t, func(c *Config) { c.ClientIDBytesMax, c.Loops = 65_535, 1 })
	slashes := strings.Repeat("/", 22_000)
	for _, id := range []string{"short", slashes + "1", slashes + "2"} {
		connect(t, s, id)
	}
	monitor := connect(t, s, "monitor")
	monitor.subscribe("$SYS/mqttd/clients/#", sysEnd)
	onEachClient(t, s, func(l *loop, c *conn) {
		if c.clientID() != "monitor" {
			l.lose(c, ReasonSlow, 1)
		}
	})
	s.sys.round(time.Now())
	told := map[string]string{}
	for topic, payload := range monitor.awaitSys(s) {
		var loss toldLoss
		require.NoError(t, json.Unmarshal([]byte(payload), &loss))
		told[loss.ClientID] = topic
		assert.Less(t, len(topic), 300)
	}
	assert.Len(t, told, 3)
	assert.Contains(t, told, slashes+"2")
	assert.Equal(t, "$SYS/mqttd/clients/short/loss", told["short"])
	assert.Zero(t, s.Stats().Panics)
}

// onEachClient calls f for each client, on its loop.
func onEachClient(t testing.TB, s *Server, f func(l *loop, c *conn)) {
	t.Helper()
	for _, l := range s.loops {
		done := make(chan struct{})
		l.post(letter{kind: letterCall, call: func() {
			defer close(done)
			for slot := range s.table.Slots() {
				if _, c := s.table.At(slot); c != nil && c.loop == l {
					f(l, c)
				}
			}
		}})
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("a loop does not open its letters")
		}
	}
}

// While a loop does not answer, the topics of its clients stay.
func TestSysOfASilentLoop(t *testing.T) {
	s := stillServer(t, 1)
	c, _ := join(t, s.loops[0], "client")
	s.loops[0].lose(c, ReasonSlow, 1)
	values, complete := s.sys.clientValues(within(t, 10*time.Millisecond))
	assert.False(t, complete)
	assert.Equal(t, []sysValue{{"$SYS/mqttd/top/loss", "[]"}, {"$SYS/mqttd/top/waiting", "[]"}}, values)

	s.sys.published["$SYS/mqttd/clients/client/loss"] = "x"
	assert.Empty(t, s.sys.changes(nil, complete))
	assert.Equal(t, []sysValue{{topic: "$SYS/mqttd/clients/client/loss"}}, s.sys.changes(nil, true))
}

// What does not fit into the store is left out, told to nobody, and tried again.
func TestSysLeavesOutWhatDoesNotFit(t *testing.T) {
	s := startQuiet(t, nil, func(s *Server) { s.sys.retained = router.NewRetained(10, 4<<10) })
	monitor := connect(t, s, "monitor")
	monitor.subscribe("$SYS/#")
	large, small := sysValue{"$SYS/large", strings.Repeat("x", 5<<10)}, sysValue{"$SYS/small", "x"}
	s.sys.publish([]sysValue{large, small})
	assert.Equal(t, map[string]string{small.topic: small.payload}, monitor.awaitSys(s))
	assert.Equal(t, []sysValue{large}, s.sys.changes([]sysValue{large, small}, true))
}

// text is a bytes.Buffer for several goroutines.
type text struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buffer.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buffer.String()
}

// The users' limits of topics are not those of $SYS: late subscribers find what is beyond them.
func TestSysTopicsBeyondTheLimits(t *testing.T) {
	var log text
	s := startQuiet(t, func(c *Config) {
		c.Topics.Bytes, c.Loops = len("$SYS/mqttd/#"), 1
		c.Log = zerolog.New(&log)
	})
	s.sys.round(time.Now())
	s.sys.round(time.Now().Add(time.Second))
	assert.Equal(t, 1, strings.Count(log.String(), "-max-topic-length"), "it is said once: %s", &log)
	assert.Equal(t, "0", connect(t, s, "late").watch("$SYS/mqttd/#")["$SYS/mqttd/waiting/messages"])
}

// Far more values than one turn takes arrive complete.
func TestSysInManyTurns(t *testing.T) {
	s := startQuiet(t, nil)
	monitor := connect(t, s, "monitor")
	monitor.subscribe("$SYS/#")
	var values []sysValue
	for i := range 5*sysBatch + 1 {
		values = append(values, sysValue{fmt.Sprint("$SYS/", i), "x"})
	}
	s.sys.publish(values)
	assert.Len(t, monitor.awaitSys(s), len(values))
	assert.Len(t, connect(t, s, "late").watch("$SYS/#"), len(values))
}

func TestLevelOf(t *testing.T) {
	for clientID, want := range map[string]string{
		"sensor-1":      "sensor-1",
		"a/b":           "a%2Fb",
		"+#%":           "%2B%23%25",
		"tab\tdel\x7f":  "tab%09del%7F",
		"\u0085":        "%C2%85",
		"küche №1 / 日本": "küche №1 %2F 日本",
	} {
		level := levelOf(clientID, 7)
		assert.Equal(t, want, level)
		assert.NoError(t, codec.CheckTopicName([]byte(level)))
	}
}

// A long level is cut between two characters, and never equal to that of another client.
func TestLevelOfALongClientID(t *testing.T) {
	xs := strings.Repeat("x", levelBytesMax)
	for clientID, want := range map[string]string{
		xs:                       xs,
		xs + "y":                 xs + "%_7",
		xs[1:] + "/":             xs[1:] + "%_7",
		xs[3:] + "/":             xs[3:] + "%2F",
		xs[5:] + "\u0085":        xs[5:] + "%_7",
		xs[1:] + "ü":             xs[1:] + "%_7",
		xs[3:] + "%_7":           xs[3:] + "%25%_7",
		strings.Repeat("/", 100): strings.Repeat("%2F", 85) + "%_7",
	} {
		assert.Equal(t, want, levelOf(clientID, 7))
	}
}

// BenchmarkSysRound is what a round costs, on the goroutine of rounds and on the loops, with clients of which none
// or all lose messages between two rounds.
func BenchmarkSysRound(b *testing.B) {
	for _, losers := range []int{0, 2000} {
		b.Run(fmt.Sprint(losers, " losing clients"), func(b *testing.B) {
			s := start(b, func(c *Config) { c.SysInterval = 0 })
			for i := range losers {
				connect(b, s, fmt.Sprint("client-", i))
			}
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				onEachClient(b, s, func(l *loop, c *conn) { l.lose(c, ReasonSlow, 1) })
				now = now.Add(10 * time.Second)
				b.StartTimer()
				s.sys.round(now)
			}
		})
	}
}

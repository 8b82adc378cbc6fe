package reactor

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
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
	var told clientLoss
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

// Clients of every loop are told of, those with most first, and no more than fit.
func TestSurvey(t *testing.T) {
	s := startQuiet(t, func(c *Config) { c.Loops = 3 })
	for i := range 30 {
		connect(t, s, fmt.Sprintf("client-%02d", i))
	}
	onEachClient(t, s, func(l *loop, c *conn) {
		n, err := strconv.ParseUint(strings.TrimPrefix(c.clientID(), "client-"), 10, 64)
		assert.NoError(t, err)
		l.lose(c, ReasonSlow, n)
		c.backlog.messages, c.backlog.bytes = n, int(100*(30-n))
	})
	stats := s.Stats()
	found := s.sys.survey(&stats)
	assert.True(t, found.complete)
	assert.Len(t, found.losing.best(lossTopicsMax), 29, "one has lost nothing")
	values := map[string]string{}
	for _, v := range found.values() {
		values[v.topic] = v.payload
	}
	assert.Len(t, values, 2+29)
	assert.Equal(t, `{"client_id":"client-07","dropped":{"slow":7},"lost":7}`, values["$SYS/mqttd/clients/client-07/loss"])
	var top []clientLoss
	require.NoError(t, json.Unmarshal([]byte(values["$SYS/mqttd/top/loss"]), &top))
	require.Len(t, top, sysTop)
	assert.Equal(t, "client-29", top[0].ClientID)
	assert.Equal(t, "client-20", top[9].ClientID)
	waiting := values["$SYS/mqttd/top/waiting"]
	const first = `[{"client_id":"client-01","waiting":{"messages":1,"bytes":2900}},{"client_id":"client-02",`
	assert.Equal(t, first, waiting[:min(len(first), len(waiting))])
	onEachClient(t, s, func(_ *loop, c *conn) { c.backlog.messages, c.backlog.bytes = 0, 0 })
}

// onEachClient calls f for each client, on its loop.
func onEachClient(t testing.TB, s *Server, f func(l *loop, c *conn)) {
	t.Helper()
	for _, l := range s.loops {
		done := make(chan struct{})
		l.post(letter{kind: letterCall, call: func() {
			defer close(done)
			for c := range s.table.All() {
				if c.loop == l {
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

// A loop that does not answer holds nobody up for long, and its clients' topics stay.
func TestSurveyOfASilentLoop(t *testing.T) {
	s := stillServer(t, 1)
	c, _ := join(t, s.loops[0], "client")
	s.loops[0].lose(c, ReasonSlow, 1)
	stats := s.Stats()
	found := s.sys.survey(&stats)
	assert.False(t, found.complete)
	assert.Empty(t, found.losing.list)

	s.sys.published["$SYS/mqttd/clients/client/loss"] = "x"
	assert.Empty(t, s.sys.changes(nil, found.complete))
	assert.Equal(t, []sysValue{{topic: "$SYS/mqttd/clients/client/loss"}}, s.sys.changes(nil, true))
	assert.Empty(t, s.sys.changes(nil, true))
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

func TestRanking(t *testing.T) {
	r := ranking{max: 100, weight: func(r *clientReport) uint64 { return r.waitingMessages }}
	for i := range uint64(10_000) {
		r.add(clientReport{clientID: fmt.Sprint(i), waitingMessages: i * 7919 % 10_000})
		require.LessOrEqual(t, len(r.list), 200)
	}
	best := r.best(100)
	require.Len(t, best, 100)
	for i, report := range best {
		assert.EqualValues(t, 9999-i, report.waitingMessages)
	}
	assert.Len(t, r.best(3), 3)
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
		level := levelOf(clientID)
		assert.Equal(t, want, level)
		assert.NoError(t, codec.CheckTopicName([]byte(level)))
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

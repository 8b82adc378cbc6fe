package reactor

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

func retain(t testing.TB, s *Server, topic, payload string) {
	t.Helper()
	packet := codec.AppendPublish(nil, &codec.Publish{Topic: []byte(topic), Payload: []byte(payload), Retain: true})
	require.True(t, s.retained.Store([]byte(topic), packet))
}

// Far more retained messages than may wait for a client arrive complete, at a reader that takes
// its time and beside one that does not read at all.
func TestRetainedMessagesBeyondTheBufferArrive(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops, c.ClientBufferBytes = 2, 64<<10 })
	const messages = 10_000
	payload := strings.Repeat("x", 1000)
	for i := range messages {
		retain(t, s, fmt.Sprint("state/", i), payload)
	}
	stalled := connect(t, s, "stalled")
	require.NoError(t, stalled.conn.SetReadBuffer(4<<10))
	stalled.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "#"}}))

	for i := range 2 {
		reader := connect(t, s, fmt.Sprint("reader-", i))
		require.NoError(t, reader.conn.SetReadBuffer(16<<10))
		reader.subscribe("state/#")
		seen := map[string]bool{}
		for range messages {
			f := reader.next()
			require.EqualValues(t, 1, f.Flags, "RETAIN is set [MQTT-3.3.1-8]")
			p, err := codec.ParsePublish(f, codec.Version311)
			require.NoError(t, err)
			seen[string(p.Topic)] = true
		}
		assert.Len(t, seen, messages)
	}
	assert.Zero(t, s.Stats().Dropped[ReasonSlow])
}

// One packet that asks for everything a thousand times gets everything once.
func TestRetainedOncePerFilterInAPacket(t *testing.T) {
	s := start(t, nil)
	for i := range 100 {
		retain(t, s, fmt.Sprint("state/", i), "v")
	}
	reader := connect(t, s, "reader")
	reader.subscribe(strings.Split(strings.Repeat("# ", 999)+"#", " ")...)
	reader.countPublishes(func(n int) { assert.Equal(t, 100, n) })
	reader.subscribe("#") // again, so they are sent again [MQTT-3.8.4-3]
	reader.countPublishes(func(n int) { assert.Equal(t, 100, n) })
}

// What changed while a client waits for its page: it gets the newer message live, not the older
// one after it, and nothing for a filter it gave up.
func TestReplayLeavesOutWhatIsNotCurrent(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	for _, topic := range []string{"a/1", "a/2", "a/3", "b/1"} {
		retain(t, s, topic, "old")
	}
	reader, out := join(t, l, "reader")
	one := len(publish("a/1", "old"))
	out.keep, out.holds = true, true
	out.buffered = s.config.ClientBufferBytes/2 - one - len("SUBACK") // room for a page of one message
	l.receive(reader, codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a/#"}, {Filter: "b/#"}}))
	l.settle()
	require.Equal(t, []*conn{reader}, l.replaying)
	require.Equal(t, []string{"SUBACK", "PUBLISH old"}, types(t, out))
	writer, _ := join(t, l, "writer")
	out.buffered = 0
	change := codec.AppendPublish(nil, &codec.Publish{Topic: []byte("a/2"), Payload: []byte("new"), Retain: true})
	change = codec.AppendPublish(change, &codec.Publish{Topic: []byte("a/3"), Retain: true})
	l.receive(writer, change)
	l.receive(reader, codec.AppendUnsubscribe(nil, 2, []string{"b/#"}))
	l.replayDue = true
	l.settle()
	assert.Empty(t, l.replaying)

	var got []string
	for rest := out.written.Bytes(); len(rest) > 0; {
		var d codec.Decoder
		d.Feed(rest)
		f, ok, err := d.Next(PacketBytesMax)
		require.True(t, ok && err == nil)
		rest = rest[len(f.Bytes):]
		if p, err := codec.ParsePublish(f, codec.Version311); f.Type == codec.PUBLISH && err == nil {
			got = append(got, fmt.Sprintf("%s %s %v", p.Topic, p.Payload, p.Retain))
		}
	}
	assert.Equal(t, []string{"a/1 old true", "a/2 new false", "a/3  false"}, got)
}

// A message larger than all the room goes out when nothing else waits.
func TestReplayOfALargeMessage(t *testing.T) {
	s := start(t, func(c *Config) { c.ClientBufferBytes = ClientBufferBytesMin })
	large := strings.Repeat("x", 500_000)
	retain(t, s, "a", large)
	retain(t, s, "b", large)
	reader := connect(t, s, "reader")
	reader.subscribe("#")
	got := []string{reader.expectPublish(), reader.expectPublish()}
	assert.ElementsMatch(t, []string{"a " + large, "b " + large}, got)
}

// Filters that bring nothing, and a client that has no room, cost no lookup and no flush of what others
// publish.
func TestSubscribeDoesNotUndoBatching(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	retain(t, s, "kept", "v")
	_, out := join(t, l, "reader", "data")
	busy, _ := join(t, l, "busy")
	var chunk []byte
	for range 100 {
		chunk = append(chunk, publish("data", "x")...)
		chunk = codec.AppendSubscribe(chunk, 1, []codec.Subscription{{Filter: "other"}})
	}
	out.writes = 0
	l.receive(busy, chunk)
	l.settle()
	assert.Equal(t, 1, out.writes)
}

// A subscription that was ended and begun again during a replay is served once more from its start,
// not twice.
func TestResubscribeDuringAReplay(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	for i := range 5 {
		retain(t, s, fmt.Sprint("a/", i), "old")
	}
	reader, out := join(t, l, "reader")
	out.keep, out.holds = true, true
	out.buffered = s.config.ClientBufferBytes / 2 // no room
	again := codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a/#"}})
	l.receive(reader, again)
	l.receive(reader, codec.AppendUnsubscribe(nil, 2, []string{"a/#"}))
	l.receive(reader, again)
	out.written.Reset()
	out.buffered = 0
	l.replayDue = true
	l.settle()
	assert.Equal(t, slices.Repeat([]string{"PUBLISH old"}, 5), types(t, out))
	assert.Nil(t, reader.replay)
}

package router

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// noted is a Keeper that knows what a store on disk would.
type noted struct {
	t       *testing.T
	packets map[string]string // by topic
	topics  map[uint64]string // by number
	last    uint64            // number of a topic
	changes int
}

func newNoted(t *testing.T) *noted {
	return &noted{t: t, packets: make(map[string]string), topics: make(map[uint64]string)}
}

func (n *noted) PutRetained(number uint64, packet []byte, first bool) {
	n.changes++
	topic := string(codec.PublishTopic(packet))
	if first {
		require.NotContains(n.t, n.packets, topic, "a topic has one number")
		require.Greater(n.t, number, n.last, "a new number")
		n.topics[number], n.last = topic, number
	}
	require.Equal(n.t, n.topics[number], topic)
	n.packets[topic] = string(packet)
}

func (n *noted) DeleteRetained(number uint64) {
	n.changes++
	require.Contains(n.t, n.topics, number)
	delete(n.packets, n.topics[number])
	delete(n.topics, number)
}

// keptPacket returns the packet of a retained message.
func keptPacket(topic, payload string) []byte {
	return codec.AppendPublish(nil, &codec.Publish{Topic: []byte(topic), Payload: []byte(payload), Retain: true})
}

func TestKeeperIsToldOfEachChange(t *testing.T) {
	r, n := NewRetained(1, 1000), newNoted(t)
	require.True(t, r.Store(n, []byte("a"), keptPacket("a", "1")))
	require.True(t, r.Store(n, []byte("a"), keptPacket("a", "2")))
	require.Equal(t, map[string]string{"a": string(keptPacket("a", "2"))}, n.packets)
	require.Equal(t, 2, n.changes)
	r.Clear(n, []byte("a"))
	require.Empty(t, n.packets)
	require.Equal(t, 3, n.changes)
}

// Who has nothing to tell tells nothing: what is not there cannot go.
func TestKeeperIsNotToldOfNothing(t *testing.T) {
	r, n := NewRetained(1, 1000), newNoted(t)
	r.Clear(n, []byte("a"))
	require.True(t, r.Store(n, []byte("a/b"), keptPacket("a/b", "1")))
	r.Clear(n, []byte("a"))
	r.Clear(n, []byte("a/b/c"))
	require.False(t, r.Store(n, []byte("c"), keptPacket("c", "beyond the limit")))
	require.Equal(t, 1, n.changes)
}

// A message that is refused takes the older one of its topic with it, and the keeper learns that.
func TestKeeperIsToldWhatARefusalCosts(t *testing.T) {
	r, n := NewRetained(5, topicNodeBytes+100), newNoted(t)
	require.True(t, r.Store(n, []byte("a"), keptPacket("a", "small")))
	require.False(t, r.Store(n, []byte("a"), keptPacket("a", strings.Repeat("large", 100))))
	require.Empty(t, n.packets)
	require.Equal(t, 2, n.changes)
	require.Zero(t, r.Len())
}

// Whatever comes, from several goroutines at once, what the keeper was told is what is retained.
func TestKeeperKnowsWhatIsRetained(t *testing.T) {
	const topics, workers = 10, 4
	r := NewRetained(7, 5*topicNodeBytes+400)
	var mu sync.Mutex // of the store, begun before the shard is locked
	n := newNoted(t)
	var working sync.WaitGroup
	for w := range workers {
		working.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 0))
			for step := range 3000 {
				topic := fmt.Sprint("t", random.IntN(topics))
				mu.Lock()
				if random.IntN(3) == 0 {
					r.Clear(n, []byte(topic))
				} else {
					r.Store(n, []byte(topic), keptPacket(topic, fmt.Sprint(w, step, strings.Repeat("x", random.IntN(100)))))
				}
				mu.Unlock()
			}
		})
	}
	working.Wait()
	got := map[string]string{}
	messages, done := r.Cursor("#").Next(nil, 1000)
	require.True(t, done)
	for _, m := range messages {
		got[string(codec.PublishTopic(m.Packet()))] = string(m.Packet())
	}
	require.Equal(t, n.packets, got)
	require.Equal(t, len(got), r.Len())
}

// What was restored has the number that it had, and new topics have higher ones.
func TestRestoredMessagesKeepTheirNumbers(t *testing.T) {
	r, n := NewRetained(3, 10_000), newNoted(t)
	for number, topic := range map[uint64]string{3: "a", 900: "b", 20: "c"} {
		n.topics[number], n.packets[topic], n.last = topic, string(keptPacket(topic, "1")), max(n.last, number)
		require.True(t, r.Restore(number, []byte(topic), keptPacket(topic, "1")))
	}
	require.False(t, r.Restore(1000, []byte("d"), keptPacket("d", "beyond the limit")))
	n.last = 1000
	for _, topic := range []string{"a", "b", "c"} {
		require.True(t, r.Store(n, []byte(topic), keptPacket(topic, "2")))
	}
	r.Clear(n, []byte("b"))
	require.True(t, r.Store(n, []byte("b"), keptPacket("b", "3")))
	require.True(t, r.Store(n, []byte("b"), keptPacket("b", "4")))
	require.Equal(t, map[string]string{
		"a": string(keptPacket("a", "2")), "b": string(keptPacket("b", "4")), "c": string(keptPacket("c", "2")),
	}, n.packets)
	require.Len(t, n.topics, 3)
}

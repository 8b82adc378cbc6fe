package router

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// TestScenarios plays the stories under testdata, one step a line:
//
//	subscribe <client> <filter> <qos> [-> replaced]
//	unsubscribe <client> <filter> [-> unknown]
//	leave <client>                     ends all of its subscriptions
//	publish <topic> -> <client>@<qos> ... | nobody | refused
//	retain <topic> <text>
//	clear <topic>
//	retained <filter> -> <text> ... | nothing
//
// A line that begins with "# " is a comment; `""` is the empty string. When the story is over
// everybody leaves, and nothing may be left.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			s := newScenario(t)
			for i, line := range strings.Split(string(text), "\n") {
				if line != "" && line != "#" && !strings.HasPrefix(line, "# ") {
					s.at = fmt.Sprintf("%s:%d: %s", file, i+1, line)
					s.play(line)
				}
			}
			s.end()
		})
	}
}

type scenario struct {
	t        *testing.T
	at       string // file, line and text of the step
	router   *Router
	warm     *Cache
	retained *Retained
	clients  []string            // a client's ID is its index, its group that modulo 3
	filters  map[string][]string // by client
	topics   []string            // with a retained message, once or now
}

func newScenario(t *testing.T) *scenario {
	r := New()
	return &scenario{
		t:        t,
		router:   r,
		warm:     r.NewCache(),
		retained: NewRetained(RetainedMessagesMax, RetainedBytesMax),
		filters:  make(map[string][]string),
	}
}

func (s *scenario) play(line string) {
	step, result, _ := strings.Cut(line, " -> ")
	words := strings.Fields(step)
	for i := range words {
		words[i] = strings.Trim(words[i], `"`)
	}
	wordCount := map[string]int{
		"subscribe": 4, "unsubscribe": 3, "leave": 2, "publish": 2, "retain": 3, "clear": 2, "retained": 2,
	}
	require.Len(s.t, words, wordCount[words[0]], s.at)
	switch words[0] {
	case "subscribe":
		s.subscribe(words[1], words[2], words[3], result)
	case "unsubscribe":
		s.unsubscribe(words[1], words[2], result)
	case "leave":
		s.leave(words[1])
	case "publish":
		s.publish(words[1], result)
	case "retain":
		require.True(s.t, s.retained.Store(nil, []byte(words[1]), []byte(words[2])), s.at)
		s.topics = append(s.topics, words[1])
	case "clear":
		s.retained.Clear(nil, []byte(words[1]))
	case "retained":
		s.match(words[1], result)
	}
}

func (s *scenario) subscribe(client, filter, qos, result string) {
	require.NoError(s.t, codec.CheckTopicFilter([]byte(filter)), s.at)
	level, err := strconv.Atoi(qos)
	require.NoError(s.t, err, s.at)
	added := s.router.Subscribe(filter, s.subscriber(client), codec.QoS(level))
	require.Equal(s.t, result != "replaced", added, s.at)
	s.filters[client] = append(s.filters[client], filter)
}

func (s *scenario) unsubscribe(client, filter, result string) {
	removed := s.router.Unsubscribe(filter, s.subscriber(client).ID)
	require.Equal(s.t, result != "unknown", removed, s.at)
}

func (s *scenario) leave(client string) {
	for _, filter := range s.filters[client] {
		s.router.Unsubscribe(filter, s.subscriber(client).ID)
	}
	delete(s.filters, client)
}

// publish asks a cache that saw the whole story, and one that is new.
func (s *scenario) publish(topic, want string) {
	for name, cache := range map[string]*Cache{"warm": s.warm, "fresh": s.router.NewCache()} {
		require.Equal(s.t, sortedWords(want), s.receivers(cache, topic), "%s cache: %s", name, s.at)
	}
}

func (s *scenario) receivers(cache *Cache, topic string) (words []string) {
	route, err := cache.Route([]byte(topic))
	if err != nil {
		return []string{"refused"}
	}
	for id, sub := range targetsOf(s.t, route) {
		require.Equal(s.t, s.subscriber(s.clients[id]), sub.Subscriber, s.at)
		words = append(words, fmt.Sprintf("%s@%d", s.clients[id], sub.qos))
	}
	if len(words) == 0 {
		return []string{"nobody"}
	}
	slices.Sort(words)
	return words
}

func (s *scenario) match(filter, want string) {
	require.NoError(s.t, codec.CheckTopicFilter([]byte(filter)), s.at)
	got := sortedPackets(matched(s.retained, filter))
	if len(got) == 0 {
		got = []string{"nothing"}
	}
	require.Equal(s.t, sortedWords(want), got, s.at)
}

func (s *scenario) end() {
	for _, client := range s.clients {
		s.leave(client)
	}
	requireEmpty(s.t, s.router)
	for _, topic := range s.topics {
		s.retained.Clear(nil, []byte(topic))
	}
	requireNothingRetained(s.t, s.retained)
}

func (s *scenario) subscriber(client string) Subscriber {
	id := slices.Index(s.clients, client)
	if id < 0 {
		id = len(s.clients)
		s.clients = append(s.clients, client)
	}
	return Subscriber{ID: uint64(id), Group: id % 3}
}

func sortedWords(text string) []string {
	words := strings.Fields(text)
	slices.Sort(words)
	return words
}

func sortedPackets(messages []*RetainedMessage) (words []string) {
	for _, m := range messages {
		words = append(words, string(m.Packet()))
	}
	slices.Sort(words)
	return words
}

package reactor

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// A broker that runs: publishers at QoS 1 and 2 on every loop, readers whose connections are reset in the middle of
// it and that come back, on whichever loop, to their sessions. Nobody misses a message; at QoS 2 nothing comes
// twice; what one publishes comes in order; and at the end nothing is left.
func TestNothingIsLostAboveQoS0(t *testing.T) {
	for _, c := range []struct {
		name      string
		configure func(dir string, c *Config)
	}{
		{"one loop", func(dir string, c *Config) { c.Loops = 1 }},
		{"three loops", func(dir string, c *Config) { c.Loops = 3 }},
		{"three loops, sync interval", func(dir string, c *Config) { c.Loops, c.DataDir, c.SyncInterval = 3, dir, 20*time.Millisecond }},
		{"three loops, sync always", func(dir string, c *Config) { c.Loops, c.DataDir, c.Sync = 3, dir, "always" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			testNothingIsLost(t, start(t, func(config *Config) {
				c.configure(dir, config)
				config.QueuedMessagesMax, config.MaxInflight = QueuedMessagesLimit, 7
			}))
		})
	}
}

func testNothingIsLost(t *testing.T, s *Server) {
	const publishers, messages, readers = 3, 300, 5
	all := make([]*returning, readers)
	for i := range all {
		all[i] = &returning{t: t, server: s, name: fmt.Sprint("reader-", i), random: rand.New(rand.NewPCG(uint64(i), 3))}
		all[i].connect()
		all[i].client.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "load/+", QoS: codec.QoS(1 + i%2)}}))
		require.Equal(t, codec.SUBACK, all[i].client.next().Type)
	}
	var working sync.WaitGroup
	for p := range publishers {
		working.Go(func() {
			c := connect(t, s, fmt.Sprint("publisher-", p))
			for n := range messages {
				qos := codec.QoS(1 + n%2)
				c.send(above(qos, uint16(n+1), fmt.Sprint("load/", p), fmt.Sprint(n)))
				if qos == codec.QoS2 {
					c.next()
					c.send(acks(codec.PUBREL, uint16(n+1)))
				}
				c.next()
			}
		})
	}
	for _, r := range all {
		working.Go(func() { r.read(publishers * messages) })
	}
	working.Wait()
	if t.Failed() {
		return
	}
	for _, r := range all { // an acknowledgement may have been lost last
		r.steady = true
		r.connect()
		working.Go(r.readOn)
	}
	eventually(t, "nothing waits any more", func() bool {
		st := s.Stats()
		return st.QueuedMessages+st.StoredMessages+st.QueueBytes == 0
	})
	for _, r := range all {
		r.client.abort()
	}
	working.Wait()
	requireAboveBalance(t, s)
	require.Zero(t, s.Stats().Above[0].Dropped.Total()+s.Stats().Above[1].Dropped.Total())
	require.EqualValues(t, publishers*messages*readers, s.Stats().Above[0].Delivered+s.Stats().Above[1].Delivered)
}

// returning is a client with a session, whose connections break.
type returning struct {
	t      *testing.T
	server *Server
	name   string
	random *rand.Rand
	client *client
	left   int             // packets until the connection breaks
	steady bool            // it does not
	owned  map[uint16]bool // QoS 2 Packet Identifiers for which no PUBREL came
	seen   map[string]bool // topic and payload
	next   map[string]int  // by topic
}

// connect comes back; whatever the broker has sent on the earlier connection is not read any more.
func (r *returning) connect() {
	r.client = dial(r.t, r.server)
	r.client.sendConnect(r.name, persistent)
	f, err := r.client.read()
	if err != nil || f.Type != codec.CONNACK {
		r.t.Errorf("%s: %v instead of CONNACK (%v)", r.name, f.Type, err)
	}
	r.left = 1 + r.random.IntN(60)
}

func (r *returning) read(want int) {
	r.owned, r.seen, r.next = map[uint16]bool{}, map[string]bool{}, map[string]int{}
	for (len(r.seen) < want || len(r.owned) > 0) && !r.t.Failed() {
		if r.left--; r.left == 0 {
			if r.random.IntN(2) == 0 {
				r.client.abort()
			} // else the new connection takes over
			r.connect()
			continue
		}
		f, err := r.client.read()
		if err != nil {
			r.t.Errorf("%s, with %d of %d: %v", r.name, len(r.seen), want, err)
			return
		}
		r.handle(f)
	}
}

// readOn reads until the connection is closed.
func (r *returning) readOn() {
	for {
		f, err := r.client.read()
		if err != nil {
			return
		}
		r.handle(f)
	}
}

func (r *returning) handle(f codec.Frame) {
	if f.Type == codec.PUBREL {
		id, _ := codec.ParseAck(f, codec.Version311)
		delete(r.owned, id)
		r.answer(codec.PUBCOMP, id)
		return
	}
	p, err := codec.ParsePublish(f, codec.Version311)
	if err != nil || f.Type != codec.PUBLISH {
		r.t.Errorf("%s: %v (%v)", r.name, f.Type, err)
		return
	}
	topic, payload := string(p.Topic), string(p.Payload)
	key := topic + " " + payload
	duplicate := r.owned[p.PacketID]
	switch {
	case p.QoS == codec.QoS2 && duplicate && !p.Dup:
		r.t.Errorf("%s: %s has the Packet Identifier %d, which is in use", r.name, key, p.PacketID)
	case duplicate || p.QoS == codec.QoS1 && r.seen[key] && p.Dup:
	case r.seen[key]:
		r.t.Errorf("%s: %s comes twice", r.name, key)
	case payload != fmt.Sprint(r.next[topic]):
		r.t.Errorf("%s: %s comes, want %d", r.name, key, r.next[topic])
	default:
		r.seen[key] = true
		r.next[topic]++
	}
	if p.QoS == codec.QoS2 {
		r.owned[p.PacketID] = true
		r.answer(codec.PUBREC, p.PacketID)
	} else {
		r.answer(codec.PUBACK, p.PacketID)
	}
}

// answer acknowledges, now and then too late: the connection breaks before.
func (r *returning) answer(kind codec.PacketType, id uint16) {
	if !r.steady && r.random.IntN(30) == 0 {
		r.left = 1
		return
	}
	_, _ = r.client.conn.Write(acks(kind, id)) // a connection that broke is found out by the next read
}

package reactor

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// The books of a broker that runs: publishers at full speed on every loop, and readers that read, stall for a
// while, or reset. For each reader that stays, what was published is what it got and what it lost, to the
// message; for all together matched = delivered + dropped + waiting.
func TestBooksOfARunningBroker(t *testing.T) {
	for _, loops := range []int{1, 3} {
		for policy := range slowPolicies {
			t.Run(fmt.Sprintf("%d loops, %v", loops, policy), func(t *testing.T) { testBooks(t, loops, policy) })
		}
	}
}

func testBooks(t *testing.T, loops int, policy SlowPolicy) {
	s := start(t, func(c *Config) {
		c.Loops, c.SlowPolicy, c.ClientBufferBytes = loops, policy, 32<<10
	})
	const publishers, messages, topics = 4, 1500, 5
	healthy, stalled, resetting := make([]*client, 4), make([]*client, 4), make([]*client, 4)
	for i := range healthy {
		healthy[i] = connect(t, s, fmt.Sprint("healthy-", i))
		stalled[i] = connectNarrow(t, s, fmt.Sprint("stalled-", i))
		resetting[i] = connectNarrow(t, s, fmt.Sprint("resetting-", i))
		for _, c := range []*client{healthy[i], stalled[i], resetting[i]} {
			c.subscribe("books/#")
		}
	}
	var running sync.WaitGroup
	var readers sync.WaitGroup
	var published atomic.Int64
	read := make([]atomic.Int64, len(healthy))
	for i, c := range healthy {
		readers.Go(func() { readBooks(c, publishers*messages, &read[i]) })
	}
	inStep := func() bool { // what is on its way to a healthy reader fits into its socket
		for i := range read {
			if published.Load()-read[i].Load() > 150 {
				return false
			}
		}
		return true
	}
	payload := strings.Repeat("x", 1000)
	for p := range publishers {
		running.Go(func() {
			c := connect(t, s, fmt.Sprint("publisher-", p))
			for n := range messages {
				body := binary.BigEndian.AppendUint32([]byte{byte(p)}, uint32(n))
				c.send(codec.AppendPublish(nil, &codec.Publish{
					Topic: fmt.Appendf(nil, "books/%d", n%topics), Payload: append(body, payload...),
				}))
				published.Add(1)
				for deadline := time.Now().Add(patience); !inStep() && time.Now().Before(deadline); {
					time.Sleep(100 * time.Microsecond)
				}
				if n == messages/2 {
					resetting[p].abort()
				}
			}
			c.ping()
		})
	}
	running.Wait()
	readers.Wait()

	const sent = publishers * messages
	for i, c := range stalled {
		info := booksOf(t, s, fmt.Sprint("stalled-", i))
		if info == nil {
			require.Equal(t, Disconnect, policy, "only that policy cuts it off")
			continue
		}
		got := readStalled(c)
		info = booksOf(t, s, fmt.Sprint("stalled-", i))
		require.EqualValues(t, sent, uint64(got)+info.losses.Total(), "reader %d got %d and lost %v", i, got, info.losses)
		require.EqualValues(t, got, info.delivered)
		require.Zero(t, info.waiting)
		assert.Positive(t, info.losses.Total(), "it was slow enough to lose some")
	}
	for i := range healthy {
		info := booksOf(t, s, fmt.Sprint("healthy-", i))
		require.NotNil(t, info)
		require.EqualValues(t, sent, info.delivered+info.losses.Total())
		require.Zero(t, info.losses.Total(), "it reads")
	}
	for i := range resetting {
		eventually(t, "it is gone", func() bool { return booksOf(t, s, fmt.Sprint("resetting-", i)) == nil })
	}
	eventually(t, "the books balance", func() bool {
		st := s.Stats()
		return st.Matched == st.Delivered+st.Dropped.Total()+uint64(st.WaitingMessages) && st.WaitingMessages == 0
	})
	st := s.Stats()
	assert.GreaterOrEqual(t, st.Matched, uint64(sent*4+sent*4*b2i(policy != Disconnect)))
	assert.LessOrEqual(t, st.Matched, uint64(sent*12))
	assert.Zero(t, st.WaitingBytes+st.Congested)
	assert.Zero(t, s.buffered.Load())
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// readBooks reads that many messages, in order per publisher.
func readBooks(c *client, messages int, read *atomic.Int64) {
	next := map[byte]uint32{}
	for range messages {
		p, err := codec.ParsePublish(c.next(), codec.Version311)
		if !assert.NoError(c.t, err) || !assert.Equal(c.t, next[p.Payload[0]], binary.BigEndian.Uint32(p.Payload[1:])) {
			return
		}
		next[p.Payload[0]]++
		read.Add(1)
	}
}

// readStalled reads what is there up to the answer to a PINGREQ, and then what may have come behind it.
func readStalled(c *client) (messages int) {
	require.NoError(c.t, c.conn.SetReadBuffer(1<<20))
	last := map[string]int64{}
	for range 2 {
		c.send(codec.AppendPingreq(nil))
		for {
			f := c.next()
			if f.Type == codec.PINGRESP {
				break
			}
			p, err := codec.ParsePublish(f, codec.Version311)
			require.NoError(c.t, err)
			order := fmt.Sprint(string(p.Topic), p.Payload[0])
			n := int64(binary.BigEndian.Uint32(p.Payload[1:])) + 1
			require.Greater(c.t, n, last[order], "order per publisher and topic")
			last[order] = n
			messages++
		}
	}
	return messages
}

// books are one reader's.
type books struct {
	losses    Losses
	delivered uint64
	waiting   uint64
}

// booksOf asks the loop of a client for its books, nil when it is not connected.
func booksOf(t testing.TB, s *Server, clientID string) *books {
	t.Helper()
	answers := make(chan *books, len(s.loops))
	for _, l := range s.loops {
		onLoop(t, l, func(l *loop) {
			l.account()
			var found *books
			l.wheel.each(func(c *conn) {
				if c.clientID() == clientID && c.live() {
					found = &books{delivered: c.delivered, waiting: c.messagesWaiting()}
					if c.losses != nil {
						found.losses = *c.losses
					}
				}
			})
			answers <- found
		})
	}
	var found *books
	for range s.loops {
		if b := <-answers; b != nil {
			found = b
		}
	}
	return found
}

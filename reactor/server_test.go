package reactor

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/router"
)

func TestPublishReachesSubscribersOnEveryLoop(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 4 })
	const publishers, subscribers, messages = 8, 24, 500
	readers := make([]*client, subscribers)
	for i := range readers {
		readers[i] = connect(t, s, fmt.Sprint("sub-", i))
		readers[i].subscribe("load/#")
	}
	for p := range publishers {
		go func() {
			c := connect(t, s, fmt.Sprint("pub-", p))
			for n := range messages {
				c.send(codec.AppendPublish(nil, &codec.Publish{
					Topic:   fmt.Appendf(nil, "load/%d", n%7),
					Payload: binary.BigEndian.AppendUint32([]byte{byte(p)}, uint32(n)),
				}))
			}
			c.ping()
		}()
	}
	for i, r := range readers {
		var next [publishers]uint32
		for range publishers * messages {
			p, err := codec.ParsePublish(r.next(), codec.Version311)
			require.NoError(t, err)
			publisher := p.Payload[0]
			require.Equal(t, next[publisher], binary.BigEndian.Uint32(p.Payload[1:]), "reader %d, publisher %d", i, publisher)
			next[publisher]++
		}
	}
	st := s.Stats()
	eventually(t, "delivered", func() bool { return s.Stats().Delivered == publishers*messages*subscribers })
	assert.EqualValues(t, publishers*messages, st.PublishReceived[0])
	assert.Zero(t, st.Dropped.Total())
}

func TestNoGoroutinePerClient(t *testing.T) {
	s := start(t, nil)
	connect(t, s, "first")
	before := runtime.NumGoroutine()
	for i := range 100 {
		connect(t, s, fmt.Sprint("client-", i)).subscribe("a")
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before+5)
}

func TestFullServerAnswersAndCounts(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxClients = 3 })
	for i := range 3 {
		connect(t, s, fmt.Sprint("client-", i))
	}
	turnedAway := dial(t, s)
	turnedAway.sendConnect("client-3")
	assert.Equal(t, codec.ServerUnavailable, turnedAway.expectConnack())
	turnedAway.expectClosed()
	assert.EqualValues(t, 1, s.Stats().RefusedFull)

	// Who comes back while its old connection holds a slot is let in.
	connect(t, s, "client-1").ping()
	eventually(t, "three slots taken", func() bool { return s.Stats().Clients == 3 })

	// And a slot that is free again can be had.
	last := connect(t, s, "client-2")
	last.send(codec.AppendDisconnect(nil))
	last.expectClosed()
	eventually(t, "two slots taken", func() bool { return s.Stats().Clients == 2 })
	connect(t, s, "client-3").ping()
}

func TestSocketsBeyondTheDescriptorsAreClosed(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxClients = 4 }, func(s *Server) { s.limits.Connections = 6 })
	var held []*client
	for range 6 {
		held = append(held, dial(t, s))
	}
	eventually(t, "six sockets", func() bool { return s.Stats().Connections == 6 })
	dial(t, s).expectClosed()
	assert.EqualValues(t, 1, s.Stats().RefusedSockets)
	held[0].conn.Close()
	eventually(t, "room again", func() bool { return s.Stats().Connections == 5 })
	connect(t, s, "late").ping()
}

func TestAuthenticateDecides(t *testing.T) {
	s := start(t, func(c *Config) {
		c.Authenticate = func(p *codec.Connect) codec.ConnackCode {
			switch {
			case !p.HasUserName:
				return codec.NotAuthorized
			case string(p.Password) != "right":
				return codec.BadUserNameOrPassword
			}
			return codec.Accepted
		}
	})
	login := func(user, password string) func(*codec.Connect) {
		return func(p *codec.Connect) {
			p.HasUserName, p.UserName = true, []byte(user)
			p.HasPassword, p.Password = true, []byte(password)
		}
	}
	stranger := dial(t, s)
	stranger.sendConnect("a")
	assert.Equal(t, codec.NotAuthorized, stranger.expectConnack())
	stranger.expectClosed()
	forgetful := dial(t, s)
	forgetful.sendConnect("a", login("u", "wrong"))
	assert.Equal(t, codec.BadUserNameOrPassword, forgetful.expectConnack())
	forgetful.expectClosed()
	connect(t, s, "a", login("u", "right")).ping()
	assert.EqualValues(t, 2, s.Stats().ConnectsRefused)
}

func TestConnectTimeout(t *testing.T) {
	s := start(t, func(c *Config) { c.ConnectTimeout = time.Second })
	silent := dial(t, s)
	slow := dial(t, s) // sends a byte from time to time, which does not help it
	go func() {
		for _, b := range codec.AppendConnect(nil, &codec.Connect{Version: codec.Version311, ClientID: []byte(strings.Repeat("x", 200))}) {
			if _, err := slow.conn.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	silent.expectClosed()
	slow.expectClosed()
	assert.EqualValues(t, 2, s.Stats().ConnectTimeouts)
	assert.Zero(t, s.Stats().Clients)
}

func TestKeepAliveTimeoutPublishesTheWill(t *testing.T) {
	s := start(t, nil)
	watcher := connect(t, s, "watcher")
	watcher.subscribe("will")
	begun := time.Now()
	silent := connect(t, s, "silent", withKeepAlive(1), withWill("will", "gone"))
	assert.Equal(t, "will gone", watcher.expectPublish())
	assert.GreaterOrEqual(t, time.Since(begun), 1500*time.Millisecond, "never early [MQTT-3.1.2-24]")
	silent.expectClosed()
	assert.EqualValues(t, 1, s.Stats().KeepAliveTimeouts)
}

// A reader that stands still costs its limit; what it loses is counted to the message, and
// nobody else waits.
func TestSlowReaderLosesAndIsCounted(t *testing.T) {
	for _, loops := range []int{1, 2} {
		t.Run(fmt.Sprint(loops, " loops"), func(t *testing.T) {
			const limit = 64 << 10
			s := start(t, func(c *Config) { c.Loops, c.ClientBufferBytes = loops, limit })
			stalled := connect(t, s, "stalled")
			require.NoError(t, stalled.conn.SetReadBuffer(4<<10))
			stalled.subscribe("data")
			healthy := connect(t, s, "healthy")
			healthy.subscribe("data")
			publisher := connect(t, s, "publisher")

			const messages = 4000
			payload := strings.Repeat("x", 4000)
			for n := range messages {
				publisher.publish("data", fmt.Sprintf("%04d%s", n, payload))
				if n%50 == 0 {
					publisher.ping()
				}
				require.Equal(t, fmt.Sprintf("data %04d", n), healthy.expectPublish()[:9])
			}
			st := s.Stats()
			require.Positive(t, st.Dropped[ReasonSlow])
			buffered, _ := s.ask(context.Background(), letterPending)
			assert.LessOrEqual(t, buffered, limit+flushBytes+2*len(payload)+2*sendBufferBytes, "the kernel doubles its part")

			// Now it reads: what it gets and what was counted make up all.
			require.NoError(t, stalled.conn.SetReadBuffer(1<<20))
			stalled.send(codec.AppendPingreq(nil))
			received, last := 0, -1
			for {
				f := stalled.next()
				if f.Type == codec.PINGRESP {
					break
				}
				p, err := codec.ParsePublish(f, codec.Version311)
				require.NoError(t, err)
				var n int
				_, err = fmt.Sscanf(string(p.Payload[:4]), "%d", &n)
				require.NoError(t, err)
				require.Greater(t, n, last, "order")
				last = n
				received++
			}
			assert.EqualValues(t, messages, uint64(received)+s.Stats().Dropped[ReasonSlow])
			eventually(t, "the books say the same", func() bool { return s.Stats().Delivered == uint64(messages+received) })
		})
	}
}

func TestMessageLargerThanTheBufferArrives(t *testing.T) {
	s := start(t, func(c *Config) { c.ClientBufferBytes = ClientBufferBytesMin })
	reader := connect(t, s, "reader")
	reader.subscribe("big")
	payload := strings.Repeat("x", 900_000)
	connect(t, s, "writer").publish("big", payload)
	assert.Equal(t, "big "+payload, reader.expectPublish())
}

func TestRepliesThatNobodyReadsEndTheConnection(t *testing.T) {
	s := start(t, func(c *Config) { c.ClientBufferBytes = ClientBufferBytesMin })
	c := connect(t, s, "deaf")
	require.NoError(t, c.conn.SetReadBuffer(4<<10))
	pings := make([]byte, 0, 32<<10)
	for len(pings) < cap(pings) {
		pings = codec.AppendPingreq(pings)
	}
	var err error
	for err == nil {
		_, err = c.conn.Write(pings)
	}
	assert.EqualValues(t, 1, s.Stats().RepliesOverflow)
}

func TestPanicCostsOneConnection(t *testing.T) {
	s := start(t, func(c *Config) {
		c.Authenticate = func(p *codec.Connect) codec.ConnackCode {
			if string(p.ClientID) == "trap" {
				panic("trap")
			}
			return codec.Accepted
		}
	})
	reader := connect(t, s, "reader")
	reader.subscribe("a")
	victim := dial(t, s)
	victim.sendConnect("trap")
	victim.expectClosed()
	connect(t, s, "writer").publish("a", "still here")
	assert.Equal(t, "a still here", reader.expectPublish())
	assert.EqualValues(t, 1, s.Stats().Panics)
	eventually(t, "the socket is gone", func() bool { return s.Stats().Connections == 2 })
}

// Readers reset their connections while they are written to, over and over.
func TestResetInTheMiddleOfWrites(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 2 })
	steady := connect(t, s, "steady")
	steady.subscribe("a")
	stop := make(chan struct{})
	var churn sync.WaitGroup
	for i := range 8 {
		churn.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				c := connect(t, s, fmt.Sprintf("churn-%d-%d", i, n), withWill("a", "will"))
				c.subscribe("a", "b/#")
				c.abort()
			}
		})
	}
	const messages = 3000
	publisher := connect(t, s, "publisher")
	go func() {
		for n := range messages {
			publisher.publish("a", fmt.Sprint(n))
			publisher.publish("b/x", strings.Repeat("x", 1000))
		}
	}()
	for n := 0; n < messages; {
		if got := steady.expectPublish(); got != "a will" {
			require.Equal(t, fmt.Sprint("a ", n), got)
			n++
		}
	}
	close(stop)
	churn.Wait()
	steady.abort()
	publisher.conn.Close()
	eventually(t, "everything is gone", func() bool {
		st := s.Stats()
		return st.Connections == 0 && st.Clients == 0 && st.Subscriptions == 0 && s.clients.Len() == 0
	})
}

func TestShutdownSendsWhatIsQueued(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 2 })
	readers := make([]*client, 10)
	for i := range readers {
		readers[i] = connect(t, s, fmt.Sprint("reader-", i))
		readers[i].subscribe("a")
	}
	publisher := connect(t, s, "publisher")
	const messages = 200
	payload := strings.Repeat("x", 4000)
	for range messages {
		publisher.publish("a", payload)
	}
	publisher.ping()
	done := make(chan int)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- s.Shutdown(ctx)
	}()
	for _, r := range readers {
		for range messages {
			require.Equal(t, "a "+payload, r.expectPublish())
		}
	}
	for _, r := range readers {
		r.expectClosed()
	}
	assert.Zero(t, <-done)
	eventually(t, "nobody listens any more", func() bool {
		c, err := net.DialTimeout("tcp", s.Addr(), time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

func TestShutdownDoesNotWaitForStalledReaders(t *testing.T) {
	s := start(t, nil)
	stalled := connect(t, s, "stalled")
	stalled.subscribe("a")
	publisher := connect(t, s, "publisher")
	for range 100 {
		publisher.publish("a", strings.Repeat("x", 100_000))
	}
	publisher.ping()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // in which loops must come to answer
	defer cancel()
	assert.Positive(t, s.Shutdown(ctx))
}

func TestSecondServerOnThePortIsTold(t *testing.T) {
	s := start(t, nil)
	_, port, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	config := DefaultConfig()
	config.Host = "127.0.0.1"
	_, err = fmt.Sscan(port, &config.Port)
	require.NoError(t, err)
	second, err := New(config)
	require.NoError(t, err)
	assert.ErrorIs(t, second.Run(), ErrInUse)
}

// An IPv4 address means IPv4 alone, an IPv6 address may be written in brackets.
func TestHostDecidesTheAddressFamily(t *testing.T) {
	all4 := start(t, func(c *Config) { c.Host = "0.0.0.0" })
	_, port, err := net.SplitHostPort(all4.Addr())
	require.NoError(t, err)
	_, err = net.Dial("tcp", net.JoinHostPort("::1", port))
	assert.Error(t, err)
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	require.NoError(t, err)
	c.Close()
	start(t, func(c *Config) { c.Host = "[::1]" })
	everywhere := start(t, func(c *Config) { c.Host = "" })
	_, port, err = net.SplitHostPort(everywhere.Addr())
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "::1"} {
		c, err := net.Dial("tcp", net.JoinHostPort(host, port))
		require.NoError(t, err)
		c.Close()
	}
}

func TestRetainedStoreFull(t *testing.T) {
	s := start(t, nil, func(s *Server) { s.retained = router.NewRetained(0, 0) })
	reader := connect(t, s, "reader")
	reader.subscribe("a")
	writer := connect(t, s, "writer")
	writer.send(codec.AppendPublish(nil, &codec.Publish{Topic: []byte("a"), Payload: []byte("v"), Retain: true}))
	assert.Equal(t, "a v", reader.expectPublish(), "delivered all the same")
	assert.EqualValues(t, 1, s.Stats().RetainedRefused)
}

func TestFilterLimits(t *testing.T) {
	s := start(t, nil)
	c := connect(t, s, "greedy")
	many := make([]codec.Subscription, DefaultConfig().SubscribeFiltersMax+2)
	for i := range many {
		many[i].Filter = fmt.Sprint("f/", i)
	}
	many[3].Filter = strings.Repeat("/", codec.MaxTopicLevels)
	c.send(codec.AppendSubscribe(nil, 7, many))
	_, codes, err := codec.ParseSuback(c.next(), codec.Version311)
	require.NoError(t, err)
	for i, code := range codes {
		want := codec.QoS0
		if i == 3 || i >= DefaultConfig().SubscribeFiltersMax {
			want = codec.GrantFailure
		}
		require.Equal(t, byte(want), code, "filter %d", i)
	}
	assert.EqualValues(t, 3, s.Stats().FiltersRefused)
	assert.Equal(t, DefaultConfig().SubscribeFiltersMax-1, s.Stats().Subscriptions)
}

func TestPipelinedBehindATakeover(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 4 })
	watcher := connect(t, s, "watcher")
	watcher.subscribe("state")
	for i := range 50 {
		old := connect(t, s, "same", withWill("state", "offline"))
		c := dial(t, s)
		p := codec.Connect{Version: codec.Version311, CleanSession: true, ClientID: []byte("same")}
		b := codec.AppendConnect(nil, &p)
		b = codec.AppendPublish(b, &codec.Publish{Topic: []byte("state"), Payload: fmt.Appendf(nil, "online %d", i)})
		b = codec.AppendDisconnect(b)
		c.send(b)
		// The old Will comes before the new life begins, on whichever loops they are.
		require.Equal(t, "state offline", watcher.expectPublish())
		require.Equal(t, fmt.Sprint("state online ", i), watcher.expectPublish())
		require.Equal(t, codec.Accepted, c.expectConnack())
		c.expectClosed()
		old.expectClosed()
	}
	assert.GreaterOrEqual(t, s.Stats().Takeovers, uint64(50), "one that is closed and not released yet counts as well")
}

// Many sockets fight for one Client Identifier on all loops. In the end one has it, and each
// loser's Will was published once.
func TestTakeoverStorm(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 4 })
	watcher := connect(t, s, "watcher")
	watcher.subscribe("will")
	const rivals, rounds = 16, 20
	var fight sync.WaitGroup
	for i := range rivals {
		fight.Go(func() {
			for range rounds {
				c := dial(t, s)
				c.sendConnect("same", withWill("will", "lost"))
				if i%4 == 0 {
					c.abort() // some give up at once, parked or not
					continue
				}
				_, _ = c.read() // CONNACK, or closed before it
			}
		})
	}
	fight.Wait()
	final := connect(t, s, "same")
	final.ping()
	eventually(t, "one winner and the watcher", func() bool { return s.Stats().Clients == 2 && s.clients.Len() == 2 })
	st := s.Stats()
	watcher.countPublishes(func(wills int) {
		// Every connection that was accepted has ended, but the final one and the watcher.
		assert.EqualValues(t, st.Connects-2, wills)
	})
}

func TestLogNeverForged(t *testing.T) {
	assert.Equal(t, strings.Repeat("x", 64)+"…", cut(strings.Repeat("x", 100)))
	assert.Equal(t, strings.Repeat("x", 63)+"…", cut(strings.Repeat("x", 63)+"äöü"), "not cut within a character")
	assert.Equal(t, "short", cut("short"))
	assert.Equal(t, "a\ufffdb\ufffdc\ufffd", cut("a\nb\u009bc\u202e"), "no control characters, and nothing that turns text around")
}

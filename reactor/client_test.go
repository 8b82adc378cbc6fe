package reactor

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// patience is how long a test waits for what must happen. Nothing takes that long but a bug.
const patience = 20 * time.Second

// start runs a server on a free port of the loopback until the test ends. Unless the test
// expects panics, a recovered one fails it.
func start(t testing.TB, configure func(*Config), tune ...func(*Server)) *Server {
	t.Helper()
	s, _ := startUntil(t, configure, tune...)
	return s
}

// startUntil is start, for a server that stop ends before the test does.
func startUntil(t testing.TB, configure func(*Config), tune ...func(*Server)) (s *Server, stop func()) {
	t.Helper()
	config := DefaultConfig()
	config.Host, config.Port, config.ConnectRate = "127.0.0.1", 0, 0
	config.Log = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	if configure != nil {
		configure(&config)
	}
	s, err := New(config)
	require.NoError(t, err)
	for _, change := range tune {
		change(s)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run() }()
	select {
	case <-s.Listening():
	case err := <-ended:
		require.NoError(t, err)
	}
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		go s.Shutdown(ctx)
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-ctx.Done():
			t.Error("the server did not stop")
		}
		if !t.Failed() && !expectsPanics(t) {
			require.Zero(t, s.Stats().Panics, "a handler panicked")
		}
	})
	t.Cleanup(stop)
	return s, stop
}

var panicTests = map[string]bool{"TestPanicCostsOneConnection": true}

func expectsPanics(t testing.TB) bool { return panicTests[t.Name()] }

// client is a raw MQTT client: it sends what it is told and reads packet by packet.
type client struct {
	t       testing.TB
	conn    *net.TCPConn
	decoder codec.Decoder
	chunk   []byte
	fresh   bool // chunk was read and the decoder has not seen its end
}

func dial(t testing.TB, s *Server) *client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.Addr(), patience)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn.(*net.TCPConn), chunk: make([]byte, 64<<10)}
}

// connect dials and gets a CONNACK with code 0.
func connect(t testing.TB, s *Server, clientID string, options ...func(*codec.Connect)) *client {
	t.Helper()
	c := dial(t, s)
	c.sendConnect(clientID, options...)
	require.Equal(t, codec.Accepted, c.expectConnack())
	return c
}

func (c *client) sendConnect(clientID string, options ...func(*codec.Connect)) {
	c.t.Helper()
	p := codec.Connect{Version: codec.Version311, CleanSession: true, ClientID: []byte(clientID)}
	for _, option := range options {
		option(&p)
	}
	c.send(codec.AppendConnect(nil, &p))
}

func withWill(topic, payload string) func(*codec.Connect) {
	return func(p *codec.Connect) {
		p.HasWill = true
		p.Will = codec.Will{Topic: []byte(topic), Payload: []byte(payload)}
	}
}

func withKeepAlive(seconds uint16) func(*codec.Connect) {
	return func(p *codec.Connect) { p.KeepAliveSeconds = seconds }
}

func (c *client) send(b []byte) {
	c.t.Helper()
	_, err := c.conn.Write(b)
	require.NoError(c.t, err)
}

func (c *client) publish(topic, payload string) {
	c.t.Helper()
	c.send(codec.AppendPublish(nil, &codec.Publish{Topic: []byte(topic), Payload: []byte(payload)}))
}

// subscribe subscribes and waits for the SUBACK.
func (c *client) subscribe(filters ...string) {
	c.t.Helper()
	var subs []codec.Subscription
	for _, f := range filters {
		subs = append(subs, codec.Subscription{Filter: f})
	}
	c.send(codec.AppendSubscribe(nil, 1, subs))
	require.Equal(c.t, codec.SUBACK, c.next().Type)
}

// ping makes sure that the server has handled all that was sent before.
func (c *client) ping() {
	c.t.Helper()
	c.send(codec.AppendPingreq(nil))
	require.Equal(c.t, codec.PINGRESP, c.next().Type)
}

// countPublishes counts the PUBLISH packets that come before the answer to a PINGREQ.
func (c *client) countPublishes(check func(n int)) {
	c.t.Helper()
	c.send(codec.AppendPingreq(nil))
	for n := 0; ; n++ {
		if c.next().Type == codec.PINGRESP {
			check(n)
			return
		}
	}
}

// next returns the next packet. Its bytes are valid until the following call.
func (c *client) next() codec.Frame {
	c.t.Helper()
	f, err := c.read()
	require.NoError(c.t, err)
	return f
}

func (c *client) read() (codec.Frame, error) {
	for {
		if c.fresh {
			f, ok, err := c.decoder.Next(PacketBytesMax)
			if err != nil || ok {
				return f, err
			}
			c.fresh = false
		}
		if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return codec.Frame{}, err
		}
		n, err := c.conn.Read(c.chunk)
		if err != nil {
			return codec.Frame{}, err
		}
		c.decoder.Feed(c.chunk[:n])
		c.fresh = true
	}
}

func (c *client) expectConnack() codec.ConnackCode {
	c.t.Helper()
	f := c.next()
	require.Equal(c.t, codec.CONNACK, f.Type)
	p, err := codec.ParseConnack(f, codec.Version311)
	require.NoError(c.t, err)
	return p.Code
}

// expectPublish reads one PUBLISH and returns "topic payload".
func (c *client) expectPublish() string {
	c.t.Helper()
	f := c.next()
	require.Equal(c.t, codec.PUBLISH, f.Type)
	p, err := codec.ParsePublish(f, codec.Version311)
	require.NoError(c.t, err)
	return string(p.Topic) + " " + string(p.Payload)
}

// expectClosed reads until the server has closed the connection.
func (c *client) expectClosed() {
	c.t.Helper()
	for {
		_, err := c.read()
		if err == nil {
			continue
		}
		require.False(c.t, errors.Is(err, os.ErrDeadlineExceeded), "the server keeps the connection open")
		return
	}
}

// abort closes with a RST.
func (c *client) abort() {
	_ = c.conn.SetLinger(0)
	c.conn.Close()
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, 5*time.Millisecond, what)
}

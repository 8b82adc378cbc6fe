package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/reactor"
	"mqttd/reactor/admin"
)

// patience is how long a test waits for what must happen. Nothing takes that long but a bug.
const patience = 20 * time.Second

// startBroker runs a broker until the test ends.
func startBroker(t testing.TB, configure func(*reactor.Config)) *reactor.Server {
	t.Helper()
	config := reactor.DefaultConfig()
	config.Host, config.Port, config.Loops = "127.0.0.1", 0, 2
	if configure != nil {
		configure(&config)
	}
	server, err := reactor.New(config)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Run() }()
	select {
	case <-server.Listening():
	case err := <-ended:
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		go server.Shutdown(ctx)
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-ctx.Done():
			t.Error("the broker did not stop")
		}
	})
	return server
}

// site is an Admin that runs.
type site struct {
	t    testing.TB
	base string
}

func startAdmin(t testing.TB, source admin.Source, change func(*admin.Options)) site {
	t.Helper()
	options := admin.Options{Address: ":0", Top: 10, Version: "v1", Log: zerolog.Nop()}
	if change != nil {
		change(&options)
	}
	a, err := admin.New(source, options)
	require.NoError(t, err)
	return serveAdmin(t, a)
}

func serveAdmin(t testing.TB, a *admin.Admin) site {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- a.Serve() }()
	t.Cleanup(func() {
		require.NoError(t, a.Close())
		require.NoError(t, <-served)
	})
	return site{t, "http://" + a.Addr()}
}

func (s site) get(path string) (status int, body string) {
	s.t.Helper()
	client := http.Client{Timeout: patience}
	response, err := client.Get(s.base + path)
	require.NoError(s.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response.StatusCode, string(text)
}

// getJSON expects an answer with a status.
func (s site) getJSON(path string, status int) (answer map[string]any) {
	s.t.Helper()
	got, body := s.get(path)
	require.Equal(s.t, status, got, body)
	require.NoError(s.t, json.Unmarshal([]byte(body), &answer), body)
	return answer
}

func connectPacket(clientID string) []byte {
	return codec.AppendConnect(nil,
		&codec.Connect{Version: codec.Version311, CleanSession: true, ClientID: []byte(clientID)})
}

// connect connects a client that subscribes to a filter, and waits for the answers.
func connect(t testing.TB, server *reactor.Server, clientID, filter string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", server.Addr(), patience)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	packets := codec.AppendSubscribe(connectPacket(clientID), 1, []codec.Subscription{{Filter: filter}})
	_, err = c.Write(packets)
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	_, err = io.ReadFull(c, make([]byte, 4+5))
	require.NoError(t, err)
	return c
}

func publish(t testing.TB, c net.Conn, topic, payload string) {
	t.Helper()
	_, err := c.Write(codec.AppendPublish(nil, &codec.Publish{Topic: []byte(topic), Payload: []byte(payload)}))
	require.NoError(t, err)
}

func TestHealthAndReadiness(t *testing.T) {
	s := startAdmin(t, startBroker(t, nil), nil)
	for _, path := range []string{"/healthz", "/readyz"} {
		status, body := s.get(path)
		assert.Equal(t, 200, status)
		assert.Equal(t, "ok\n", body)
	}
}

// A loop that stands still costs its clients' part of the answers, and nobody else's patience.
func TestAdminAnswersWhileALoopStandsStill(t *testing.T) {
	stuck, release := make(chan struct{}), make(chan struct{})
	server := startBroker(t, func(c *reactor.Config) {
		c.Authenticate = func(p *codec.Connect) codec.ConnackCode {
			if string(p.ClientID) == "trap" { // this is on a loop
				close(stuck)
				<-release
			}
			return codec.Accepted
		}
	})
	s := startAdmin(t, server, nil)
	c, err := net.Dial("tcp", server.Addr())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write(connectPacket("trap"))
	require.NoError(t, err)
	<-stuck
	begun := time.Now()
	status, body := s.get("/healthz")
	assert.Equal(t, 503, status)
	assert.Regexp(t, `^loop [01] does not answer: context deadline exceeded\n$`, body)
	assert.Less(t, time.Since(begun), patience/2)
	t.Logf("/healthz told after %v", time.Since(begun).Round(time.Millisecond))
	status, body = s.get("/metrics")
	assert.Equal(t, 200, status)
	assert.Contains(t, body, "\nmqttd_connections 1\n")
	waits := regexp.MustCompile(`(?m)^mqttd_loop_turn_seconds\{loop="[01]"\} [1-9]`)
	require.Eventually(t, func() bool {
		_, body := s.get("/metrics")
		return waits.MatchString(body)
	}, patience, 10*time.Millisecond, "its tick waits for a second")
	assert.Contains(t, s.getJSON("/api/v1/losses", 503)["error"], "does not answer")
	status, _ = s.get("/readyz")
	assert.Equal(t, 200, status)
	close(release)
	require.Eventually(t, func() bool {
		status, _ := s.get("/healthz")
		return status == 200
	}, patience, 10*time.Millisecond)
}

func TestClientsInPages(t *testing.T) {
	server := startBroker(t, nil)
	s := startAdmin(t, server, nil)
	assert.Equal(t, map[string]any{"clients": []any{}, "next": nil}, s.getJSON("/api/v1/clients", 200))
	for _, id := range []string{"anna", "ben", "cora"} {
		connect(t, server, id, "a/#")
	}
	page := s.getJSON("/api/v1/clients?limit=2", 200)
	require.Len(t, page["clients"], 2)
	first := page["clients"].([]any)[0].(map[string]any)
	assert.Equal(t, "anna", first["client_id"])
	assert.Equal(t, map[string]any{"messages": 0.0, "bytes": 0.0}, first["waiting"])
	assert.NotContains(t, first, "kernel")
	assert.NotContains(t, first, "verdict")
	connectedAt, err := time.Parse(time.RFC3339, first["connected_at"].(string))
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), connectedAt, patience)
	assert.Equal(t, 1.0, page["next"])
	page = s.getJSON("/api/v1/clients?limit=2&after=1", 200)
	require.Len(t, page["clients"], 1)
	assert.Equal(t, "cora", page["clients"].([]any)[0].(map[string]any)["client_id"])
	assert.Nil(t, page["next"])
	for _, bad := range []string{"limit=0", "limit=1001", "limit=x", "limit=", "after=-2", "after=x",
		"after=99999999999999999999"} {
		assert.Contains(t, s.getJSON("/api/v1/clients?"+bad, 400)["error"], bad[:5])
	}
}

// A client that is away is shown with what waits for it.
func TestAbsentClient(t *testing.T) {
	server := startBroker(t, func(c *reactor.Config) { c.QueuedMessagesMax = 3 })
	s := startAdmin(t, server, nil)
	away, err := net.DialTimeout("tcp", server.Addr(), patience)
	require.NoError(t, err)
	packets := codec.AppendConnect(nil, &codec.Connect{Version: codec.Version311, ClientID: []byte("away")})
	packets = codec.AppendSubscribe(packets, 1, []codec.Subscription{{Filter: "a", QoS: codec.QoS1}})
	_, err = away.Write(codec.AppendDisconnect(packets))
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, away)
	require.NoError(t, err)
	require.NoError(t, away.Close())
	require.Eventually(t, func() bool { return server.Stats().Sessions == 1 }, patience, time.Millisecond)
	publisher := connect(t, server, "publisher", "b")
	for id := range uint16(5) {
		_, err := publisher.Write(codec.AppendPublish(nil, &codec.Publish{
			Topic: []byte("a"), QoS: codec.QoS1, PacketID: id + 1,
		}))
		require.NoError(t, err)
		_, err = io.ReadFull(publisher, make([]byte, 4))
		require.NoError(t, err)
	}
	client := s.getJSON("/api/v1/clients/away", 200)
	assert.Equal(t, "absent", client["state"])
	leftAt, err := time.Parse(time.RFC3339, client["left_at"].(string))
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), leftAt, patience)
	assert.Equal(t, 3.0, client["waiting"].(map[string]any)["messages"])
	assert.Equal(t, map[string]any{"queue_full": 2.0}, client["dropped"])
	assert.Equal(t, 5.0, client["matched"])
	for _, field := range []string{"remote", "loop", "proto", "keepalive", "connected_at", "congested", "kernel", "verdict"} {
		assert.NotContains(t, client, field)
	}
	list := s.getJSON("/api/v1/clients", 200)["clients"].([]any)
	require.Len(t, list, 2)
	listed := list[0].(map[string]any)
	listed["left_at"] = client["left_at"] // rounded from nearly the same
	assert.Equal(t, client, listed)
	loss := map[string]any{"client_id": "away", "dropped": map[string]any{"queue_full": 2.0}, "lost": 2.0}
	assert.Equal(t, []any{loss}, s.getJSON("/api/v1/losses", 200)["top"])
	_, metrics := s.get("/metrics")
	assert.Regexp(t, `(?m)^mqttd_top_client_waiting_bytes\{client_id="away"\} [1-9]`, metrics)
}

// A Client Identifier is any text.
func TestClientByIdentifier(t *testing.T) {
	server := startBroker(t, nil)
	s := startAdmin(t, server, nil)
	for _, id := range []string{"anna", "a/b", "a//b", "..", "a/../b", "50%", "%41", "ä ?#&=+", `"<>\`, "a/"} {
		connect(t, server, id, "a")
		assert.Equal(t, id, s.getJSON("/api/v1/clients/"+url.PathEscape(id), 200)["client_id"])
	}
	assert.Equal(t, "a//b", s.getJSON("/api/v1/clients/a//b", 200)["client_id"], "slashes need not be encoded")
	anna := s.getJSON("/api/v1/clients/anna", 200)
	for _, field := range []string{"slot", "remote", "loop", "proto", "keepalive", "connected_at", "filters",
		"matched", "delivered", "dropped", "waiting", "congested", "kernel", "verdict", "verdict_why"} {
		assert.Contains(t, anna, field)
	}
	assert.Equal(t, "connected", anna["state"])
	assert.NotContains(t, anna, "left_at")
	assert.Equal(t, "healthy", anna["verdict"])
	for _, field := range []string{"rtt_us", "rtt_var_us", "retransmits", "unacked_bytes", "send_queue_bytes",
		"receiver_limited_ms", "sender_limited_ms", "busy_ms"} {
		assert.Contains(t, anna["kernel"], field)
	}
	assert.Equal(t, map[string]any{"error": `no client "ann" is connected, or has a session`}, s.getJSON("/api/v1/clients/ann", 404))
	s.getJSON("/api/v1/clients/", 404)
	s.getJSON("/api/v1/clients/A", 404)
}

// The ledger and the metrics say what happened to each message.
func TestLossesAreTold(t *testing.T) {
	server := startBroker(t, func(c *reactor.Config) { c.ClientBufferBytes = reactor.ClientBufferBytesMin })
	s := startAdmin(t, server, nil)
	stalled := connect(t, server, "stalled", "data").(*net.TCPConn)
	require.NoError(t, stalled.SetReadBuffer(4<<10))
	publisher := connect(t, server, "publisher", "other")
	payload := strings.Repeat("x", 50_000)
	require.Eventually(t, func() bool {
		publish(t, publisher, "data", payload)
		st := server.Stats()
		return st.Dropped.Total() >= 3
	}, patience, time.Millisecond)
	var ledger map[string]any
	require.Eventually(t, func() bool {
		ledger = s.getJSON("/api/v1/losses", 200)
		top, _ := ledger["top"].([]any)
		return len(top) == 1
	}, patience, 10*time.Millisecond)
	loser := ledger["top"].([]any)[0].(map[string]any)
	assert.Equal(t, "stalled", loser["client_id"])
	assert.GreaterOrEqual(t, loser["lost"], 3.0)
	sum := 0.0
	for _, n := range loser["dropped"].(map[string]any) {
		sum += n.(float64)
	}
	assert.Equal(t, loser["lost"], sum)
	assert.NotEmpty(t, ledger["dropped"])
	_, metrics := s.get("/metrics")
	assert.Regexp(t, `(?m)^mqttd_top_client_lost\{client_id="stalled"\} [0-9]+$`, metrics)
	assert.Regexp(t, `(?m)^mqttd_deliveries_dropped_total\{qos="0",reason="slow"\} [0-9]+$`, metrics)
	stalled.Close() // or the stop would wait for it
}

func TestErrorsAreJSON(t *testing.T) {
	s := startAdmin(t, startBroker(t, nil), nil)
	assert.Equal(t, map[string]any{"error": "no such page: /api/v2"}, s.getJSON("/api/v2", 404))
	s.getJSON("/debug/pprof/", 404)
	for _, path := range []string{"/api/v1/clients", "/api/v1/clients/anna", "/api/v1/losses", "/metrics", "/healthz"} {
		response, err := http.Post(s.base+path, "text/plain", strings.NewReader("x"))
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, 405, response.StatusCode)
		assert.Equal(t, "GET, HEAD", response.Header.Get("Allow"))
		assert.Contains(t, string(body), `{"error":"only GET`)
	}
}

func TestProfilesBehindASwitch(t *testing.T) {
	s := startAdmin(t, startBroker(t, nil), func(o *admin.Options) { o.Pprof = true })
	status, body := s.get("/debug/pprof/goroutine?debug=1")
	assert.Equal(t, 200, status)
	assert.Contains(t, body, "goroutine profile")
	status, _ = s.get("/debug/pprof/profile?seconds=1") // longer than nothing: the deadline is the profile's own
	assert.Equal(t, 200, status)
}

func TestAddress(t *testing.T) {
	server := startBroker(t, nil)
	a, err := admin.New(server, admin.Options{Address: ":0"})
	require.NoError(t, err)
	assert.True(t, a.OnLoopback())
	assert.True(t, strings.HasPrefix(a.Addr(), "127.0.0.1:"))
	_, err = admin.New(server, admin.Options{Address: a.Addr()})
	assert.ErrorContains(t, err, "address already in use")
	require.NoError(t, a.Close(), "without Serve")
	open, err := admin.New(server, admin.Options{Address: "0.0.0.0:0"})
	require.NoError(t, err)
	assert.False(t, open.OnLoopback())
	require.NoError(t, open.Close())
}

// Those who hold a connection for nothing lose it, those too who announce a body and never send it.
func TestUnsentBodiesHoldNobodyUp(t *testing.T) {
	a, err := admin.New(startBroker(t, nil), admin.Options{Address: ":0"})
	require.NoError(t, err)
	a.SetReadTimeout(100 * time.Millisecond)
	s := serveAdmin(t, a)
	for range admin.ConnectionsMax {
		c, err := net.Dial("tcp", a.Addr())
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte("GET /readyz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"))
		require.NoError(t, err)
	}
	status, _ := s.get("/readyz")
	assert.Equal(t, 200, status)
}

// On the loopback a name that was made to lead there reads nothing.
func TestHostsOnTheLoopback(t *testing.T) {
	server := startBroker(t, nil)
	ask := func(s site, host string) (status int, body string) {
		request, err := http.NewRequest(http.MethodGet, s.base+"/api/v1/losses", nil)
		require.NoError(t, err)
		request.Host = host
		response, err := (&http.Client{Timeout: patience}).Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(text)
	}
	s := startAdmin(t, server, func(o *admin.Options) { o.Pprof = true })
	for _, host := range []string{"127.0.0.1:9883", "[::1]:9883", "[::1]", "10.0.0.1", "localhost", "LocalHost:80"} {
		status, _ := ask(s, host)
		assert.Equal(t, 200, status, host)
	}
	for _, host := range []string{"evil.example", "evil.example:9883", "localhost.evil.example", "127.0.0.1.evil.com"} {
		status, body := ask(s, host)
		assert.Equal(t, 403, status, host)
		assert.Contains(t, body, `{"error":"`)
	}
	status, _ := ask(startAdmin(t, server, func(o *admin.Options) { o.Address = "0.0.0.0:0" }), "broker.example")
	assert.Equal(t, 200, status, "anybody may reach it")
}

func TestOptionsValidate(t *testing.T) {
	for _, address := range []string{"", ":9883", "127.0.0.1:0", "[::1]:9883", "localhost:9883"} {
		o := admin.Options{Address: address, Top: admin.TopMax}
		assert.NoError(t, o.Validate(), address)
	}
	for _, address := range []string{"9883", "localhost", ":x", ":-1", ":65536", "::1:9883"} {
		o := admin.Options{Address: address}
		assert.ErrorContains(t, o.Validate(), "want host:port", address)
	}
	o := admin.Options{Pprof: true, Top: -1}
	assert.ErrorContains(t, o.Validate(), "pprof")
	assert.ErrorContains(t, o.Validate(), "top -1")
}

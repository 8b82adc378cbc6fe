package reactor

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// reconfigure changes the configuration in force and requires that nothing needs a restart.
func reconfigure(t *testing.T, s *Server, change func(*Config)) {
	t.Helper()
	c := *s.current.config
	change(&c)
	restart, err := s.Reconfigure(c)
	require.NoError(t, err)
	require.Empty(t, restart)
}

// Every field is in the list of settings, but for those that are no data.
func TestSettingsAreAllFields(t *testing.T) {
	listed := map[any]bool{}
	c, names := DefaultConfig(), map[string]bool{}
	for _, setting := range settings {
		listed[setting.field(&c)] = true
		require.False(t, names[setting.flag], setting.flag)
		names[setting.flag] = true
	}
	var fields func(v reflect.Value)
	fields = func(v reflect.Value) {
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Name; {
			case name == "Version" || name == "Authenticate" || name == "Log":
			case v.Field(i).Kind() == reflect.Struct:
				fields(v.Field(i))
			default:
				assert.True(t, listed[v.Field(i).Addr().Interface()], "%s is not in settings", name)
			}
		}
	}
	fields(reflect.ValueOf(&c).Elem())
}

// Each setting on its own: it is taken, or it is named and stays.
func TestReconfigureTakesOrNamesEachSetting(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops, c.DataDir = 2, t.TempDir() })
	for _, setting := range settings {
		before := *s.current.config
		c := before
		switch field := setting.field(&c).(type) {
		case *int:
			*field = max(*field-1, 1-*field) // 1 when it was 0
		case *string:
			*field = "always" // which is right for sync, and another host or directory
		case *time.Duration:
			*field += time.Second
		case *SlowPolicy:
			*field = Conflate
		default:
			t.Fatalf("%s: %T", setting.flag, field)
		}
		if setting.flag == "total-buffer" || setting.flag == "total-queue" {
			*setting.field(&c).(*int) = ClientBufferBytesMin
		}
		require.NotEqual(t, reflect.ValueOf(setting.field(&before)).Elem().Interface(),
			reflect.ValueOf(setting.field(&c)).Elem().Interface(), setting.flag)
		restart, err := s.Reconfigure(c)
		require.NoError(t, err, setting.flag)
		after := s.current.config
		if setting.live {
			assert.Empty(t, restart, setting.flag)
			assert.Equal(t, setting.field(&c), setting.field(after), setting.flag)
			continue
		}
		assert.Equal(t, []string{setting.flag}, restart)
		assert.Equal(t, setting.field(&before), setting.field(after), setting.flag)
	}
	for _, l := range s.loops {
		assert.Same(t, s.current.config, ask(t, s, l, func(l *loop) *Config { return l.config }))
	}
	assert.Contains(t, LiveSettings(), "max-packet-size")
	assert.NotContains(t, LiveSettings(), "port")
}

// ask puts a question to one loop.
func ask[T any](t *testing.T, s *Server, l *loop, question func(*loop) T) T {
	t.Helper()
	answer, err := queryOne(t.Context(), s, l, question)
	require.NoError(t, err)
	return answer
}

func TestReconfigureChangesWhatClientsMay(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 2 })
	c := connect(t, s, "c")
	c.subscribe("a", "b")

	reconfigure(t, s, func(c *Config) { c.FiltersMax = 2 })
	c.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "c"}}))
	assert.Equal(t, []byte{0, 1, byte(codec.GrantFailure)}, c.next().Body)

	reconfigure(t, s, func(c *Config) { c.ClientIDBytesMax = 23 })
	long := dial(t, s)
	long.sendConnect(strings.Repeat("x", 24))
	assert.Equal(t, codec.IdentifierRejected, long.expectConnack())

	reconfigure(t, s, func(c *Config) { c.RetainedMessagesMax = 1 })
	for _, topic := range []string{"first", "second"} {
		c.send(codec.AppendPublish(nil, &codec.Publish{Topic: []byte(topic), Payload: []byte("v"), Retain: true}))
	}
	c.ping()
	assert.EqualValues(t, 1, s.Stats().RetainedRefused)

	reconfigure(t, s, func(c *Config) { c.TotalBufferBytes = 5 << 20 })
	assert.Equal(t, 5<<20, s.Limits().TotalBufferBytes)

	reconfigure(t, s, func(c *Config) { c.TotalQueueBytes = 6 << 20 })
	assert.Equal(t, 6<<20, s.Limits().TotalQueueBytes)

	c.publish("a", strings.Repeat("x", 500))
	c.next()
	reconfigure(t, s, func(c *Config) { c.MaxPacketBytes = 500 })
	c.publish("a", strings.Repeat("x", 500))
	c.expectClosed()

	reconfigure(t, s, func(c *Config) { c.ConnectTimeout = time.Second })
	dial(t, s).expectClosed()
}

func TestReconfigureChangesTheWindow(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxInflight = 1 })
	reader, publisher := connect(t, s, "reader"), connect(t, s, "publisher")
	reader.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a", QoS: codec.QoS1}}))
	require.Equal(t, codec.SUBACK, reader.next().Type)
	publish := func(id uint16) {
		publisher.send(codec.AppendPublish(nil, &codec.Publish{Topic: []byte("a"), Payload: []byte{'0' + byte(id)}, QoS: codec.QoS1, PacketID: id}))
		require.Equal(t, codec.PUBACK, publisher.next().Type)
	}
	publish(1)
	publish(2)
	require.Equal(t, "a 1", reader.expectPublish())
	reader.ping() // the second one waits
	reconfigure(t, s, func(c *Config) { c.MaxInflight = 3 })
	assert.Equal(t, "a 2", reader.expectPublish())
	publish(3)
	assert.Equal(t, "a 3", reader.expectPublish())
	reconfigure(t, s, func(c *Config) { c.QueuedMessagesMax = 1 })
	publish(4)
	publish(5)
	reader.ping()
	assert.EqualValues(t, 1, s.Stats().Above[codec.QoS1-1].Dropped[ReasonQueueFull])
}

// An age is not an amount: sessions that are older than a lower one end.
func TestReconfigureChangesTheExpiryOfSessions(t *testing.T) {
	s := start(t, nil)
	connect(t, s, "away", func(p *codec.Connect) { p.CleanSession = false }).abort()
	eventually(t, "it is away", func() bool { return s.absent.Len() == 1 })
	later := time.Now().Add(2 * time.Hour)
	s.expireSessions(later)
	require.Equal(t, 1, s.absent.Len())
	reconfigure(t, s, func(c *Config) { c.SessionExpiry = time.Hour })
	s.expireSessions(later)
	assert.Zero(t, s.absent.Len())
}

// The acceptor lets one connection in that it was waiting for already, and then one an hour.
func TestReconfigureChangesTheRateOfConnections(t *testing.T) {
	s := start(t, nil)
	reconfigure(t, s, func(c *Config) { c.ConnectRate, c.ConnectBurst, c.ConnectTimeout = 1, 1, time.Second })
	eventually(t, "clients are turned away", func() bool {
		dial(t, s)
		return s.Stats().RefusedRate > 0
	})
	reconfigure(t, s, func(c *Config) { c.ConnectRate = 0 })
	for i := range 20 {
		connect(t, s, fmt.Sprint("client-", i))
	}
}

func TestReconfigureTurnsSysOnAndOff(t *testing.T) {
	s := start(t, func(c *Config) { c.SysInterval = 0 })
	reader := connect(t, s, "reader")
	reader.subscribe("$SYS/broker/uptime")
	reconfigure(t, s, func(c *Config) { c.SysInterval = time.Hour })
	assert.Regexp(t, `uptime \d+ seconds`, reader.expectPublish())
	eventually(t, "a round", func() bool { return s.sys.retained.Len() == len(sysFormats()) })
	reconfigure(t, s, func(c *Config) { c.SysInterval = 0 })
	assert.Equal(t, "$SYS/broker/uptime ", reader.expectPublish(), "removed")
	eventually(t, "nothing is left", func() bool { return s.sys.retained.Len() == 0 })
}

func TestReconfigureChangesTheLogRate(t *testing.T) {
	s := start(t, func(c *Config) { c.LogLinesPerSecond = 1 })
	reconfigure(t, s, func(c *Config) { c.LogLinesPerSecond = 7 })
	var n lineLimit
	for i := range 9 {
		assert.Equal(t, i < 7, s.mayLog(&n))
	}
	assert.EqualValues(t, 2, s.newSecond(&n))
}

// A reader that is behind while the policy changes gets a topic's messages in order: one that takes another's place
// does not overtake those that came under another policy.
func TestReconfigureOfTheSlowPolicyKeepsOrder(t *testing.T) {
	s, l, publisher, slow := policyServer(t, Conflate)
	n := 0
	for _, policy := range []SlowPolicy{Conflate, DropNewest, Conflate, DropOldest, Conflate} {
		c := *l.config
		c.SlowPolicy = policy
		l.reconfigure(&c)
		for range map[bool]int{true: 10, false: 3}[policy == Conflate] {
			n++
			l.round(publisher, numbered("a/x", n, n))
		}
	}
	slow.readAll()
	requireBalance(t, s, slow)
	last := 0
	for _, name := range slow.got {
		var n int
		_, err := fmt.Sscanf(name, "a/x %d", &n)
		require.NoError(t, err)
		require.Greater(t, n, last, "%v", slow.got)
		last = n
	}
	assert.Equal(t, n, last, "the newest arrives")
	assert.Contains(t, slow.got, "a/x 11", "what came under another policy")
}

func TestReconfigureRefusesAsAWhole(t *testing.T) {
	config := DefaultConfig()
	s, err := New(config)
	require.NoError(t, err)
	_, err = s.Reconfigure(config)
	assert.ErrorIs(t, err, errNotListening)

	s = start(t, nil)
	before := s.current.config
	config = *before
	config.FiltersMax, config.Loops, config.ConnectBurst = 1, 0, -1
	restart, err := s.Reconfigure(config)
	assert.ErrorContains(t, err, "loops 0: want 1 to 256\nconnect-burst -1: want 1 to")
	assert.Empty(t, restart)
	assert.Same(t, before, s.current.config)
}

func TestReconfigureOfAServerThatStopped(t *testing.T) {
	config := DefaultConfig()
	config.Host, config.Port = "127.0.0.1", 0
	s, err := New(config)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Run() }()
	<-s.Listening()
	s.Shutdown(t.Context())
	require.NoError(t, <-ended)
	_, err = s.Reconfigure(config)
	assert.ErrorIs(t, err, ErrStopped)
}

// Configurations change from two goroutines under load: the race detector looks on, and each message meets one
// configuration or the other.
func TestReconfigureUnderLoad(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 2 })
	reader := connect(t, s, "reader")
	reader.subscribe("load")
	var stop atomic.Bool
	var changing sync.WaitGroup
	for i := range 2 {
		base := DefaultConfig()
		base.Host, base.Port, base.Loops = s.config.Host, s.config.Port, s.config.Loops
		changing.Go(func() {
			for n := 0; !stop.Load(); n++ {
				c := base
				c.SlowPolicy = SlowPolicy(n % int(slowPolicies))
				c.MaxPacketBytes, c.ClientBufferBytes = 2000+n%3, 64<<10+i
				c.ConnectRate, c.SysInterval = 1000*(n%2), time.Duration(n%2)*time.Hour
				c.LogLinesPerSecond, c.RetainedMessagesMax = 1+n%5, n%3
				restart, err := s.Reconfigure(c)
				if !assert.NoError(t, err) || !assert.Empty(t, restart) {
					return
				}
			}
		})
	}
	publisher := connect(t, s, "publisher")
	for i := range 2000 {
		publisher.publish("load", fmt.Sprint(i))
		require.Equal(t, fmt.Sprint("load ", i), reader.expectPublish())
		if i%100 == 0 {
			connect(t, s, fmt.Sprint("more-", i)).conn.Close()
		}
	}
	stop.Store(true)
	changing.Wait()
}

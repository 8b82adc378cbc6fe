package reactor

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"time"
)

// settings lists the fields of Config that are data, by the names of their flags. Those that are live can
// change while a server runs: loops read them through their view of the configuration, or others have them as
// atomics or by letter. Not in the list are Version, Authenticate and Log, which stay what New was given.
var settings = []struct {
	flag  string
	live  bool
	field func(*Config) any // a pointer to the field
}{
	{"host", false, func(c *Config) any { return &c.Host }},
	{"port", false, func(c *Config) any { return &c.Port }},
	{"loops", false, func(c *Config) any { return &c.Loops }},
	{"max-clients", false, func(c *Config) any { return &c.MaxClients }}, // the table of slots is made once
	{"max-packet-size", true, func(c *Config) any { return &c.MaxPacketBytes }},
	{"connect-timeout", true, func(c *Config) any { return &c.ConnectTimeout }},
	{"connect-rate", true, func(c *Config) any { return &c.ConnectRate }},
	{"connect-burst", true, func(c *Config) any { return &c.ConnectBurst }},
	{"max-connect-size", true, func(c *Config) any { return &c.ConnectBytesMax }},
	{"max-client-id", true, func(c *Config) any { return &c.ClientIDBytesMax }},
	{"max-will-size", true, func(c *Config) any { return &c.WillBytesMax }},
	{"client-buffer", true, func(c *Config) any { return &c.ClientBufferBytes }},
	{"total-buffer", true, func(c *Config) any { return &c.TotalBufferBytes }},
	{"slow-policy", true, func(c *Config) any { return &c.SlowPolicy }},
	{"stall-timeout", true, func(c *Config) any { return &c.StallTimeout }},
	{"max-topic-length", false, func(c *Config) any { return &c.Topics.Bytes }}, // the router and its caches
	{"max-topic-levels", false, func(c *Config) any { return &c.Topics.Levels }},
	{"max-filters", true, func(c *Config) any { return &c.FiltersMax }},
	{"max-subscribe-filters", true, func(c *Config) any { return &c.SubscribeFiltersMax }},
	{"max-retained", true, func(c *Config) any { return &c.RetainedMessagesMax }},
	{"max-retained-bytes", true, func(c *Config) any { return &c.RetainedBytesMax }},
	{"max-inflight", true, func(c *Config) any { return &c.MaxInflight }},
	{"max-queued-messages", true, func(c *Config) any { return &c.QueuedMessagesMax }},
	{"max-queued-bytes", true, func(c *Config) any { return &c.QueuedBytesMax }},
	{"total-queue", true, func(c *Config) any { return &c.TotalQueueBytes }},
	{"max-sessions", false, func(c *Config) any { return &c.SessionsMax }}, // they have slots too
	{"session-expiry", true, func(c *Config) any { return &c.SessionExpiry }},
	{"data-dir", false, func(c *Config) any { return &c.DataDir }},
	{"sync", false, func(c *Config) any { return &c.Sync }},
	{"sync-interval", false, func(c *Config) any { return &c.SyncInterval }},
	{"log-rate", true, func(c *Config) any { return &c.LogLinesPerSecond }},
	{"sys-interval", true, func(c *Config) any { return &c.SysInterval }},
}

// current is the configuration in force of a server whose Config may change.
type current struct {
	mu     sync.Mutex
	config *Config // guarded by mu; what it points to is immutable
}

// Reconfigure puts a configuration in the place of the one in force, as far as that can be done while the
// server runs, and returns the flags of the settings that differ and need a restart; they stay as they are.
// An error lists the faults of the configuration, of which nothing is taken then, or says that the server
// does not run. Any goroutine but a loop may call it once Listening is closed. It returns when every loop has
// the new configuration: each takes it between two packets.
//
// A limit that is lowered takes effect for what comes: nobody is closed and nothing is thrown away because
// there is more already. What is there leaves in its own time. The exception is SessionExpiry, which is an age: the
// Sessions of clients that have been away for longer end with what is queued, within seconds.
func (s *Server) Reconfigure(c Config) (restart []string, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	select {
	case <-s.listening:
	default:
		return nil, errNotListening
	}
	s.current.mu.Lock()
	defer s.current.mu.Unlock()
	before, after := s.current.config, *s.current.config
	for _, setting := range settings {
		was, is := reflect.ValueOf(setting.field(&after)).Elem(), reflect.ValueOf(setting.field(&c)).Elem()
		switch {
		case was.Equal(is):
		case setting.live:
			was.Set(is)
		default:
			restart = append(restart, setting.flag)
		}
	}
	if err := s.distribute(before, &after); err != nil {
		return nil, err
	}
	s.current.config = &after
	return restart, nil
}

// distribute gives a configuration to all who work by it.
func (s *Server) distribute(before, after *Config) error {
	s.apply(after)
	s.retained.SetLimits(after.RetainedMessagesMax, after.RetainedBytesMax)
	s.acceptor.pacing.Store(pacingOf(after))
	if after.SysInterval != before.SysInterval {
		s.sys.setInterval(after.SysInterval)
	}
	taken := make(chan struct{}, len(s.loops))
	for _, l := range s.loops {
		l.post(letter{kind: letterCall, call: func() {
			defer func() { taken <- struct{}{} }()
			l.reconfigure(after)
		}})
	}
	for range s.loops {
		select {
		case <-taken:
		case <-s.stopped:
			return ErrStopped
		}
	}
	return nil
}

// apply sets what any goroutine may load.
func (s *Server) apply(c *Config) {
	s.lines.perSecond.Store(int64(c.LogLinesPerSecond))
	s.bufferedMax.Store(int64(orQuarter(c.TotalBufferBytes)))
	s.queuedMax.Store(int64(orQuarter(c.TotalQueueBytes)))
	s.expiry.Store(int64(c.SessionExpiry))
}

// reconfigure takes a configuration over. No handler is at work: it is called where letters are opened.
func (l *loop) reconfigure(c *Config) {
	if c.SlowPolicy != l.config.SlowPolicy { // another policy does not keep track of each topic's newest message
		l.wheel.each(func(c *conn) {
			c.backlog.topics = nil
			if c.replay != nil {
				c.replay.live.topics = nil
			}
		})
	}
	wider := c.MaxInflight > l.config.MaxInflight
	l.config = c
	if wider { // who waits for an acknowledgement need not any more
		l.wheel.each(l.goOn)
	}
}

// setInterval changes the time between rounds, the next of which comes at once. One goroutine at a time may call it.
func (t *sysTree) setInterval(interval time.Duration) {
	select {
	case <-t.interval: // one that was not looked at yet
	default:
	}
	t.interval <- interval
}

// LiveSettings returns the flags of the settings that Reconfigure can change, sorted.
func LiveSettings() (flags []string) {
	for _, setting := range settings {
		if setting.live {
			flags = append(flags, setting.flag)
		}
	}
	slices.Sort(flags)
	return flags
}

var errNotListening = errors.New("the server does not listen yet")

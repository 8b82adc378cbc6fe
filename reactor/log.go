package reactor

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"mqttd/codec"
)

// lines writes the log lines whose number clients decide, and collapses them to a count when
// there are too many. Any goroutine may call its methods.
type lines struct {
	perSecond atomic.Int64 // of each lineLimit

	connects, disconnects lineLimit
	strangers             lineLimit // connections that were never accepted
	refusals              lineLimit // messages for $SYS
	filters               lineLimit
	fulls                 seldomLine
	retainedFulls         seldomLine
	queueFulls            seldomLine
	queuesFulls           seldomLine
	evictions             seldomLine
	expirations           seldomLine
	acceptFailures        seldomLine
	rateRefusals          seldomLine
}

// seldomLine is a line that is written once a minute at most. (chosen)
type seldomLine struct{ writtenAt atomic.Int64 } // Unix nanoseconds

func (k *seldomLine) allow() bool {
	now, last := time.Now().UnixNano(), k.writtenAt.Load()
	return now-last >= int64(time.Minute) && k.writtenAt.CompareAndSwap(last, now)
}

// lineLimit counts the lines of one kind in the current second.
type lineLimit struct{ written atomic.Int64 }

// logs reports whether lines of the level are written at all; zerolog's global level may change at any time.
func (s *Server) logs(level zerolog.Level) bool {
	return level >= s.log.GetLevel() && level >= zerolog.GlobalLevel()
}

func (s *Server) mayLog(k *lineLimit) bool {
	return k.written.Add(1) <= s.lines.perSecond.Load()
}

// newSecond begins a new second and returns how many lines the last one held back.
func (s *Server) newSecond(k *lineLimit) int64 {
	return max(0, k.written.Swap(0)-s.lines.perSecond.Load())
}

// connected tells of a client that was accepted.
func (n *lines) connected(s *Server, c *conn, present bool) {
	if !s.logs(zerolog.InfoLevel) || !s.mayLog(&n.connects) {
		return
	}
	event := s.log.Info().Str("client_id", cut(c.session.ClientID))
	if c.userName != nil {
		event = event.Str("user", cut(*c.userName))
	}
	event = event.Stringer("remote", c.gc.RemoteAddr()).Str("listener", s.Addr()).
		Stringer("proto", c.session.Version).Uint16("keepalive", c.session.KeepAliveSeconds).
		Bool("clean", c.session.CleanSession).Bool("session_present", present)
	dropped(event, c).Msg("client connected")
}

// disconnected tells of a connection that ended. One that was never accepted is the peer's
// affair: a debug line, unless it had a line when it was refused.
func (n *lines) disconnected(s *Server, c *conn) {
	if errors.As(c.reason, new(refused)) {
		return
	}
	level, limit := zerolog.InfoLevel, &n.disconnects
	if !c.connected {
		level, limit = zerolog.DebugLevel, &n.strangers
	}
	if !s.logs(level) || !s.mayLog(limit) {
		return
	}
	event := s.log.WithLevel(level)
	if c.session != nil {
		event = event.Str("client_id", cut(c.session.ClientID))
	}
	dropped(event, c).Str("reason", c.reason.Error()).Msg("client disconnected")
}

// dropped notes how many messages a client has lost, if there are any. See lossesOf.
func dropped(event *zerolog.Event, c *conn) *zerolog.Event {
	if c.session == nil {
		return event
	}
	if lost := lossesOf(c.losses, c.session); lost != (Losses{}) {
		return event.Uint64("dropped", lost.Total())
	}
	return event
}

// refused tells of a client whose CONNECT, as far as it was read, was not accepted.
func (n *lines) refused(s *Server, c *conn, p *codec.Connect, why refused) {
	if !s.logs(zerolog.InfoLevel) || !s.mayLog(&n.strangers) {
		return
	}
	event := s.log.Info()
	if len(p.ClientID) > 0 {
		event = event.Str("client_id", cut(string(p.ClientID)))
	}
	if p.HasUserName {
		event = event.Str("user", cut(string(p.UserName)))
	}
	event.Stringer("remote", c.gc.RemoteAddr()).Str("listener", s.Addr()).
		Str("reason", why.Error()).Str("remedy", why.remedy).Msg("client refused")
}

// full tells that as many clients are connected as may.
func (n *lines) full(s *Server) {
	if !n.fulls.allow() {
		return
	}
	s.log.Warn().Int("clients", s.table.Len()).Msg("server full: clients are refused; see -max-clients")
}

// subscribed tells of a filter that a client has subscribed to: a debug line.
func (n *lines) subscribed(s *Server, c *conn, filter []byte, granted codec.QoS) {
	if !s.logs(zerolog.DebugLevel) || !s.mayLog(&n.filters) {
		return
	}
	s.log.Debug().Str("client_id", cut(c.clientID())).Str("filter", cut(string(filter))).Uint8("qos", uint8(granted)).
		Msg("client subscribed")
}

// unsubscribed tells of a filter that it has unsubscribed from, known: to which it was subscribed. A debug line.
func (n *lines) unsubscribed(s *Server, c *conn, filter []byte, known bool) {
	if !s.logs(zerolog.DebugLevel) || !s.mayLog(&n.filters) {
		return
	}
	s.log.Debug().Str("client_id", cut(c.clientID())).Str("filter", cut(string(filter))).Bool("subscribed", known).
		Msg("client unsubscribed")
}

// filterRefused tells of a filter that SUBACK refuses, and why: the client is told no more than that, a debug line.
func (n *lines) filterRefused(s *Server, c *conn, filter []byte, why error) {
	if !s.logs(zerolog.DebugLevel) || !s.mayLog(&n.filters) {
		return
	}
	s.log.Debug().Str("client_id", cut(c.clientID())).Str("filter", cut(string(filter))).Str("reason", why.Error()).
		Msg("filter refused")
}

// stranger tells of a client of another protocol, when it is known which: whoever runs the broker may want to
// know.
func (n *lines) stranger(s *Server, c *conn, err error) {
	if !s.logs(zerolog.InfoLevel) || !isStranger(err) || !s.mayLog(&n.strangers) {
		return
	}
	s.log.Info().Stringer("remote", c.gc.RemoteAddr()).Str("reason", err.Error()).Msg("client speaks another protocol")
}

// publishRefused tells of a message of c's for a topic under $SYS: the client's affair, a debug line.
func (n *lines) publishRefused(s *Server, c *conn, topic []byte) {
	if !s.logs(zerolog.DebugLevel) || !s.mayLog(&n.refusals) {
		return
	}
	s.log.Debug().Str("client_id", cut(c.clientID())).Str("topic", cut(string(topic))).
		Msg("message dropped: clients cannot publish to $SYS")
}

// retainedFull tells that the store of retained messages is full.
func (n *lines) retainedFull(s *Server) {
	if !n.retainedFulls.allow() {
		return
	}
	s.log.Warn().Int("messages", s.retained.Len()).Int("bytes", s.retained.Bytes()).
		Msg("store of retained messages is full: messages are delivered but not retained")
}

// queueFull tells that a message above QoS 0 was not queued for a client.
func (n *lines) queueFull(s *Server, c *conn) {
	if !n.queueFulls.allow() {
		return
	}
	s.log.Warn().Str("client_id", cut(c.session.ClientID)).
		Msg("as many messages wait for a client as may: new ones are dropped; see -max-queued-messages and -max-queued-bytes")
}

// queuesFull tells that the queues of all clients together are full.
func (n *lines) queuesFull(s *Server) {
	if !n.queuesFulls.allow() {
		return
	}
	s.log.Warn().Int("bytes", s.queues.Bytes()).
		Msg("as many QoS 1 and 2 messages wait for all clients as may: new ones are dropped; see -total-queue")
}

// sessionEvicted tells that the session of a client that is away has ended early.
func (n *lines) sessionEvicted(s *Server) {
	if !n.evictions.allow() {
		return
	}
	s.log.Warn().Int("max_sessions", s.limits.Sessions).
		Msg("more clients are away than sessions are kept: those go first that have been away longest; see -max-sessions")
}

// sessionsExpired tells that sessions have ended because their clients were away for too long, of the first ones in a
// minute.
func (n *lines) sessionsExpired(s *Server, sessions int) {
	if sessions == 0 || !n.expirations.allow() {
		return
	}
	s.log.Info().Int("sessions", sessions).Stringer("session_expiry", time.Duration(s.expiry.Load())).
		Msg("sessions have ended whose clients were away for longer than -session-expiry")
}

// notSaved tells that the store cannot save. The store calls it once a minute at most.
func (n *lines) notSaved(s *Server, err error) {
	s.log.Error().Err(err).Str("data_dir", s.config.DataDir).
		Msg("cannot save: acknowledgements at QoS 1 and 2 wait until it works again; is the disk full?")
}

// savedAgain tells that it can.
func (n *lines) savedAgain(s *Server) {
	s.log.Info().Str("data_dir", s.config.DataDir).Msg("saved again: nothing is missing")
}

// acceptFailed tells that a client could not get in because of err.
func (n *lines) acceptFailed(s *Server, err error) {
	if !n.acceptFailures.allow() {
		return
	}
	remedy := "those who are connected are served on"
	switch {
	case errors.Is(err, unix.EMFILE):
		remedy = "raise the descriptor limit with ulimit -n or LimitNOFILE"
	case errors.Is(err, unix.ENFILE):
		remedy = "the system has no descriptor left: raise fs.file-max"
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOBUFS):
		remedy = "the system has no memory left for sockets"
	case errors.Is(err, errNotWatched):
		remedy = "raise fs.epoll.max_user_watches, or the system has no memory left"
	}
	s.log.Error().Err(err).Int("connections", s.Stats().Connections).Str("remedy", remedy).
		Msg("cannot accept a connection, trying on")
}

// refusedRate tells that a client was turned away because too many come at a time.
func (n *lines) refusedRate(s *Server, remote net.Addr, p *pacing) {
	if !n.rateRefusals.allow() {
		return
	}
	s.log.Warn().Stringer("remote", remote).Int("connect_rate", p.perSecond).
		Int("connect_burst", p.burst).
		Msg("too many clients connect at a time: some are turned away; -connect-rate and -connect-burst let more in")
}

// tick tells once a second what was held back.
func (n *lines) tick(s *Server) {
	for _, kind := range []struct {
		limit *lineLimit
		name  string
	}{
		{&n.connects, "connected"}, {&n.disconnects, "disconnected"},
		{&n.strangers, "turned away"}, {&n.refusals, "publishing to $SYS"}, {&n.filters, "with filters"},
	} {
		if more := s.newSecond(kind.limit); more > 0 {
			s.log.Info().Int64("more", more).Msgf("more clients %s than log lines are written for", kind.name)
		}
	}
}

// cut bounds text that a client chose: at most 64 bytes of it reach the log, and nothing that a
// terminal or a reader of lines could take for a command. The log's encoder quotes the rest.
func cut(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, text)
	const bytesMax = 64
	if len(text) <= bytesMax {
		return text
	}
	end := bytesMax
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// gnetLog passes gnet's log lines on. Its information is our debugging, and so is its one warning:
// an event for a connection that another event of the same round has closed.
type gnetLog struct{ log zerolog.Logger }

func (g gnetLog) Debugf(format string, args ...any) { g.log.Trace().Msgf("gnet: "+format, args...) }
func (g gnetLog) Infof(format string, args ...any)  { g.log.Debug().Msgf("gnet: "+format, args...) }
func (g gnetLog) Warnf(format string, args ...any)  { g.log.Debug().Msgf("gnet: "+format, args...) }
func (g gnetLog) Errorf(format string, args ...any) { g.log.Error().Msgf("gnet: "+format, args...) }
func (g gnetLog) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("gnet: "+format, args...)) // gnet calls it nowhere on a server's way
}

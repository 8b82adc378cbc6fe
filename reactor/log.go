package reactor

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

// lines writes the log lines whose number clients decide, and collapses them to a count when
// there are too many. Any goroutine may call its methods.
type lines struct {
	connects, disconnects lineLimit
	strangers             lineLimit    // connections that were never accepted
	refusals              lineLimit    // messages for $SYS
	retainedFullAt        atomic.Int64 // Unix nanoseconds of the latest line
}

// retainedLogEvery is how often a full store of retained messages is logged at most.
const retainedLogEvery = time.Minute

// lineLimit counts the lines of one kind in the current second.
type lineLimit struct{ written atomic.Int64 }

func (s *Server) mayLog(k *lineLimit) bool {
	return k.written.Add(1) <= int64(s.config.LogLinesPerSecond)
}

// newSecond begins a new second and returns how many lines the last one held back.
func (s *Server) newSecond(k *lineLimit) int64 {
	return max(0, k.written.Swap(0)-int64(s.config.LogLinesPerSecond))
}

// connected tells of a client that was accepted.
func (n *lines) connected(s *Server, c *conn) {
	if s.log.GetLevel() > zerolog.InfoLevel || !s.mayLog(&n.connects) {
		return
	}
	s.log.Info().Str("client_id", cut(c.session.ClientID)).Stringer("remote", c.gc.RemoteAddr()).
		Stringer("proto", c.session.Version).Uint16("keepalive", c.session.KeepAliveSeconds).
		Bool("clean", c.session.CleanSession).Msg("client connected")
}

// disconnected tells of a connection that ended. One that was never accepted is the peer's
// affair: a debug line.
func (n *lines) disconnected(s *Server, c *conn) {
	level, limit := zerolog.InfoLevel, &n.disconnects
	if !c.connected {
		level, limit = zerolog.DebugLevel, &n.strangers
	}
	if level < s.log.GetLevel() || !s.mayLog(limit) {
		return
	}
	event := s.log.WithLevel(level)
	if c.session != nil {
		event = event.Str("client_id", cut(c.session.ClientID))
	}
	if c.losses != nil {
		event = event.Uint64("dropped", c.losses.Total())
	}
	event.Str("reason", c.reason.Error()).Msg("client disconnected")
}

// publishRefused tells of a message of c's for a topic under $SYS: the client's affair, a debug line.
func (n *lines) publishRefused(s *Server, c *conn, topic []byte) {
	if s.log.GetLevel() > zerolog.DebugLevel || !s.mayLog(&n.refusals) {
		return
	}
	s.log.Debug().Str("client_id", cut(c.clientID())).Str("topic", cut(string(topic))).
		Msg("message dropped: clients cannot publish to $SYS")
}

// retainedFull tells that the store of retained messages is full, once a minute.
func (n *lines) retainedFull(s *Server) {
	now := time.Now().UnixNano()
	last := n.retainedFullAt.Load()
	if now-last < int64(retainedLogEvery) || !n.retainedFullAt.CompareAndSwap(last, now) {
		return
	}
	s.log.Warn().Int("messages", s.retained.Len()).Int("bytes", s.retained.Bytes()).
		Msg("store of retained messages is full: messages are delivered but not retained")
}

// tick tells once a second what was held back.
func (n *lines) tick(s *Server) {
	for _, kind := range []struct {
		limit *lineLimit
		name  string
	}{
		{&n.connects, "connected"}, {&n.disconnects, "disconnected"},
		{&n.strangers, "turned away"}, {&n.refusals, "publishing to $SYS"},
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

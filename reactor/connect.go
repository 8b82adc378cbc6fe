package reactor

import (
	"errors"
	"fmt"
	"time"

	"mqttd/codec"
	"mqttd/session"
)

// onConnect takes a client in, or refuses it and says so in the log.
func (l *loop) onConnect(c *conn, f codec.Frame) error {
	p, err := codec.ParseConnect(f)
	switch {
	case errors.Is(err, codec.ErrUnsupportedVersion):
		err = l.refuse(codec.UnacceptableProtocolVersion, versionRefused(p.Version)) // [MQTT-3.1.2-2]
	case err == nil:
		err = l.admit(c, &p)
	}
	var why refused
	if errors.As(err, &why) {
		l.server.lines.refused(l.server, c, &p, why)
	}
	return err
}

// admit checks a CONNECT, takes a slot and the Client Identifier, and answers. When another
// connection has the identifier, the answer waits until that one is gone.
func (l *loop) admit(c *conn, p *codec.Connect) error {
	clientID, err := l.config.clientIDOf(p)
	if err != nil {
		return l.refuse(codec.IdentifierRejected, err)
	}
	if err := l.checkWill(p); err != nil {
		return err
	}
	if authenticate := l.config.Authenticate; authenticate != nil {
		if code := authenticate(p); code != codec.Accepted {
			return l.refuse(code, refused{fmt.Errorf("login refused: %s", code), "check its user name and password"})
		}
	}
	handle, ok := l.server.table.Acquire(c, l.server.clients.Known([]byte(clientID)))
	if !ok {
		l.refusedFull.add(1)
		l.server.lines.full(l.server)
		return l.refuse(codec.ServerUnavailable, errFull)
	}
	c.session = session.New(handle, clientID, p)
	c.handle = handle
	c.decoder.SetVersion(p.Version)
	if p.HasUserName {
		user := string(p.UserName)
		c.userName = &user
	}
	if previous := l.server.clients.Claim(clientID, c); previous != nil {
		l.takeOver(c, previous)
		return nil
	}
	l.accept(c)
	return nil
}

// clientIDOf returns the Client Identifier to use, or the refused of a client that must be told 0x02. An empty
// one is replaced if the client asks for a Clean Session [MQTT-3.1.3-6] [MQTT-3.1.3-7], and
// refused otherwise [MQTT-3.1.3-8]; in MQTT 3.1 it is never allowed. That version's bound of 23
// characters is not enforced: its clients exceed it, and every broker lets them.
func (c *Config) clientIDOf(p *codec.Connect) (string, error) {
	switch {
	case len(p.ClientID) > c.ClientIDBytesMax:
		return "", refused{
			fmt.Errorf("client identifier of %d bytes: at most %d are allowed", len(p.ClientID), c.ClientIDBytesMax),
			"shorten it, or raise -max-client-id",
		}
	case len(p.ClientID) > 0:
		return string(p.ClientID), nil
	case p.Version == codec.Version31:
		return "", errClientIDEmpty31
	case !p.CleanSession:
		return "", errClientIDEmpty
	default:
		return session.AssignedClientID(), nil
	}
}

// checkWill returns why a Will is beyond a limit, nil if it is not. CONNACK has no code for it.
func (l *loop) checkWill(p *codec.Connect) error {
	switch {
	case !p.HasWill:
		return nil
	case len(p.Will.Payload) > l.config.WillBytesMax:
		l.willsRefused.add(1)
		return refused{
			fmt.Errorf("will payload of %d bytes: at most %d are allowed", len(p.Will.Payload), l.config.WillBytesMax),
			"shorten it, or raise -max-will-size",
		}
	default:
		return l.config.Topics.CheckName(p.Will.Topic)
	}
}

// refuse answers CONNECT with a code and ends the connection for the reason given
// [MQTT-3.2.2-5].
func (l *loop) refuse(code codec.ConnackCode, why error) error {
	l.connectsRefused.add(1)
	l.replies = codec.AppendConnack(l.replies, codec.Connack{Code: code})
	return why
}

// refused is why a well-formed CONNECT is not accepted, and what may be done about it: no violation.
type refused struct {
	error
	remedy string
}

// versionRefused says that a protocol level, which is not a Version here, is not supported.
func versionRefused(level codec.Version) error {
	reason := fmt.Errorf("protocol level %d is not supported", level)
	if level == 5 {
		reason = errors.New("MQTT 5 is not supported yet")
	}
	return refused{reason, "have it use MQTT 3.1.1, which is protocol level 4"}
}

// accept answers c's CONNECT with CONNACK 0x00, as nobody else has its Client Identifier. What the client is sent
// because of the session that it has, or resumes, follows.
func (l *loop) accept(c *conn) {
	if c.batch == 0 { // or it has waited
		if batch := l.discard(c); batch > l.server.store.Committed() {
			c.state, c.awaiting, c.batch = session.Parked, true, batch
			l.parked = append(l.parked, c)
			return
		}
	}
	present := l.resume(c)
	c.state, c.connected, c.since = session.Connected, true, time.Now().UnixMilli()
	l.wheel.refile(c, keepAlivePatience(c.session.KeepAliveSeconds))
	l.replies = codec.AppendConnack(l.replies, codec.Connack{
		Code:           codec.Accepted,
		SessionPresent: present && c.session.Version != codec.Version31, // which has no such flag
	})
	l.connects.add(1)
	l.server.lines.connected(l.server, c, present)
	c.userName = nil
	if l.server.store != nil {
		l.writeReplies() // before the reply to a SUBSCRIBE that came with it, which may wait for the disk
	}
	if c.replay != nil && c.pace == flowing {
		l.hold(c)
	}
	l.sendSoon(c)
}

// connectPatience returns after how many ticks a connection without CONNECT is given up.
func connectPatience(timeout time.Duration) uint32 {
	return patienceFor(uint32(timeout / time.Millisecond))
}

var (
	errFull          = refused{errors.New("server full"), "raise -max-clients"}
	errClientIDEmpty = refused{
		errors.New("empty client identifier without clean session [MQTT-3.1.3-8]"),
		"give it a client identifier, or have it ask for a clean session",
	}
	errClientIDEmpty31 = refused{errors.New("empty client identifier in MQTT 3.1"), "give it a client identifier"}
)

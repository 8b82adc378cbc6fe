package reactor

import (
	"errors"
	"fmt"
	"time"

	"mqttd/codec"
	"mqttd/session"
)

// onConnect checks a CONNECT, takes a slot and the Client Identifier, and answers. When another
// connection has the identifier, the answer waits until that one is gone.
func (l *loop) onConnect(c *conn, f codec.Frame) error {
	p, err := codec.ParseConnect(f)
	if errors.Is(err, codec.ErrUnsupportedVersion) {
		return l.refuse(codec.UnacceptableProtocolVersion, err) // [MQTT-3.1.2-2]
	}
	if err != nil {
		return err
	}
	clientID, err := l.config.clientIDOf(&p)
	if err != nil {
		return l.refuse(codec.IdentifierRejected, err)
	}
	if err := l.checkWill(&p); err != nil {
		return err
	}
	if authenticate := l.config.Authenticate; authenticate != nil {
		if code := authenticate(&p); code != codec.Accepted {
			return l.refuse(code, fmt.Errorf("login refused: %s", code))
		}
	}
	handle, ok := l.server.table.Acquire(c, l.server.clients.Known([]byte(clientID)))
	if !ok {
		l.refusedFull.add(1)
		return l.refuse(codec.ServerUnavailable, errFull)
	}
	c.session = session.New(handle, clientID, &p)
	c.handle = handle
	c.decoder.SetVersion(p.Version)
	if previous := l.server.clients.Claim(clientID, c); previous != nil {
		l.takeOver(c, previous)
		return nil
	}
	l.accept(c)
	return nil
}

// clientIDOf returns the Client Identifier to use, or why the client must be told 0x02. An empty
// one is replaced if the client asks for a Clean Session [MQTT-3.1.3-6] [MQTT-3.1.3-7], and
// refused otherwise [MQTT-3.1.3-8]; in MQTT 3.1 it is never allowed. That version's bound of 23
// characters is not enforced: its clients exceed it, and every broker lets them.
func (c *Config) clientIDOf(p *codec.Connect) (string, error) {
	switch {
	case len(p.ClientID) > c.ClientIDBytesMax:
		return "", fmt.Errorf("client identifier has %d bytes; see -max-client-id", len(p.ClientID))
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
		return refused{fmt.Errorf("will has a payload of %d bytes; see -max-will-size", len(p.Will.Payload))}
	default:
		return l.config.Topics.CheckName(p.Will.Topic)
	}
}

// refuse answers CONNECT with a code and ends the connection for the reason given
// [MQTT-3.2.2-5].
func (l *loop) refuse(code codec.ConnackCode, reason error) error {
	l.connectsRefused.add(1)
	l.replies = codec.AppendConnack(l.replies, codec.Connack{Code: code})
	return refused{reason}
}

// refused is the end of a connection that got a CONNACK with a code: no violation.
type refused struct{ error }

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
	errFull            = errors.New("server full; see -max-clients")
	errClientIDEmpty   = errors.New("empty client identifier without clean session [MQTT-3.1.3-8]")
	errClientIDEmpty31 = errors.New("empty client identifier in MQTT 3.1")
)

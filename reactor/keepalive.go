package reactor

import (
	"errors"

	"mqttd/session"
)

// advance moves the loop's time on by a second and closes the connections that have been
// silent for too long: one and a half times the Keep Alive [MQTT-3.1.2-24], or the time to send
// a CONNECT. The closing comes at most two seconds late and never early.
func (l *loop) advance() {
	if l.quiesced {
		return // nobody is listened to
	}
	l.wheel.advance(func(c *conn) {
		if c.state == session.Connected {
			l.keepAliveTimeouts.add(1)
			l.expire(c, errKeepAlive)
		} else {
			l.connectTimeouts.add(1)
			l.expire(c, errConnectTimeout)
		}
	})
	l.cutStalled()
	if resets := l.routes.Resets(); resets > l.routeCacheResets.load() {
		l.routeCacheResets.add(resets - l.routeCacheResets.load())
	}
}

// expire has c closed in its turn: the time of many may run out in the same second.
func (l *loop) expire(c *conn, reason error) {
	c.reason = reason
	l.list(&l.expired, c, inExpired)
}

// closeExpired closes the connections whose time has run out, as many as the turn allows.
func (l *loop) closeExpired() {
	more := func(done int) bool { return done < turnLeast || !l.turn.spent(closeWork, turnMax) }
	l.inTurn(&l.expired, inExpired, more, func(c *conn) { l.close(c, c.reason) })
}

// keepAlivePatience returns after how many ticks of silence a client is given up.
func keepAlivePatience(seconds uint16) uint32 {
	if seconds == 0 {
		return 0
	}
	return patienceFor(uint32(seconds) * 1500)
}

var (
	errKeepAlive      = errors.New("keep alive timeout")
	errConnectTimeout = errors.New("no CONNECT within -connect-timeout")
)

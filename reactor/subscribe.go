package reactor

import (
	"errors"

	"mqttd/codec"
	"mqttd/router"
	"mqttd/session/store"
)

// onSubscribe subscribes to each filter, answers with SUBACK [MQTT-3.8.4-1], one code per
// filter in order [MQTT-3.8.4-5], and sends the retained messages that match.
//
// A filter that breaks the rules of wildcards is a violation and ends the connection. One that
// is beyond a limit gets the failure code: longer or deeper than Config.Topics
// allows, past SubscribeFiltersMax in one packet, or past FiltersMax of one client.
func (l *loop) onSubscribe(c *conn, f codec.Frame) error {
	p, err := codec.ParseSubscribe(f, c.session.Version)
	if err != nil {
		return err
	}
	for all := p; ; { // before any of them takes effect
		filter, _, ok := all.Next()
		if !ok {
			break
		}
		if err := filterViolation(filter, l.config.Topics); err != nil {
			return err
		}
	}
	l.codes = l.codes[:0]
	granted := make([]grant, 0, min(p.Count, l.config.SubscribeFiltersMax))
	for filter, wanted, ok := p.Next(); ok; filter, wanted, ok = p.Next() {
		if err := l.trySubscribe(c, filter, wanted); err != nil {
			l.filtersRefused.add(1)
			l.server.lines.filterRefused(l.server, c, filter, err)
			l.codes = append(l.codes, byte(codec.GrantFailure))
			continue
		}
		l.server.lines.subscribed(l.server, c, filter, wanted)
		granted = append(granted, grant{string(filter), wanted})
		l.codes = append(l.codes, byte(wanted))
	}
	l.replies = codec.AppendSuback(l.replies, p.PacketID, l.codes)
	l.startReplay(c, granted)
	return nil
}

// filterViolation returns why a Topic Filter breaks the specification's rules, nil if it does
// not. One that is only beyond our limits breaks none.
func filterViolation(filter []byte, limits codec.TopicLimits) error {
	var fault *codec.Error
	if err := limits.CheckFilter(filter); errors.As(err, &fault) && fault.Rule != "" {
		return fault
	}
	return nil
}

// trySubscribe makes c a subscriber of one filter, with the QoS it wants, or returns which limit is in the way.
func (l *loop) trySubscribe(c *conn, filter []byte, wanted codec.QoS) error {
	if len(l.codes) >= l.config.SubscribeFiltersMax {
		return errSubscribeLong
	}
	if err := l.config.Topics.CheckFilter(filter); err != nil {
		return err
	}
	if !l.subscribe(c, grant{string(filter), wanted}) {
		return errFiltersFull
	}
	return nil
}

var (
	errSubscribeLong = errors.New("more filters in one SUBSCRIBE than -max-subscribe-filters")
	errFiltersFull   = errors.New("more filters of one client than -max-filters, or ten times as many levels")
)

// grant is a filter that was subscribed to, with the QoS granted.
type grant struct {
	filter string
	qos    codec.QoS
}

// subscribe makes c a subscriber of one filter, and reports whether it may have that.
func (l *loop) subscribe(c *conn, g grant) bool {
	ok := false
	l.noting(func(tx *store.Tx) { ok = c.session.Subscribe(tx, g.filter, g.qos, l.config.FiltersMax) })
	if !ok {
		return false
	}
	if g.qos > codec.QoS0 && c.session.Outbox == nil { // before anyone can find the subscription
		c.session.Outbox = l.server.queues.NewOutbox(c.session.Number)
		c.session.Outbox.Attach()
	}
	c.session.Group = l.index
	l.server.router.Subscribe(g.filter, l.subscriber(c), g.qos)
	return true
}

func (l *loop) subscriber(c *conn) router.Subscriber {
	return router.Subscriber{ID: uint64(c.handle), Group: l.index}
}

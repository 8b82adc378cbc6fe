package reactor

import (
	"context"
	"slices"
	"strings"
	"time"

	"mqttd/codec"
	"mqttd/router"
	"mqttd/session/store"
)

// The broker tells how it does in retained messages on topics under $SYS: on $SYS/broker/ by the names
// and in the formats of Mosquitto, which monitors know, and on $SYS/mqttd/ about losses. Every
// Config.SysInterval, when the clock shows a multiple of it, a round publishes the values that have changed.
//
// Rounds run on a goroutine of their own. It sums counters, which anyone may load, asks the loops by letter
// about their clients, and has the first loop publish what is new. Topics that are longer or deeper than
// Config.Topics allows are retained, but their changes are not sent to those who are subscribed already.

// sysTree holds the $SYS messages and knows what was published last. What is not said to be something
// else is confined to the goroutine of rounds.
type sysTree struct {
	server   *Server            // immutable
	interval chan time.Duration // holds a new time between rounds
	retained *router.Retained   // for replays: the users' messages neither fill it nor count in it

	started    time.Time
	published  map[string]string // topic -> payload
	loads      loads
	heap       heapGauge
	clientsMax int // connected at the time of a round

	unrouted bool // a topic was too long or deep for the router; confined to the first loop
}

// sysValue is a message on a $SYS topic; an empty payload removes what is retained there.
type sysValue struct{ topic, payload string }

const (
	sysRoot = "$SYS"

	// Limits of the store of $SYS messages: twice what lossTopicsMax clients and all else take, unless Client
	// Identifiers are far longer than by default. What does not fit is left out. (chosen)
	sysMessagesMax = 4 << 10
	sysBytesMax    = 8 << 20

	// sysBatch is how many messages a loop publishes in one turn. (chosen)
	sysBatch = 200
)

func newSysTree(s *Server) *sysTree {
	return &sysTree{
		server:    s,
		interval:  make(chan time.Duration, 1),
		retained:  router.NewRetained(sysMessagesMax, sysBytesMax),
		started:   time.Now(),
		published: make(map[string]string),
	}
}

// run does a round at once, so that early subscribers find all topics, and then one per interval, until the
// server has stopped. While $SYS is turned off it waits to be turned on.
func (t *sysTree) run() {
	for interval := t.server.config.SysInterval; ; {
		var due <-chan time.Time
		if interval > 0 {
			t.round(time.Now())
			due = time.After(untilMultiple(time.Now(), interval))
		}
		select {
		case <-due:
		case interval = <-t.interval:
			if interval == 0 {
				t.publish(t.changes(nil, true)) // what is there is removed
			}
		case <-t.server.stopped:
			return
		}
	}
}

// untilMultiple returns how long it takes until the clock shows a multiple of interval.
func untilMultiple(now time.Time, interval time.Duration) time.Duration {
	return interval - time.Duration(now.UnixNano())%interval
}

// round publishes what has changed since the round before.
func (t *sysTree) round(now time.Time) {
	stats := t.server.Stats()
	values := t.brokerValues(&stats, now)
	values = append(values, lossValues(&stats)...)
	ctx, cancel := context.WithTimeout(context.Background(), surveyWait)
	defer cancel()
	clients, complete := t.clientValues(ctx)
	t.publish(t.changes(append(values, clients...), complete))
}

// changes returns the values that differ from what is published, and removals of the topics that are not among
// the values any more. Without complete nothing is removed.
func (t *sysTree) changes(values []sysValue, complete bool) (changed []sysValue) {
	current := make(map[string]bool, len(values))
	for _, v := range values {
		current[v.topic] = true
		if t.published[v.topic] != v.payload {
			changed = append(changed, v)
		}
	}
	if !complete {
		return changed
	}
	for topic := range t.published {
		if !current[topic] {
			changed = append(changed, sysValue{topic: topic})
		}
	}
	return changed
}

// publish has the first loop publish the values, and returns when it has. What was not published is tried again
// in the next round.
func (t *sysTree) publish(values []sysValue) {
	first := t.server.loops[0]
	for batch := range slices.Chunk(values, sysBatch) {
		done, published := make(chan struct{}), make([]bool, len(batch))
		first.post(letter{kind: letterCall, call: func() {
			defer close(done)
			for i, v := range batch {
				first.protect(func() { published[i] = first.publishSys(v) })
			}
		}})
		select {
		case <-done:
		case <-t.server.stopped:
			return
		}
		for i, v := range batch {
			if published[i] && v.payload != "" {
				t.published[v.topic] = v.payload
			} else {
				delete(t.published, v.topic)
			}
		}
	}
}

// publishSys retains a $SYS message and sends it to the subscribers. It returns false when it does neither: the
// loop has stopped, or the store is full.
func (l *loop) publishSys(v sysValue) bool {
	if l.quiesced {
		return false
	}
	t, topic, payload := l.server.sys, []byte(v.topic), []byte(v.payload)
	if len(payload) == 0 {
		t.retained.Clear(nil, topic)
	} else if !t.retained.Store(nil, topic, retainedPacket(topic, payload, codec.QoS2)) {
		return false
	}
	if err := l.spread(topic, payload, codec.QoS2, func(*store.Tx) bool { return true }); err != nil && !t.unrouted {
		t.unrouted = true
		l.server.log.Warn().Err(err).Str("topic", v.topic).
			Msg("a $SYS topic beyond -max-topic-length or -max-topic-levels is retained, but its changes are not sent")
	}
	return true
}

// underSys reports whether a topic's, or a filter's, first level is $SYS.
func underSys[T string | []byte](topic T) bool {
	return len(topic) >= len(sysRoot) && string(topic[:len(sysRoot)]) == sysRoot &&
		(len(topic) == len(sysRoot) || topic[len(sysRoot)] == '/')
}

// retainedFor returns the store with the messages that the filter may match.
func (s *Server) retainedFor(filter string) *router.Retained {
	if underSys(filter) {
		return s.sys.retained
	}
	return s.retained
}

// worthReplay returns those of the filters for which anything may be retained. It reuses the slice.
func (s *Server) worthReplay(granted []grant) []grant {
	return slices.DeleteFunc(granted, func(g grant) bool { return s.retainedFor(g.filter).Len() == 0 })
}

// sysTopic joins levels to a topic under $SYS.
func sysTopic(levels ...string) string { return sysRoot + "/" + strings.Join(levels, "/") }

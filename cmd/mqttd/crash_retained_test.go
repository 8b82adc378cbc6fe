package main_test

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
)

// crashWatch is what was found retained of one stream: the last message that was acknowledged before the question, or
// one that was sent since, is right.
type crashWatch struct {
	stream  *crashStream
	settled int         // the highest number that was acknowledged when it was asked for
	sent    int         // the highest number when the answer had come
	found   int         // 0: nothing
	when    crashMoment // of the question
}

func (w crashWatch) judge(lives *crashLives, window time.Duration, t *crashTally) {
	if w.right(w.settled) {
		return
	}
	forgotten := w.mustHaveForgotten(lives, window)
	t.add(lives, window, w.when, func() string {
		return fmt.Sprintf("%s: retained is message %d (0: none), asked for %v, when %d was acknowledged, and %d sent "+
			"since; acknowledged was %v", w.stream.topic, w.found, w.when, w.settled, w.sent, forgotten)
	}, forgotten)
}

// mustHaveForgotten returns when a message was acknowledged without which what was found would be right: one that may
// not be forgotten, if there is one.
func (w crashWatch) mustHaveForgotten(lives *crashLives, window time.Duration) (oldest crashMoment) {
	for n := w.settled; n > 0 && !w.right(n); n-- {
		m := w.stream.settled[n-1]
		if _, excused := lives.excuses(m, window); m.life != 0 && (!excused || m.life >= w.when.life) {
			return m
		}
		oldest = m
	}
	return oldest
}

// right reports whether what was found may be retained if that number was the last one to be acknowledged.
func (w crashWatch) right(settled int) bool {
	if w.found > 0 {
		return w.found >= settled && w.found <= w.sent
	}
	for n := settled; n <= w.sent; n++ {
		if n == 0 || w.stream.empties(n) {
			return true
		}
	}
	return false
}

// watchRetained asks for what is retained of all streams. The broker may be killed meanwhile: then it reports false.
func (c *crash) watchRetained() bool {
	c.t.Helper()
	p, life := c.dial()
	if p == nil {
		return false
	}
	defer p.Close()
	if p.connect("crash-watcher") != nil {
		return false
	}
	watches := map[string]*crashWatch{}
	c.ledger.mu.Lock()
	for _, s := range c.ledger.streams {
		if s.retained {
			watches[s.topic] = &crashWatch{stream: s, settled: c.ledger.settledUpTo(s),
				when: crashMoment{c.lives.now(), life}}
		}
	}
	c.ledger.mu.Unlock()
	if p.send(subscribePacket(1, "keep/#")) != nil || p.send(subscribePacket(2, crashMarker)) != nil {
		return false
	}
	_ = p.SetReadDeadline(time.Now().Add(patience))
	for marked := false; !marked || len(c.awaited(watches)) > 0; {
		got, err := p.next()
		if err != nil {
			require.False(c.t, isTimeout(err), "retained messages that must be there do not come: %v", c.awaited(watches))
			return false
		}
		if got.first&0xF0 == bytePublish && c.noteRetained(got, watches) {
			marked = true
		}
	}
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	for _, w := range watches {
		w.sent = w.stream.sent
		c.ledger.watches = append(c.ledger.watches, *w)
	}
	return true
}

// noteRetained reports whether it was the marker.
func (c *crash) noteRetained(got packet, watches map[string]*crashWatch) bool {
	m, err := got.publish()
	if err != nil || !m.retained {
		return false // a live one
	}
	if string(m.topic) == crashMarker {
		return true
	}
	w := watches[string(m.topic)]
	if w == nil || len(m.payload) < 8 {
		c.ledger.fault("retained: %d bytes on %q", len(m.payload), m.topic)
		return false
	}
	n := int(binary.LittleEndian.Uint64(m.payload))
	if string(w.stream.payload(n)) != string(m.payload) || w.found != 0 {
		c.ledger.fault("retained: message %d of %s is not what was published, or came twice", n, m.topic)
	}
	w.found = n
	return false
}

// crashMarker is a topic with a retained message that never changes: asked for last, it comes last.
const crashMarker = "marker"

func (c *crash) retainMarker() {
	c.t.Helper()
	p, _ := c.dial()
	require.NotNil(c.t, p)
	defer p.Close()
	require.NoError(c.t, p.connect("crash-watcher"))
	require.NoError(c.t, p.send(publishPacketAt(1, flagRetain, 1, crashMarker, []byte("here"))))
	_, err := p.await(bytePuback)
	require.NoError(c.t, err)
}

// awaited lists the topics of which nothing has come though something must be retained.
func (c *crash) awaited(watches map[string]*crashWatch) (topics []string) {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	for topic, w := range watches {
		w.sent = w.stream.sent
		if w.found != 0 || w.right(w.settled) {
			continue
		}
		if _, excused := c.lives.excuses(w.mustHaveForgotten(&c.lives, c.window()), c.window()); !excused {
			topics = append(topics, topic)
		}
	}
	return topics
}

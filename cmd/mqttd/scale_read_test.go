package main_test

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const retainBit = 1 // of the first byte of a PUBLISH

// read subscribes to a filter and reads what is retained: each message that matches must come once, and no other.
// marker is a topic that matches; a message there is published live, and ends what is retained. It returns how many
// retained messages came.
func (s *scale) read(b *scaleBroker, qos byte, filter, marker string) (count int) {
	s.t.Helper()
	r := &scaleReader{peer: newPeer(s.t, b.broker, 0), topics: s.topics, qos: qos, marker: marker,
		seen: make([]bool, len(s.topics))}
	defer r.peer.Close()
	r.announcer = newPeer(s.t, b.broker, 0)
	defer r.announcer.Close()
	require.NoError(s.t, r.run(filter), "%s at QoS %d", filter, qos)

	matching, wrong := matcher(filter), 0
	for n, topic := range s.topics {
		if r.seen[n] != matching.MatchString(topic) {
			wrong++
		}
		if r.seen[n] {
			count++
		}
	}
	assert.Positive(s.t, count, "%s at QoS %d", filter, qos)
	assert.Zero(s.t, wrong, "%s at QoS %d: messages that did not come, or should not have", filter, qos)
	return count
}

// matcher matches the topics that a filter matches [MQTT-4.7.1-2] [MQTT-4.7.1-3].
func matcher(filter string) *regexp.Regexp {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(filter), `\+`, "[^/]*")
	if pattern == "#" {
		pattern = ".*"
	}
	if parent, all := strings.CutSuffix(pattern, "/#"); all {
		pattern = parent + "(/.*)?"
	}
	return regexp.MustCompile("^" + pattern + "$")
}

// scaleReader reads retained messages, and accounts for each.
type scaleReader struct {
	peer      *peer
	announcer *peer // publishes the message at the end
	topics    []string
	qos       byte // of the subscription
	marker    string
	seen      []bool // by number of the message
	pubacks   []byte // to be sent
}

// run reads until the marker comes.
func (r *scaleReader) run(filter string) error {
	subscribe := subscribePacket(1, filter)
	subscribe[len(subscribe)-1] = r.qos
	if err := r.peer.send(subscribe); err != nil {
		return err
	}
	for {
		if r.peer.in.Buffered() == 0 {
			if err := r.acknowledge(); err != nil {
				return err
			}
			_ = r.peer.SetReadDeadline(time.Now().Add(faultPatience)) // fails when closed, which next says as well
		}
		got, err := r.peer.next()
		if err != nil {
			return err
		}
		ended, err := r.note(got)
		if ended || err != nil {
			return err
		}
	}
}

// note accounts for a packet. ended: it is the marker.
func (r *scaleReader) note(got packet) (ended bool, err error) {
	if got.first == byteSuback {
		if code := got.body[2]; code != r.qos {
			return false, fmt.Errorf("SUBACK with %#x", code)
		}
		return false, r.announcer.send(publishPacketQoS1(1, r.marker, nil))
	}
	topic, payload, err := r.parse(got)
	if err != nil {
		return false, err
	}
	if got.first&retainBit == 0 { // live: another of those is the witness's
		return topic == r.marker, nil
	}
	n, err := numberOf(payload, retainedPayload)
	if err != nil {
		return false, err
	}
	if n < 0 || n >= len(r.topics) || topic != r.topics[n] || r.seen[n] {
		return false, fmt.Errorf("message %d on %q, which is wrong or came before", n, topic)
	}
	if qos := got.first >> 1 & 3; qos != r.qos {
		return false, fmt.Errorf("message %d at QoS %d", n, qos)
	}
	r.seen[n] = true
	return false, nil
}

// parse returns what a PUBLISH at QoS 0 or 1 carries, and acknowledges it.
func (r *scaleReader) parse(got packet) (topic string, payload []byte, err error) {
	qos1 := got.first&^retainBit == bytePublishQ1
	if !qos1 {
		name, payload, err := packet{got.first &^ retainBit, got.body}.message()
		return string(name), payload, err
	}
	name, rest, err := packet{bytePublish, got.body}.message()
	if err != nil || len(rest) < 2 {
		return "", nil, fmt.Errorf("not a PUBLISH as it should be: %x: %w", got.body, err)
	}
	r.pubacks = append(append(r.pubacks, bytePuback, 2), rest[:2]...)
	return string(name), rest[2:], nil
}

func (r *scaleReader) acknowledge() error {
	if len(r.pubacks) == 0 {
		return nil
	}
	err := r.peer.send(r.pubacks)
	r.pubacks = r.pubacks[:0]
	return err
}

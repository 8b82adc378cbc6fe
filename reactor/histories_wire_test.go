package reactor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"mqttd/codec"
)

// historyWire is the client's end of a connection in a history. It sorts what it reads and leaves
// out the messages of other histories.
type historyWire struct {
	conn     *net.TCPConn
	tag      string
	decoder  codec.Decoder
	chunk    []byte
	fresh    bool // chunk was read and the decoder has not seen its end
	welcomed bool // CONNACK came
	closed   bool
	deadline time.Time

	// What came in this step.
	probe    string // the payload to wait for
	probed   bool   // it came
	replayed bool   // so did the retained message that is the last
	replies  []string
	live     []delivery
	replays  []delivery
}

func dialHistory(address, tag string) (*historyWire, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	return &historyWire{conn: conn.(*net.TCPConn), tag: tag, chunk: make([]byte, 2<<10)}, nil
}

// begin makes the wire ready for a step.
func (w *historyWire) begin(deadline time.Time, probe string) {
	w.deadline, w.probe, w.probed, w.replayed = deadline, probe, false, false
	w.replies, w.live, w.replays = w.replies[:0], w.live[:0], w.replays[:0]
	_ = w.conn.SetDeadline(deadline)
}

// cutPause is mostly enough for the broker to read what was written: nothing depends on it. (chosen)
const cutPause = 50 * time.Microsecond

// write sends b in several writes, each a segment of its own, TCP_NODELAY being Go's default. After
// half of the cuts it pauses.
func (w *historyWire) write(b, cuts []byte) error {
	from := 0
	for _, cut := range cuts {
		to := len(b) * int(cut) / 256
		if to == from {
			continue
		}
		if _, err := w.conn.Write(b[from:to]); err != nil {
			return err
		}
		from = to
		if cut%2 == 0 {
			time.Sleep(cutPause)
		}
	}
	_, err := w.conn.Write(b[from:])
	return err
}

// exchange writes b and reads until so many replies have come.
func (w *historyWire) exchange(b, cuts []byte, replies int) error {
	if err := w.write(b, cuts); err != nil {
		return err
	}
	for len(w.replies) < replies {
		if err := w.next(); err != nil {
			return err
		}
	}
	return nil
}

// close ends the connection with a RST, so that its port is free at once.
func (w *historyWire) close() {
	w.closed = true
	_ = w.conn.SetLinger(0)
	w.conn.Close()
	w.decoder.Release()
}

var errSilence = errors.New("nothing more comes")

// readToEnd reads packets until the broker has closed the connection.
func (w *historyWire) readToEnd() error {
	for {
		err := w.next()
		if w.closed {
			return nil
		}
		if errors.Is(err, errSilence) {
			return fmt.Errorf("the connection is not closed: %w", err)
		}
		if err != nil {
			return err
		}
	}
}

// next reads one packet and puts it where it belongs.
func (w *historyWire) next() error {
	for {
		if w.fresh {
			f, ok, err := w.decoder.Next(PacketBytesMax)
			if err != nil {
				return fmt.Errorf("the broker sends no MQTT: %w", err)
			}
			if ok {
				return w.sort(&f)
			}
			w.fresh = false
		}
		n, err := w.conn.Read(w.chunk)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errSilence
		case err != nil:
			w.closed = true
			return errors.New("the connection is closed")
		}
		w.decoder.Feed(w.chunk[:n])
		w.fresh = true
	}
}

func (w *historyWire) sort(f *codec.Frame) error {
	switch f.Type {
	case codec.PUBLISH:
		return w.sortPublish(f)
	case codec.CONNACK:
		w.welcomed = true
		w.replies = append(w.replies, fmt.Sprintf("CONNACK present %d code %d", f.Body[0], f.Body[1]))
	case codec.SUBACK:
		id, codes, err := codec.ParseSuback(*f, codec.Version311)
		if err != nil {
			return err
		}
		w.replies = append(w.replies, fmt.Sprintf("SUBACK %d %v", id, codes))
	case codec.PINGRESP:
		w.replies = append(w.replies, "PINGRESP")
	default:
		id, err := codec.ParseAck(*f, codec.Version311)
		if err != nil {
			return err
		}
		w.replies = append(w.replies, fmt.Sprintf("%s %d", f.Type, id))
	}
	return nil
}

func (w *historyWire) sortPublish(f *codec.Frame) error {
	p, err := codec.ParsePublish(*f, codec.Version311)
	if err != nil {
		return err
	}
	topic := string(p.Topic)
	if topic == lastReplayTopic {
		w.replayed = true
		return nil
	}
	if !strings.Contains(topic, w.tag) {
		return nil // of another history
	}
	if !w.welcomed {
		return fmt.Errorf("a message to %q came before the CONNACK", topic)
	}
	topic = strings.Replace(topic, w.tag, tagMark, 1)
	m := delivery{topic, string(p.Payload), p.QoS}
	switch {
	case p.Dup || len(f.Bytes)-len(f.Body) > 2 && len(f.Body) < 0x80:
		return fmt.Errorf("a PUBLISH with DUP or a padded length: % x", f.Bytes)
	case topic == probeTopic && m.payload == w.probe && !w.probed:
		w.probed = true
	case p.Retain:
		w.replays = append(w.replays, m)
	default:
		w.live = append(w.live, m)
	}
	return nil
}

// compare returns how what came differs from what is due, nil if it does not.
func (w *historyWire) compare(d *due) error {
	if w.closed != d.ends {
		return fmt.Errorf("closed: %v, and should be %v", w.closed, d.ends)
	}
	if !agree(w.replies, d.replies, d.repliesCut) {
		return errors.New("wrong replies")
	}
	if !agree(w.live, d.live, d.deliveriesCut) {
		return errors.New("wrong messages")
	}
	return w.compareReplays(d)
}

// agree compares what came with what is due, or with the first part of it.
func agree[T comparable](came, due []T, cut bool) bool {
	if cut && len(came) < len(due) {
		due = due[:len(came)]
	}
	return slices.Equal(came, due)
}

// compareReplays compares retained messages topic by topic.
func (w *historyWire) compareReplays(d *due) error {
	expected := d.byTopic()
	for _, m := range w.replays {
		t := expected[m.topic]
		if t.most--; t.most < 0 || !slices.Contains(t.payloads, m.payload) || m.qos != codec.QoS0 {
			return fmt.Errorf("wrong retained message %v", m)
		}
		t.least--
		expected[m.topic] = t
	}
	for topic, t := range expected {
		if t.least > 0 && !d.deliveriesCut {
			return fmt.Errorf("retained message of %q is missing", topic)
		}
	}
	return nil
}

// String is what came in this step.
func (w *historyWire) String() string {
	return fmt.Sprintf("replies %q, messages %v, retained %v", w.replies, w.live, w.replays)
}

// String is what is due.
func (d *due) String() string {
	text := fmt.Sprintf("replies %q, messages %v", d.replies, d.live)
	for _, r := range d.replays {
		for topic, t := range r.messages {
			text += fmt.Sprintf(", retained by %q: %q %d to %d of %q", r.filter, topic, t.least, t.most, t.payloads)
		}
	}
	if d.ends {
		text += ", end"
	}
	return text
}

func (m delivery) String() string { return fmt.Sprintf("{%q %q QoS %d}", m.topic, m.payload, m.qos) }

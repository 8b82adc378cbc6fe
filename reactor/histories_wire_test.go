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
	live     []arrival // at QoS 0
	above    []arrival // above it
	again    []arrival // with RETAIN and DUP
	replays  []arrival // with RETAIN
	releases []uint16  // PUBREL

	came        *int // messages above QoS 0 in this history
	answers     bool // each message is acknowledged to the end as it comes
	pubrecs     []uint16
	unconfirmed bool // something was acknowledged, and no PINGRESP came since

	replaysAnswered [2]uint64 // replays above QoS 0, if these are acknowledged, by QoS - 1
}

// arrival is a PUBLISH that came.
type arrival struct {
	delivery
	id       uint16
	dup      bool
	position int // among all that came in the step; above QoS 0, in the history
}

func dialHistory(address, tag string, came *int) (*historyWire, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	return &historyWire{conn: conn.(*net.TCPConn), tag: tag, came: came, chunk: make([]byte, 2<<10)}, nil
}

// begin makes the wire ready for a step.
func (w *historyWire) begin(deadline time.Time, probe string, d *due) {
	w.deadline, w.probe, w.probed, w.replayed = deadline, probe, false, false
	w.replies, w.live, w.above, w.again, w.replays = w.replies[:0], w.live[:0], w.above[:0], w.again[:0], w.replays[:0]
	w.releases, w.pubrecs, w.answers, w.replaysAnswered = w.releases[:0], w.pubrecs[:0], d.answers, [2]uint64{}
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

// exchange writes b and reads until the replies that are due have come.
func (w *historyWire) exchange(b, cuts []byte, d *due) error {
	if err := w.write(b, cuts); err != nil {
		return err
	}
	for len(w.replies) < len(d.replies) || len(w.releases) < w.releasesDue(d) {
		if err := w.next(); err != nil {
			return err
		}
	}
	return nil
}

// await reads until all that is due to a connection that stays has come, and nothing more can.
func (w *historyWire) await(d *due) error {
	for asked := len(d.replays) == 0; ; asked = true {
		for !w.complete(d) {
			if err := w.next(); err != nil {
				return err
			}
		}
		if asked && !w.unconfirmed {
			return nil
		}
		w.unconfirmed = false
		ping := historyPacket{kind: codec.PINGREQ}
		if err := w.write(ping.appendTo(nil, w.tag), nil); err != nil {
			return err
		}
		d.replies = append(d.replies, "PINGRESP")
	}
}

func (w *historyWire) complete(d *due) bool {
	return w.probed && (len(d.replays) == 0 || w.replayed) && len(w.replies) >= len(d.replies) &&
		len(w.above) >= len(d.above) && len(w.replays) >= d.replaysLeast() &&
		len(w.again) >= len(d.retainedAgain) && len(w.releases) >= w.releasesDue(d)
}

func (w *historyWire) releasesDue(d *due) int {
	return len(d.retainedReleased) + len(d.released) + len(d.releases) + len(w.pubrecs)
}

// appendAcknowledgement appends an acknowledgement that is not among the packets of the step.
func (w *historyWire) appendAcknowledgement(b []byte, p *historyPacket) []byte {
	w.unconfirmed = true
	if p.kind == codec.PUBREC {
		w.pubrecs = append(w.pubrecs, p.id)
	}
	return p.appendTo(b, w.tag)
}

// answer acknowledges what came, if it has to.
func (w *historyWire) answer(kind codec.PacketType, id uint16) error {
	if !w.answers {
		return nil
	}
	return w.write(w.appendAcknowledgement(nil, &historyPacket{kind: kind, id: id}), nil)
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
	case codec.PUBREL:
		id, err := codec.ParseAck(*f, codec.Version311)
		if err != nil {
			return err
		}
		if !w.welcomed {
			return errors.New("PUBREL came before the CONNACK")
		}
		w.releases = append(w.releases, id)
		return w.answer(codec.PUBCOMP, id)
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
	*w.came++
	m := arrival{delivery{topic, string(p.Payload), p.QoS}, p.PacketID, p.Dup, *w.came}
	switch {
	case len(f.Bytes)-len(f.Body) > 2 && len(f.Body) < 0x80:
		return fmt.Errorf("a PUBLISH with a padded length: % x", f.Bytes)
	case topic == probeTopic && m.payload == w.probe && !w.probed:
		w.probed = true
	case p.Retain && p.Dup:
		w.again = append(w.again, m)
	case p.Retain:
		w.replays = append(w.replays, m)
	case p.QoS > codec.QoS0:
		w.above = append(w.above, m)
	default:
		w.live = append(w.live, m)
	}
	switch m.qos {
	case codec.QoS1:
		return w.answer(codec.PUBACK, m.id)
	case codec.QoS2:
		return w.answer(codec.PUBREC, m.id)
	}
	return nil
}

// compare returns how what came differs from what is due, nil if it does not. s is the session, nil if there is
// none: it learns the Packet Identifiers.
func (w *historyWire) compare(d *due, s *modelSession) error {
	if w.closed != d.ends {
		return fmt.Errorf("closed: %v, and should be %v", w.closed, d.ends)
	}
	if !agree(w.replies, d.replies, d.repliesCut) {
		return errors.New("wrong replies")
	}
	live := make([]delivery, len(w.live))
	for i, m := range w.live {
		live[i] = m.delivery
	}
	if !agree(live, d.live, d.deliveriesCut) {
		return errors.New("wrong messages")
	}
	if err := w.compareAbove(d, s); err != nil {
		return err
	}
	if err := w.compareAgain(d); err != nil {
		return err
	}
	if err := w.compareReleases(d); err != nil {
		return err
	}
	return w.compareReplays(d, s)
}

// compareAbove compares live messages above QoS 0. One that came before, on whichever connection, has DUP and
// the Packet Identifier that it had [MQTT-3.3.1-1] [MQTT-4.4.0-1].
func (w *historyWire) compareAbove(d *due, s *modelSession) error {
	if len(w.above) > len(d.above) || len(w.above) < len(d.above) && !d.deliveriesCut {
		return errors.New("wrong messages above QoS 0")
	}
	for i, m := range w.above {
		want := d.above[i]
		switch {
		case m.delivery != want.delivery:
			return fmt.Errorf("wrong message %v", m)
		case m.dup && want.before == no, !m.dup && (want.before == yes || want.id != 0):
			return fmt.Errorf("wrong DUP of %v", m)
		}
		if err := s.learn(want.modelMessage, &m); err != nil {
			return err
		}
	}
	return nil
}

// compareAgain compares retained messages that came before: in which order, the model does not say.
func (w *historyWire) compareAgain(d *due) error {
	inOrder(d.retainedAgain)
	if len(w.again) > len(d.retainedAgain) || len(w.again) < len(d.retainedAgain) && !d.deliveriesCut {
		return errors.New("wrong retained messages again")
	}
	for i, m := range w.again {
		if want := d.retainedAgain[i]; m.delivery != want.delivery || m.id != want.id {
			return fmt.Errorf("wrong retained message %v again", m)
		}
	}
	return nil
}

func inOrder(messages []*modelMessage) {
	slices.SortFunc(messages, func(a, b *modelMessage) int { return a.position - b.position })
}

// compareReleases compares the PUBREL packets. What comes of its own, for retained messages and for live ones, and what
// answers PUBREC keep their orders [MQTT-4.6.0-4], and may mix.
func (w *historyWire) compareReleases(d *due) error {
	inOrder(d.retainedReleased)
	retained, again := d.retainedReleased, d.released
	answers := slices.Concat(d.releases, w.pubrecs)
	for _, id := range w.releases {
		switch {
		case len(retained) > 0 && retained[0].id == id:
			retained = retained[1:]
		case len(again) > 0 && again[0].id == id:
			again = again[1:]
		case len(answers) > 0 && answers[0] == id:
			answers = answers[1:]
		default:
			return fmt.Errorf("wrong PUBREL %d", id)
		}
	}
	if len(retained)+len(again) > 0 && !d.deliveriesCut || len(answers) > 0 && !d.repliesCut {
		return errors.New("a PUBREL is missing")
	}
	return nil
}

// learn notes what identifies a message that came. No two messages of a session have the same Packet Identifier
// [MQTT-2.3.1-3].
func (s *modelSession) learn(x *modelMessage, m *arrival) error {
	for _, y := range slices.Concat(s.retained, s.live) {
		if y != x && y.id == m.id {
			return fmt.Errorf("%v has the Packet Identifier of %v", m, y.delivery)
		}
	}
	if x.id != 0 && x.id != m.id {
		return fmt.Errorf("%v had Packet Identifier %d", m, x.id)
	}
	x.id, x.position = m.id, m.position
	return nil
}

// agree compares what came with what is due, or with the first part of it.
func agree[T comparable](came, due []T, cut bool) bool {
	if cut && len(came) < len(due) {
		due = due[:len(came)]
	}
	return slices.Equal(came, due)
}

// compareReplays compares retained messages topic by topic, and says that none comes after a newer, live message.
func (w *historyWire) compareReplays(d *due, s *modelSession) error {
	expected := d.byTopic()
	for i := range w.replays {
		m := &w.replays[i]
		t := expected[m.topic]
		if t.most--; t.most < 0 || !slices.Contains(t.messages, m.delivery) {
			return fmt.Errorf("wrong retained message %v", m)
		}
		t.least--
		expected[m.topic] = t
		if newer, came := w.newerBefore(m, d); came {
			return fmt.Errorf("retained message %v came after %v", m, newer)
		}
		if m.qos == codec.QoS0 {
			continue
		}
		if d.answers {
			w.replaysAnswered[m.qos-1]++
		} else if err := d.learnRetained(m, s); err != nil {
			return err
		}
	}
	for topic, t := range expected {
		if t.least > 0 && !d.deliveriesCut {
			return fmt.Errorf("retained message of %q is missing", topic)
		}
	}
	return nil
}

// newerBefore returns a live message of m's topic that came before m and should have come after it. Of several that are
// the same, those that were in line at the SUBSCRIBE come first.
func (w *historyWire) newerBefore(m *arrival, d *due) (newer arrival, came bool) {
	inLine := map[delivery]int{}
	for _, x := range d.live {
		inLine[x]++
	}
	for _, x := range d.newer {
		inLine[x]--
	}
	late := slices.Clone(d.newer)
	for _, x := range d.newerAbove {
		late = append(late, x.delivery)
	}
	for _, x := range d.above {
		if !slices.Contains(d.newerAbove, x.modelMessage) {
			inLine[x.delivery]++
		}
	}
	for _, x := range slices.Concat(w.live, w.above) {
		if x.topic != m.topic || x.position > m.position || !slices.Contains(late, x.delivery) {
			continue
		}
		if inLine[x.delivery]--; inLine[x.delivery] < 0 {
			return x, true
		}
	}
	return newer, false
}

// learnRetained notes which of the messages that the session keeps has come. The end of a connection has none.
func (d *due) learnRetained(m *arrival, s *modelSession) error {
	for _, x := range d.retainedNew {
		if x.id == 0 && x.delivery == m.delivery {
			return s.learn(x, m)
		}
	}
	if !d.deliveriesCut {
		return fmt.Errorf("wrong retained message %v", m)
	}
	return nil
}

// String is what came in this step.
func (w *historyWire) String() string {
	return fmt.Sprintf("replies %q, messages %v, above QoS 0 %v, retained %v, retained again %v, PUBREL %v",
		w.replies, w.live, w.above, w.replays, w.again, w.releases)
}

// String is what is due.
func (d *due) String() string {
	text := fmt.Sprintf("replies %q, messages %v, above QoS 0 %v, retained again %v, PUBREL again %v and %v, PUBREL %v",
		d.replies, d.live, d.above, d.retainedAgain, d.retainedReleased, d.released, d.releases)
	for _, r := range d.replays {
		for _, t := range r.messages {
			text += fmt.Sprintf(", retained by %q: %d to %d of %v", r.filter, t.least, t.most, t.messages)
		}
	}
	if d.answers {
		text += ", all acknowledged"
	}
	if d.ends {
		text += ", end"
	}
	return text
}

func (m delivery) String() string { return fmt.Sprintf("{%q %q QoS %d}", m.topic, m.payload, m.qos) }

func (m arrival) String() string {
	text := m.delivery.String()
	if m.qos > codec.QoS0 {
		text += fmt.Sprintf(" id %d", m.id)
	}
	if m.dup {
		text += " dup"
	}
	return text
}

func (m dueMessage) String() string {
	return m.modelMessage.String() + [...]string{"", " perhaps dup", " dup"}[m.before]
}

func (x *modelMessage) String() string { return fmt.Sprintf("%v id %d", x.delivery, x.id) }

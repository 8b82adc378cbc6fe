package reactor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// The model is MQTT 3.1.1 as this broker implements it, one step after the other and with nothing
// fast in it. What waits for a client above QoS 0 is in histories_outbox_test.go.

// resume returns the session that a CONNECT gets, and whether it was there before.
func (m *historyModel) resume(p *historyConnect) (s *modelSession, present bool) {
	if s = m.sessions[p.clientID]; s != nil && !p.clean {
		present = true
	} else {
		s = newModelSession()
	}
	s.clean, s.attached = p.clean, true
	delete(m.sessions, p.clientID)
	return s, present
}

// Limits of the broker that histories reach.
const (
	modelClientIDMax    = 256
	modelTopicBytesMax  = 4096
	modelTopicLevelsMax = 128
)

// historySlots is how many clients a history has at most. The third watches the other two.
const historySlots = 3

// historyModel predicts what each client is sent. Topics are those of the history, with tagMark.
type historyModel struct {
	live     [historySlots]*modelConn // nil: no connection
	sessions map[string]*modelSession // by Client Identifier; those without a connection
	retained map[string]delivery      // by topic, as published
	totals   historyTotals

	actor *modelConn // who takes the step
	open  bool       // the step has more than one outcome
}

// historyTotals are the counters of the broker that the model can predict.
type historyTotals struct {
	Connects, ConnectsRefused, Takeovers, ProtocolErrors, FiltersRefused uint64
	PublishReceived                                                      [3]uint64
	Delivered, QueueFull                                                 [2]uint64 // messages above QoS 0, by QoS - 1
}

type modelConn struct {
	slot      int
	clientID  string // "": none yet, or assigned by the broker
	connected bool
	session   *modelSession // nil: not connected
	will      *historyWill
	eager     bool // acknowledges all messages at once
	due       due
}

// due is what a connection is sent in a step.
type due struct {
	replies []string   // all but PUBLISH and PUBREL, in order
	live    []delivery // with RETAIN 0, at QoS 0, in order
	replays []replayed // with RETAIN 1, each filter on its own
	newer   []delivery // live ones at QoS 0 that come after the retained ones of their topics

	newerAbove []*modelMessage // and above QoS 0
	ends       bool            // the connection is closed

	above         []dueMessage    // with RETAIN 0, above QoS 0, in order
	retainedAgain []*modelMessage // with RETAIN 1, sent before, in the order in which they came then
	retainedNew   []*modelMessage // those of replays above QoS 0 that the session keeps
	releases      []uint16        // PUBREL for each PUBREC of the step, in order

	// PUBREL for what was received on an earlier connection: that of retained messages, in the order in
	// which they came, and that of live ones, in order.
	retainedReleased, released []*modelMessage

	// The client acknowledges all that comes, and what came before.
	answers          bool
	acknowledgements []historyPacket

	// A connection that ends itself may not be there any more for what is due to it: then it gets
	// the first part.
	deliveriesCut, repliesCut bool
}

// dueMessage is a message above QoS 0 that is due.
type dueMessage struct {
	*modelMessage
	before certainty // it was sent before, and so has DUP now
}

// delivery is a message as a client gets it.
type delivery struct {
	topic, payload string
	qos            codec.QoS
}

// replayed is what a filter brings that was subscribed to in the step.
type replayed struct {
	filter   string
	granted  codec.QoS
	times    int // that it was subscribed to
	messages map[string]*replayedTopic
}

// replayedTopic is how often the retained message of a topic may come, and which ones may: it depends
// on when the broker looks whether changes of the same step are in it.
type replayedTopic struct {
	least, most int
	messages    []delivery
}

func newHistoryModel() *historyModel {
	return &historyModel{sessions: map[string]*modelSession{}, retained: map[string]delivery{}}
}

// outcome is what a step brings about.
type outcome struct {
	actor     *modelConn
	concerned []*modelConn    // all that were or are connected, with what is due to them
	packets   []historyPacket // of the step, with the Packet Identifiers of the messages they acknowledge
}

// apply moves the model on by a step. ok is false when the step makes no sense now, as happens when
// steps before it were taken out, or when it has more than one outcome; then nothing changes.
func (m *historyModel) apply(s *historyStep) (o outcome, ok bool) {
	if !m.applicable(s) {
		return outcome{}, false
	}
	if trial := m.clone(); !trial.decides(s) {
		return outcome{}, false
	}
	return m.take(s), true
}

// decides takes a step and reports whether it has one outcome only.
func (m *historyModel) decides(s *historyStep) bool {
	m.take(s)
	return !m.open
}

func (m *historyModel) take(s *historyStep) (o outcome) {
	for _, c := range m.live {
		if c != nil {
			c.due = due{}
			o.concerned = append(o.concerned, c)
		}
	}
	m.actor = m.live[s.slot]
	if s.opens {
		m.actor = &modelConn{slot: s.slot, eager: s.eager}
		o.concerned = append(o.concerned, m.actor)
	}
	o.actor = m.actor
	o.packets = slices.Clone(s.packets)
	m.act(s, o.packets)
	for _, c := range m.live {
		if c != nil {
			m.conclude(c)
		}
	}
	return o
}

// act handles what the client of a step sends, and how it ends.
func (m *historyModel) act(s *historyStep, packets []historyPacket) {
	if s.halved() {
		packets = packets[:len(packets)-1]
	}
	for i := range packets {
		if !m.handle(m.actor, &packets[i]) {
			return
		}
	}
	if s.ending != staysOpen {
		m.lose(m.actor, true)
		m.actor.due.deliveriesCut, m.actor.due.repliesCut = true, true
	}
}

// applicable reports whether a step can be taken: the slot is free, or its own CONNECT frees it; or
// it is not free, and its client does something on its connection. Nobody else can tell when the
// broker has noticed a reset of a client whose identifier it does not know.
//
// Who closes its end while it waits for the connection that it takes over may be found gone before its
// turn, or not: that is left out.
func (m *historyModel) applicable(s *historyStep) bool {
	c := m.live[s.slot]
	if !s.opens {
		return c != nil && (s.ending != resets || c.clientID != "")
	}
	if len(s.packets) == 0 || s.ending == resets {
		return false
	}
	old := m.takenOverBy(&s.packets[0])
	return (c == nil || c == old) && (old == nil || s.ending == staysOpen)
}

// takenOverBy returns the connection whose Client Identifier a packet takes, nil if there is none.
func (m *historyModel) takenOverBy(p *historyPacket) *modelConn {
	if !legalBefore(p) || refusal(p.connect) != codec.Accepted || p.connect.clientID == "" {
		return nil
	}
	for _, c := range m.live {
		if c != nil && c.clientID == p.connect.clientID {
			return c
		}
	}
	return nil
}

// handle takes one packet. It returns false when that ends the connection.
func (m *historyModel) handle(c *modelConn, p *historyPacket) (goesOn bool) {
	var acknowledged *modelMessage
	if c.connected && p.of != ofNone {
		acknowledged = c.session.target(p)
	}
	if c.connected && !legal(p) || !c.connected && !legalBefore(p) {
		m.totals.ProtocolErrors++
		return m.end(c, true)
	}
	reply := func(format string, args ...any) { c.due.replies = append(c.due.replies, fmt.Sprintf(format, args...)) }
	switch p.kind {
	case codec.CONNECT:
		return m.connect(c, p)
	case codec.PUBLISH:
		m.totals.PublishReceived[p.qos()]++
		switch p.qos() {
		case codec.QoS1:
			reply("PUBACK %d", p.id)
		case codec.QoS2:
			reply("PUBREC %d", p.id)
			if c.session.unreleased[p.id] {
				return true // published when it came first
			}
			c.session.unreleased[p.id] = true
		}
		m.publish(p.topic, p.payload, p.qos(), p.retain())
	case codec.PUBREL:
		delete(c.session.unreleased, p.id)
		reply("PUBCOMP %d", p.id)
	case codec.PUBACK, codec.PUBREC, codec.PUBCOMP:
		m.acknowledge(c, p, acknowledged)
	case codec.SUBSCRIBE:
		reply("SUBACK %d %v", p.id, m.subscribe(c, p.filters))
	case codec.UNSUBSCRIBE:
		for _, f := range p.filters {
			delete(c.session.filters, f.Filter) // what was queued because of it is sent [MQTT-3.10.4-3]
			c.due.cancelReplay(f.Filter)
		}
		reply("UNSUBACK %d", p.id)
	case codec.PINGREQ:
		reply("PINGRESP")
	case codec.DISCONNECT:
		return m.end(c, false)
	}
	return true
}

// connect takes the Client Identifier over from who has it, whose Will is out before the CONNACK.
func (m *historyModel) connect(c *modelConn, packet *historyPacket) (goesOn bool) {
	p := packet.connect
	if code := refusal(p); code != codec.Accepted {
		m.totals.ConnectsRefused++
		c.due.replies = append(c.due.replies, fmt.Sprintf("CONNACK present %d code %d", 0, code))
		return m.end(c, false)
	}
	if old := m.takenOverBy(packet); old != nil {
		m.totals.Takeovers++
		m.lose(old, true)
	}
	session, present := m.resume(p)
	c.clientID, c.connected, c.session, c.will = p.clientID, true, session, p.will
	m.live[c.slot] = c
	m.totals.Connects++
	presence := 0
	if present {
		presence = 1
	}
	c.due.replies = append(c.due.replies, fmt.Sprintf("CONNACK present %d code 0", presence))
	c.sendAgain()
	return true
}

// end is a connection's end by a packet of its own.
func (m *historyModel) end(c *modelConn, publishesWill bool) (goesOn bool) {
	m.lose(c, publishesWill)
	c.due.deliveriesCut = true
	return false
}

// lose is a connection's end, whoever brings it about. Its session is kept, unless it is a clean one.
func (m *historyModel) lose(c *modelConn, publishesWill bool) {
	c.due.ends = true
	if !c.connected {
		return
	}
	c.fillWindow(perhaps) // what came in this step
	m.live[c.slot] = nil
	if !c.session.clean {
		m.sessions[c.clientID] = c.session
		m.open = m.open || c.due.replaysAbove() > 0 // which of them have come into it?
	}
	if c.will != nil && publishesWill {
		m.publish(c.will.topic, c.will.payload, c.will.qos, c.will.retain)
	}
	c.session.attached = false
}

// publish retains a message and sends it to each client that wants it, once. What $SYS is told is acknowledged and
// goes nowhere.
func (m *historyModel) publish(topic, payload string, qos codec.QoS, retain bool) {
	if topic == "$SYS" || strings.HasPrefix(topic, "$SYS/") {
		return
	}
	if retain {
		m.retain(delivery{topic, payload, qos})
	}
	for _, c := range m.live {
		if c == nil {
			continue
		}
		granted, wants := c.session.wants(topic)
		if !wants {
			continue
		}
		d := delivery{topic, payload, min(qos, granted)}
		newer := c.due.replaying(topic)
		switch {
		case d.qos > codec.QoS0:
			if x := m.add(c.session, c, d); x != nil && newer {
				c.due.newerAbove = append(c.due.newerAbove, x)
			}
		case newer:
			c.due.newer = append(c.due.newer, d)
			fallthrough
		default:
			c.due.live = append(c.due.live, d)
		}
	}
	for _, s := range m.sessions {
		if granted, wants := s.wants(topic); wants && min(qos, granted) > codec.QoS0 {
			m.add(s, nil, delivery{topic, payload, min(qos, granted)})
		}
	}
}

// wants returns the highest QoS of the subscriptions that match a topic [MQTT-3.3.5-1], if there are any.
func (s *modelSession) wants(topic string) (granted codec.QoS, wants bool) {
	for f, q := range s.filters {
		if filterMatches(f, topic) {
			granted, wants = max(granted, q), true
		}
	}
	return granted, wants
}

func (m *historyModel) retain(d delivery) {
	if d.payload == "" {
		delete(m.retained, d.topic)
	} else {
		m.retained[d.topic] = d
	}
	for _, c := range m.live {
		if c != nil {
			c.due.changeReplay(d)
		}
	}
}

// subscribe returns the codes of the SUBACK.
func (m *historyModel) subscribe(c *modelConn, filters []codec.Subscription) (codes []byte) {
	var granted []string
	for _, f := range filters {
		if beyondLimits(f.Filter) {
			m.totals.FiltersRefused++
			codes = append(codes, byte(codec.GrantFailure))
			continue
		}
		c.session.filters[f.Filter] = f.QoS
		codes = append(codes, byte(f.QoS))
		if !slices.Contains(granted, f.Filter) { // one that stands in the packet twice is looked up once
			granted = append(granted, f.Filter)
		}
	}
	for _, filter := range granted {
		c.due.startReplay(filter, c.session.filters[filter], m.retained)
	}
	return codes
}

// startReplay makes the retained messages that match the filter due. When the filter is subscribed
// to again in the same step, they may come once for both or once for each.
func (d *due) startReplay(filter string, granted codec.QoS, retained map[string]delivery) {
	at := slices.IndexFunc(d.replays, func(r replayed) bool { return r.filter == filter })
	if at < 0 {
		at = len(d.replays)
		d.replays = append(d.replays, replayed{filter: filter, messages: map[string]*replayedTopic{}})
	}
	d.newer, d.newerAbove = nil, nil // before this SUBSCRIBE
	r := &d.replays[at]
	r.times++
	r.granted = granted
	for topic, message := range retained {
		if !filterMatches(filter, topic) {
			continue
		}
		if r.messages[topic] == nil && r.times == 1 {
			r.messages[topic] = &replayedTopic{least: 1}
		}
		r.allow(message)
	}
}

// allow says that a retained message may come, at the lower of its QoS and the granted one.
func (r *replayed) allow(message delivery) {
	t := r.messages[message.topic]
	if t == nil {
		t = new(replayedTopic)
		r.messages[message.topic] = t
	}
	t.most = r.times
	message.qos = min(message.qos, r.granted)
	if !slices.Contains(t.messages, message) {
		t.messages = append(t.messages, message)
	}
}

// changeReplay says that a retained message was replaced or cleared: which one comes is open, and
// whether one does, as the subscriber gets the newer one live.
func (d *due) changeReplay(message delivery) {
	for i := range d.replays {
		r := &d.replays[i]
		if !filterMatches(r.filter, message.topic) {
			continue
		}
		if message.payload != "" {
			r.allow(message)
		}
		if t := r.messages[message.topic]; t != nil {
			t.least = 0
		}
	}
}

// replaying reports whether retained messages of a topic may come.
func (d *due) replaying(topic string) bool {
	return slices.ContainsFunc(d.replays, func(r replayed) bool { return filterMatches(r.filter, topic) })
}

// replaysAbove is how many retained messages above QoS 0 may come at most.
func (d *due) replaysAbove() (most int) {
	for _, r := range d.replays {
		for _, t := range r.messages {
			if t.above() {
				most += t.most
			}
		}
	}
	return most
}

// replaysLeast is how many retained messages come at least.
func (d *due) replaysLeast() (least int) {
	for _, r := range d.replays {
		for _, t := range r.messages {
			least += t.least
		}
	}
	return least
}

func (t *replayedTopic) above() bool {
	return slices.ContainsFunc(t.messages, func(m delivery) bool { return m.qos > codec.QoS0 })
}

// replaysDecided reports whether it is known which retained messages above QoS 0 come.
func (d *due) replaysDecided() bool {
	for _, r := range d.replays {
		for _, t := range r.messages {
			if t.above() && (t.least != 1 || t.most != 1 || len(t.messages) != 1) {
				return false
			}
		}
	}
	return true
}

// replayedAbove returns them, in an order that does not depend on the broker. They are decided.
func (d *due) replayedAbove() (all []delivery) {
	for _, r := range d.replays {
		for _, topic := range slices.Sorted(maps.Keys(r.messages)) {
			if t := r.messages[topic]; t.above() {
				all = append(all, t.messages[0])
			}
		}
	}
	return all
}

// cancelReplay says that a filter is unsubscribed in the step that it was subscribed in.
func (d *due) cancelReplay(filter string) {
	for i := range d.replays {
		if d.replays[i].filter == filter {
			for _, t := range d.replays[i].messages {
				t.least = 0
			}
		}
	}
}

// byTopic adds up what the filters bring.
func (d *due) byTopic() map[string]replayedTopic {
	all := map[string]replayedTopic{}
	for _, r := range d.replays {
		for topic, t := range r.messages {
			sum := all[topic]
			sum.least += t.least
			sum.most += t.most
			sum.messages = append(sum.messages, t.messages...)
			all[topic] = sum
		}
	}
	return all
}

// clone copies what a step may change, but for what was due before it.
func (m *historyModel) clone() *historyModel {
	n := &historyModel{sessions: map[string]*modelSession{}, retained: maps.Clone(m.retained)}
	for id, s := range m.sessions {
		n.sessions[id] = s.clone()
	}
	for slot, c := range m.live {
		if c != nil {
			clone := *c
			clone.session, clone.due = c.session.clone(), due{}
			n.live[slot] = &clone
		}
	}
	return n
}

// refusal is the code with which a well-formed CONNECT is answered.
func refusal(c *historyConnect) codec.ConnackCode {
	switch {
	case c.level != 4:
		return codec.UnacceptableProtocolVersion
	case len(c.clientID) > modelClientIDMax, c.clientID == "" && !c.clean:
		return codec.IdentifierRejected
	default:
		return codec.Accepted
	}
}

// headerFault reports whether a packet is a violation by its first byte.
func headerFault(p *historyPacket) bool {
	switch {
	case p.raw != "":
		return true
	case p.kind == codec.PUBLISH:
		return p.qos() > 2 || p.qos() == 0 && p.flags&publishDup != 0
	case p.kind == codec.PUBREL, p.kind == codec.SUBSCRIBE, p.kind == codec.UNSUBSCRIBE:
		return p.flags != 2
	default:
		return p.flags != 0
	}
}

// legalBefore reports whether a packet may be the first of a connection.
func legalBefore(p *historyPacket) bool {
	if headerFault(p) || p.kind != codec.CONNECT {
		return false
	}
	c := p.connect
	switch {
	case c.name != "MQTT":
		return false
	case c.level != 4: // refused, and the rest not looked at
		return true
	case c.reserved:
		return false
	default:
		return c.will == nil || c.will.qos <= 2 && legalTopic(c.will.topic)
	}
}

// legal reports whether a client that is connected may send the packet.
func legal(p *historyPacket) bool {
	if headerFault(p) {
		return false
	}
	switch p.kind {
	case codec.PUBLISH:
		return (p.qos() == 0 || p.id != 0) && legalTopic(p.topic)
	case codec.PUBACK, codec.PUBREC, codec.PUBREL, codec.PUBCOMP:
		return p.id != 0
	case codec.SUBSCRIBE, codec.UNSUBSCRIBE:
		illegal := func(s codec.Subscription) bool { return s.QoS > 2 || !legalFilter(s.Filter) }
		return p.id != 0 && len(p.filters) > 0 && !slices.ContainsFunc(p.filters, illegal)
	case codec.PINGREQ, codec.DISCONNECT:
		return true
	default: // a second CONNECT, and what only servers send
		return false
	}
}

func legalTopic(topic string) bool {
	return legalText(topic) && !strings.ContainsAny(topic, "+#") && !beyondLimits(topic)
}

func legalFilter(filter string) bool {
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if len(level) > 1 && strings.ContainsAny(level, "+#") || level == "#" && i < len(levels)-1 {
			return false
		}
	}
	return legalText(filter)
}

func legalText(s string) bool { return s != "" && utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// beyondLimits reports whether a topic or filter is longer than this broker allows.
func beyondLimits(topic string) bool {
	return len(topic) > modelTopicBytesMax || strings.Count(topic, "/") >= modelTopicLevelsMax
}

// filterMatches is section 4.7, level by level.
func filterMatches(filter, topic string) bool {
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false // [MQTT-4.7.2-1]
	}
	for {
		want, filterRest, filterGoesOn := strings.Cut(filter, "/")
		if want == "#" {
			return true
		}
		level, topicRest, topicGoesOn := strings.Cut(topic, "/")
		if want != "+" && want != level {
			return false
		}
		switch {
		case !topicGoesOn:
			return !filterGoesOn || filterRest == "#" // `sport/#` matches `sport`
		case !filterGoesOn:
			return false
		}
		filter, topic = filterRest, topicRest
	}
}

func TestHistoryModelMatches(t *testing.T) {
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"s/#", "s", true}, {"s/#", "s/a/b", true}, {"s/#", "st", false}, {"s/#", "t/a", false}, {"s/a/#", "s", false},
		{"#", "a/b", true}, {"#", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true}, {"+/a", "$SYS/a", false},
		{"+", "a", true}, {"+", "a/b", false}, {"+", "/a", false}, {"/+", "/a", true}, {"+/+", "/a", true},
		{"a/+", "a/", true}, {"a/+", "a", false}, {"a/b", "a/b", true}, {"a/b", "a/b/c", false}, {"a/b/c", "a/b", false},
		{"a/+/#", "a", false}, {"a/+/#", "a/b", true}, {"a//#", "a//", true}, {"a/#", "a//", true},
	} {
		require.Equal(t, c.want, filterMatches(c.filter, c.topic), "%s on %s", c.filter, c.topic)
	}
}

// retainedTopics returns the topics with a retained message, sorted.
func (m *historyModel) retainedTopics() []string {
	return slices.Sorted(maps.Keys(m.retained))
}

package reactor

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// historyGenerator makes histories. It asks a model of its own what is going on, so that most steps
// find something to do; a history is a function of its seed.
type historyGenerator struct {
	random *rand.Rand
	model  *historyModel
	slots  int
	said   int // messages, so that no two are alike
	open   int // steps that were left out, as they have more than one outcome
}

// Topics and filters are few, so that they meet. What begins with a wildcard also sees the other
// histories on the broker, and costs accordingly.
var (
	historyTopics = []string{
		"@", "@/a", "@/a", "@/a/b", "@/a/b", "@/b", "@//", "/@/a", "$@/a", "$SYS/@/a", "@/ä/$b",
	}
	historyFilters = []string{
		"@", "@/a", "@/a", "@/a/b", "@/b", "@/+", "@/+", "@/#", "@/#", "@/+/b", "@/a/#", "@/a/+", "@/+/#", "@//", "@//+",
		"@/+/+", "/@/#", "/@/+", "/+/a", "$@/#", "$@/+", "$SYS/@/#", "$SYS/+/a", "@/ä/$b", "@/ä/#", "@/b/#", "@/c",
	}
	historyRootFilters = []string{"#", "+", "+/a", "+/#", "/#", "+/+/a", "+/a/b"}
)

var acknowledgements = []codec.PacketType{codec.PUBACK, codec.PUBREC, codec.PUBREL, codec.PUBCOMP}

var (
	deepTopic = "@" + strings.Repeat("/", modelTopicLevelsMax)
	longTopic = "@/" + strings.Repeat("l", modelTopicBytesMax)
)

// generateHistory returns the history of a seed.
func generateHistory(seed uint64) []historyStep { return newHistoryGenerator(seed).history() }

func newHistoryGenerator(seed uint64) *historyGenerator {
	return &historyGenerator{random: rand.New(rand.NewPCG(seed, 311)), model: newHistoryModel()}
}

func (g *historyGenerator) history() []historyStep {
	g.slots = 2 + g.random.IntN(historySlots-1)
	steps := make([]historyStep, 0, 32)
	for range 10 + g.random.IntN(17) {
		s := g.step()
		if o, ok := g.model.apply(&s); ok {
			steps = append(steps, s)
			o.pretend()
		} else if g.model.applicable(&s) {
			g.open++
		}
	}
	return steps
}

// pretend gives messages Packet Identifiers, as no broker does.
func (o *outcome) pretend() {
	for _, c := range o.concerned {
		if c.session == nil {
			continue
		}
		id := uint16(0)
		for _, x := range slices.Concat(c.session.retained, c.session.live) {
			if id = max(id+1, x.id); x.sent != no {
				x.id = id
			}
		}
	}
}

func (g *historyGenerator) chance(percent int) bool { return g.random.IntN(100) < percent }

func pick[T any](g *historyGenerator, from []T) T { return from[g.random.IntN(len(from))] }

func (g *historyGenerator) step() historyStep {
	s := historyStep{slot: g.random.IntN(g.slots)}
	if other := g.random.IntN(g.slots); g.model.live[other] == nil && g.chance(60) {
		s.slot = other // or too many are away
	}
	switch c := g.model.live[s.slot]; {
	case c == nil:
		s.opens, s.eager = true, g.chance(25)
		first := g.opening(s.slot)
		s.packets = append(s.packets, first)
		var resumed *modelConn
		if first.kind == codec.CONNECT && !first.connect.clean && g.model.sessions[first.connect.clientID] != nil {
			resumed = &modelConn{session: g.model.sessions[first.connect.clientID]}
		}
		if g.chance(65) && (resumed == nil || g.chance(40)) {
			s.packets = append(s.packets, g.subscribe())
		}
		for g.chance(25) {
			s.packets = append(s.packets, g.packet(resumed))
		}
	case g.chance(6):
		s.opens, s.eager = true, g.chance(30)
		s.packets = append(s.packets, g.connect(c.clientID))
	case g.chance(5):
		s.ending = resets
		return s
	case g.chance(14):
		s.packets = g.burst(c)
	default:
		for range 1 + g.random.IntN(4) {
			s.packets = append(s.packets, g.packet(c))
		}
	}
	if g.chance(4) {
		s.ending = halfCloses
		s.partial = g.chance(50)
	}
	s.alone = g.chance(30)
	if g.chance(30) {
		for range 1 + g.random.IntN(3) {
			s.cuts = append(s.cuts, byte(g.random.IntN(256)))
		}
		slices.Sort(s.cuts)
	}
	return s
}

// opening is the first packet of a connection: mostly a CONNECT that is accepted.
func (g *historyGenerator) opening(slot int) historyPacket {
	identifiers := []string{"@0", "@1", "@2"}[:g.slots]
	p := g.connect(identifiers[slot])
	if g.chance(30) {
		p = g.connect(pick(g, identifiers)) // perhaps of somebody else
	}
	if g.chance(88) {
		if g.chance(8) {
			p.connect.clientID, p.connect.clean = "", true
		}
		return p
	}
	c := p.connect
	switch g.random.IntN(10) {
	case 0:
		return historyPacket{raw: pick(g, []string{
			"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01", "\x00", "\xff\xff", "\x10\xff\xff\xff\xff\x01",
		})}
	case 1:
		return g.packet(nil)
	case 2:
		c.clientID, c.clean = "", false
	case 3:
		c.clientID = "@" + strings.Repeat("x", modelClientIDMax)
	case 4:
		c.level = pick(g, []byte{0, 3, 5, 0x84})
	case 5:
		c.name = pick(g, []string{"", "MQT", "mqtt", "MQTTT"})
	case 6:
		c.reserved = true
	case 7:
		c.will = g.will()
		c.will.topic = pick(g, []string{"@/+", "@/#", "", "@/\x00", deepTopic, longTopic})
	case 8:
		c.will = g.will()
		c.will.qos = 3
	case 9:
		p.flags = 1 << g.random.IntN(4)
	}
	return p
}

func (g *historyGenerator) connect(clientID string) historyPacket {
	c := &historyConnect{name: "MQTT", level: 4, clean: g.chance(25), clientID: clientID}
	if g.chance(55) {
		c.will = g.will()
	}
	return historyPacket{kind: codec.CONNECT, connect: c, padded: g.chance(5)}
}

func (g *historyGenerator) will() *historyWill {
	qos := codec.QoS(g.random.IntN(3))
	return &historyWill{topic: g.topic(), payload: g.payload("will"), qos: qos, retain: g.chance(40)}
}

// topic is one that somebody wants, above QoS 0 if possible, more often than not.
func (g *historyGenerator) topic() string {
	topic := pick(g, historyTopics)
	for least := codec.QoS(3); least > codec.QoS0; {
		least--
		for range 3 {
			if g.wanted(topic, least) {
				return topic
			}
			topic = pick(g, historyTopics)
		}
	}
	return topic
}

// wanted reports whether somebody has a subscription of a QoS at least that matches a topic, connected or not.
func (g *historyGenerator) wanted(topic string, least codec.QoS) bool {
	for _, c := range g.model.live {
		if c == nil {
			continue
		}
		if granted, wants := c.session.wants(topic); wants && granted >= least {
			return true
		}
	}
	for _, s := range g.model.sessions {
		if granted, wants := s.wants(topic); wants && granted >= least {
			return true
		}
	}
	return false
}

// burst is a number of messages on one topic, mostly above QoS 0, so that a window and a queue fill up.
func (g *historyGenerator) burst(c *modelConn) (packets []historyPacket) {
	topic := g.topic()
	for range 4 + g.random.IntN(6) {
		p := g.publish(c)
		p.topic = topic
		if g.chance(80) {
			p.flags &^= publishRetain
		}
		if p.qos() == codec.QoS0 && g.chance(60) {
			p.flags, p.id = p.flags|1<<1, g.id(nil)
		}
		packets = append(packets, p)
	}
	return packets
}

// payload is one that was not there before, or an empty one.
func (g *historyGenerator) payload(what string) string {
	if g.chance(15) {
		return ""
	}
	g.said++
	return fmt.Sprintf("%s %d", what, g.said)
}

// packet is what a client says in the middle of its life. c is nil when it has none behind it.
func (g *historyGenerator) packet(c *modelConn) historyPacket {
	if c != nil && len(c.session.reachable()) > 0 && g.chance(35) {
		return g.acknowledge(c)
	}
	switch n := g.random.IntN(100); {
	case n < 48:
		return g.publish(c)
	case n < 68:
		return g.subscribe()
	case n < 76:
		return g.unsubscribe(c)
	case n < 86:
		if g.chance(40) {
			return g.stray()
		}
		return historyPacket{kind: codec.PUBREL, flags: legalFlags(codec.PUBREL), id: g.id(c)}
	case n < 91:
		return historyPacket{kind: codec.PINGREQ, padded: g.chance(10)}
	case n < 94:
		return historyPacket{kind: codec.DISCONNECT}
	case n < 95:
		return g.connect("@0")
	case n < 97:
		return g.illegal(c)
	default:
		return g.spoilt(c)
	}
}

// acknowledge is what is due for one of the messages that c has got, mostly the first; or something else for it.
func (g *historyGenerator) acknowledge(c *modelConn) historyPacket {
	messages := c.session.reachable()
	i := 0
	if g.chance(30) {
		i = g.random.IntN(len(messages))
	}
	p := g.stray()
	p.of = i + 1
	switch x := messages[i]; {
	case g.chance(10):
		p.of = ofFinished
	case g.chance(10): // whatever it is
	case x.released:
		p.kind = codec.PUBCOMP
	case x.qos == codec.QoS2:
		p.kind = codec.PUBREC
	default:
		p.kind = codec.PUBACK
	}
	return p
}

// stray acknowledges what was never sent: a broker that has sent a client so many messages is not in a history.
func (g *historyGenerator) stray() historyPacket {
	kind := pick(g, []codec.PacketType{codec.PUBACK, codec.PUBREC, codec.PUBCOMP})
	return historyPacket{kind: kind, id: pick(g, []uint16{0x7000, 0xF000})}
}

func legalFlags(kind codec.PacketType) byte {
	switch kind {
	case codec.PUBREL, codec.SUBSCRIBE, codec.UNSUBSCRIBE:
		return 2
	default:
		return 0
	}
}

// id is a Packet Identifier, now and then one that waits for its PUBREL.
func (g *historyGenerator) id(c *modelConn) uint16 {
	if c != nil && len(c.session.unreleased) > 0 && g.chance(60) {
		return pick(g, slices.Sorted(maps.Keys(c.session.unreleased)))
	}
	if g.chance(5) {
		return 0xFFFF
	}
	return uint16(1 + g.random.IntN(4))
}

func (g *historyGenerator) publish(c *modelConn) historyPacket {
	p := historyPacket{kind: codec.PUBLISH, topic: g.topic(), payload: g.payload("message"), padded: g.chance(5)}
	if g.chance(30) {
		p.flags |= publishRetain
	}
	if qos := pick(g, []byte{0, 0, 1, 2, 2}); qos > 0 {
		p.id = g.id(c)
		p.flags |= qos << 1
		if c != nil && c.session.unreleased[p.id] && g.chance(80) || g.chance(10) {
			p.flags |= publishDup
		}
	}
	return p
}

// filter is one of the few, at times one that sees other histories.
func (g *historyGenerator) filter() string {
	if g.chance(4) {
		return pick(g, historyRootFilters)
	}
	if filter := pick(g, historyFilters); len(g.model.retained) == 0 || g.chance(50) {
		return filter
	}
	for range 3 { // one that finds something retained
		filter := pick(g, historyFilters)
		for topic := range g.model.retained {
			if filterMatches(filter, topic) {
				return filter
			}
		}
	}
	return pick(g, historyFilters)
}

func (g *historyGenerator) subscribe() historyPacket {
	p := historyPacket{kind: codec.SUBSCRIBE, flags: 2, id: g.id(nil), padded: g.chance(5)}
	for range pick(g, []int{1, 1, 1, 2, 3}) {
		s := codec.Subscription{Filter: g.filter()}
		if strings.Contains(s.Filter, tagMark) { // what sees other histories must not fill the window with their messages
			s.QoS = pick(g, []codec.QoS{codec.QoS0, codec.QoS1, codec.QoS1, codec.QoS2, codec.QoS2})
		}
		p.filters = append(p.filters, s)
	}
	switch {
	case g.chance(10):
		p.filters = append(p.filters, p.filters[0])
	case g.chance(3):
		p.filters = append(p.filters, codec.Subscription{Filter: pick(g, []string{deepTopic, longTopic})})
	}
	return p
}

// unsubscribe mostly takes filters that the client has.
func (g *historyGenerator) unsubscribe(c *modelConn) historyPacket {
	p := historyPacket{kind: codec.UNSUBSCRIBE, flags: 2, id: g.id(nil)}
	for range pick(g, []int{1, 1, 2}) {
		filter := g.filter()
		if c != nil && len(c.session.filters) > 0 && g.chance(75) {
			filter = pick(g, slices.Sorted(maps.Keys(c.session.filters)))
		}
		p.filters = append(p.filters, codec.Subscription{Filter: filter})
	}
	return p
}

// spoilt is a packet whose contents are a violation, with everything else in order.
func (g *historyGenerator) spoilt(c *modelConn) historyPacket {
	switch g.random.IntN(5) {
	case 0:
		p := g.publish(c)
		p.topic = pick(g, []string{"", "@/+", "@/#", "#", "@/a+", "@/\x00", "@/\xff", deepTopic, longTopic})
		return p
	case 1:
		p := g.publish(c)
		p.flags, p.id = p.flags&^6|2, 0
		return p
	case 2:
		p := pick(g, []func() historyPacket{g.subscribe, func() historyPacket { return g.unsubscribe(c) }})()
		illegal := pick(g, []string{"", "@/#/a", "@/a#", "@/a+", "+@", "@/++", "#/", "@/\x00", "@/\xff"})
		p.filters = slices.Insert(p.filters, g.random.IntN(len(p.filters)+1), codec.Subscription{Filter: illegal})
		return p
	case 3:
		p := g.subscribe()
		p.filters[g.random.IntN(len(p.filters))].QoS = codec.QoS(3 + g.random.IntN(253))
		return p
	default:
		kind := pick(g, append([]codec.PacketType{codec.SUBSCRIBE, codec.UNSUBSCRIBE}, acknowledgements...))
		p := historyPacket{kind: kind, flags: legalFlags(kind)} // of id 0
		if g.chance(50) && (kind == codec.SUBSCRIBE || kind == codec.UNSUBSCRIBE) {
			p.id = 1 // and without a filter
		}
		return p
	}
}

// illegal is a packet that no client may send.
func (g *historyGenerator) illegal(c *modelConn) historyPacket {
	switch g.random.IntN(4) {
	case 0:
		kind := pick(g, []codec.PacketType{codec.SUBACK, codec.UNSUBACK, codec.PINGRESP, codec.CONNACK})
		return historyPacket{kind: kind, id: 1}
	case 1: // reserved flags
		p := pick(g, []func() historyPacket{g.subscribe, func() historyPacket { return g.unsubscribe(c) },
			func() historyPacket { return historyPacket{kind: codec.PINGREQ} },
			func() historyPacket { return historyPacket{kind: codec.PUBREL, flags: 2, id: g.id(c)} },
			func() historyPacket { return historyPacket{kind: codec.DISCONNECT} }})()
		p.flags ^= 1 << g.random.IntN(4)
		return p
	case 2: // QoS 3, or DUP at QoS 0
		p := g.publish(c)
		p.flags = pick(g, []byte{6, 7, 8, 9, 14})
		p.id = 7
		return p
	default:
		return historyPacket{raw: pick(g, []string{
			"\x00\x00", "\xf0\x00", "\xc0\x01\x00", "\xe0\x01\x00", "\x40\x03\x00\x01\x00", "\x30\x01\x00", "\x30\x02\x00\x05",
			"\x82\x05\x00\x01\x00\x05a", "\x30\xff\xff\xff\xff\x01", "\x30\xff\xff\xff\x7f", "\xa2\x02\x00\x01", "\x62\x00",
		})}
	}
}

// TestHistoriesReach says that the histories are about something: that what the model can predict
// comes up in them, and often.
func TestHistoriesReach(t *testing.T) {
	const seeds = 500
	r := reach{}
	var totals historyTotals
	for seed := range uint64(seeds) {
		g, m := newHistoryGenerator(seed), newHistoryModel()
		steps := g.history()
		r["steps"] += len(steps)
		r["steps left out"] += g.open
		require.Equal(t, tell(steps), tell(generateHistory(seed)), "a history is a function of its seed")
		for i := range steps {
			o, ok := m.apply(&steps[i])
			require.True(t, ok)
			o.pretend()
			r.look(&o)
		}
		totals.add(&m.totals)
	}
	r["takeovers"], r["violations"] = int(totals.Takeovers), int(totals.ProtocolErrors)
	r["refused connections"], r["refused filters"] = int(totals.ConnectsRefused), int(totals.FiltersRefused)
	r["dropped for want of room"] = int(totals.QueueFull[0] + totals.QueueFull[1])
	for what, least := range map[string]float64{ // per history
		"messages": 2, "messages to others": 1, "Wills": 0.1, "retained messages": 0.5, "connections that end": 2,
		"takeovers": 1, "violations": 1, "refused connections": 0.1, "refused filters": 0.1,
		"above QoS 0": 4, "above QoS 0 for others": 2, "sessions resumed": 0.5, "sent again": 0.5, "sent again, or not": 0.05,
		"waiting": 0.5, "PUBREL again": 0.04, "retained above QoS 0": 0.3, "retained sent again": 0.1,
		"all acknowledged": 1, "acknowledged before": 0.05, "PUBREL": 0.3, "dropped for want of room": 0.5,
	} {
		assert.GreaterOrEqual(t, float64(r[what]), least*seeds, what)
	}
	assert.Less(t, r["undecided"]*5, r["retained messages"], "what the model leaves open")
	assert.Less(t, r["steps left out"]*20, r["steps"], "what the model leaves out")
	for _, what := range slices.Sorted(maps.Keys(r)) {
		t.Logf("%6d %s", r[what], what)
	}
}

// reach counts what comes up.
type reach map[string]int

func (r reach) look(o *outcome) {
	for _, c := range o.concerned {
		d := &c.due
		r["messages"] += len(d.live)
		r["above QoS 0"] += len(d.above)
		r["connections that end"] += count(d.ends)
		if c != o.actor {
			r["messages to others"] += len(d.live)
			r["above QoS 0 for others"] += len(d.above)
		}
		for _, m := range d.live {
			r["Wills"] += count(strings.HasPrefix(m.payload, "will"))
		}
		for _, m := range d.above {
			r["sent again"] += count(m.before == yes)
			r["sent again, or not"] += count(m.before == perhaps)
		}
		for _, t := range d.byTopic() {
			r["retained messages"]++
			r["undecided"] += count(t.least < t.most)
		}
		r["retained above QoS 0"] += d.replaysAbove()
		r["retained sent again"] += len(d.retainedAgain)
		r["PUBREL again"] += len(d.retainedReleased) + len(d.released)
		r["PUBREL"] += len(d.releases)
		r["all acknowledged"] += count(d.answers)
		r["acknowledged before"] += len(d.acknowledgements)
		if len(d.replies) > 0 && strings.HasPrefix(d.replies[0], "CONNACK present 1") {
			r["sessions resumed"]++
		}
		if c.session != nil {
			r["waiting"] += c.session.size() - len(c.session.retained) - c.session.sentLive(perhaps)
		}
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

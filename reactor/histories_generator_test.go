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
func generateHistory(seed uint64) []historyStep {
	g := &historyGenerator{random: rand.New(rand.NewPCG(seed, 311)), model: newHistoryModel()}
	g.slots = 2 + g.random.IntN(historySlots-1)
	steps := make([]historyStep, 0, 24)
	for range 8 + g.random.IntN(13) {
		s := g.step()
		if _, ok := g.model.apply(&s); ok {
			steps = append(steps, s)
		}
	}
	return steps
}

func (g *historyGenerator) chance(percent int) bool { return g.random.IntN(100) < percent }

func pick[T any](g *historyGenerator, from []T) T { return from[g.random.IntN(len(from))] }

func (g *historyGenerator) step() historyStep {
	s := historyStep{slot: g.random.IntN(g.slots)}
	if other := g.random.IntN(g.slots); g.model.live[other] == nil {
		s.slot = other // or too many are away
	}
	switch c := g.model.live[s.slot]; {
	case c == nil:
		s.opens = true
		s.packets = append(s.packets, g.opening(s.slot))
		if g.chance(50) {
			s.packets = append(s.packets, g.subscribe())
		}
		for g.chance(25) {
			s.packets = append(s.packets, g.packet(nil))
		}
	case g.chance(4):
		s.opens = true
		s.packets = append(s.packets, g.connect(c.clientID))
	case g.chance(4):
		s.ending = resets
		return s
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
	c := &historyConnect{name: "MQTT", level: 4, clean: g.chance(70), clientID: clientID}
	if g.chance(55) {
		c.will = g.will()
	}
	return historyPacket{kind: codec.CONNECT, connect: c, padded: g.chance(5)}
}

func (g *historyGenerator) will() *historyWill {
	qos := codec.QoS(g.random.IntN(3))
	return &historyWill{topic: g.topic(), payload: g.payload("will"), qos: qos, retain: g.chance(40)}
}

// topic is one that somebody wants, more often than not.
func (g *historyGenerator) topic() string {
	topic := pick(g, historyTopics)
	for range 3 {
		for _, c := range g.model.live {
			if c == nil {
				continue
			}
			for filter := range c.session.filters {
				if filterMatches(filter, topic) {
					return topic
				}
			}
		}
		topic = pick(g, historyTopics)
	}
	return topic
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
	switch n := g.random.IntN(100); {
	case n < 48:
		return g.publish(c)
	case n < 68:
		return g.subscribe()
	case n < 76:
		return g.unsubscribe(c)
	case n < 86:
		kind := codec.PUBREL
		if g.chance(50) {
			kind = pick(g, acknowledgements)
		}
		return historyPacket{kind: kind, flags: legalFlags(kind), id: g.id(c)}
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
		p.filters = append(p.filters, codec.Subscription{Filter: g.filter(), QoS: codec.QoS0})
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
	var totals historyTotals
	var live, toOthers, wills, replays, undecided, ends int
	for seed := range uint64(seeds) {
		steps, m := generateHistory(seed), newHistoryModel()
		require.Equal(t, tell(steps), tell(generateHistory(seed)), "a history is a function of its seed")
		for i := range steps {
			o, ok := m.apply(&steps[i])
			require.True(t, ok)
			for _, c := range o.concerned {
				live += len(c.due.live)
				for _, d := range c.due.live {
					toOthers += count(c != o.actor)
					wills += count(strings.HasPrefix(d.payload, "will"))
				}
				for _, r := range c.due.byTopic() {
					replays++
					undecided += count(r.least < r.most)
				}
				ends += count(c.due.ends)
			}
		}
		totals.add(&m.totals)
	}
	t.Logf("%d messages, %d to others, %d of them Wills; %d retained, %d undecided; %d ends; %+v",
		live, toOthers, wills, replays, undecided, ends, totals)
	for what, n := range map[string]int{
		"messages": live / 4, "messages to others": toOthers / 2, "Wills": wills * 5, "retained messages": replays,
		"connections that end": ends / 2, "takeovers": int(totals.Takeovers), "violations": int(totals.ProtocolErrors),
		"refused connections": int(totals.ConnectsRefused) * 8, "refused filters": int(totals.FiltersRefused) * 8,
	} {
		assert.Greater(t, n, seeds, what)
	}
	assert.Less(t, undecided*5, replays, "what the model leaves open")
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

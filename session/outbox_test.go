package session

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/session/store"
)

// roomy is Limits that no test reaches by accident.
var roomy = Limits{Inflight: 20, Messages: QueueMax, Bytes: 1 << 30, TotalBytes: 1 << 30}

const roomyBytes = 1 << 20 // for Outbox.Next

// window is roomy with a window.
func window(inflight int) Limits {
	limits := roomy
	limits.Inflight = inflight
	return limits
}

// packetOf returns the packet of a message of topic "t" as outboxes hold it.
func packetOf(payload string) []byte {
	return codec.AppendPublish(nil, &codec.Publish{Topic: []byte("t"), Payload: []byte(payload)})
}

// addTo queues a message for one outbox.
func addTo(o *Outbox, payload string, qos codec.QoS, limits Limits) (Verdict, bool) {
	m := o.queues.NewMessage(packetOf(payload))
	defer m.Release(nil)
	return o.Add(nil, m, qos, limits)
}

// outgoing is a packet that Next returned.
type outgoing struct {
	kind        codec.PacketType
	id          uint16
	qos         codec.QoS
	retain, dup bool
	payload     string
}

func (p outgoing) String() string {
	switch {
	case p.kind != codec.PUBLISH:
		return fmt.Sprint(p.kind, " ", p.id)
	case p.dup:
		return fmt.Sprint("PUBLISH ", p.id, " ", p.payload, " DUP")
	}
	return fmt.Sprint("PUBLISH ", p.id, " ", p.payload)
}

func parseOutgoing(t testing.TB, packets []byte) (list []outgoing) {
	var d codec.Decoder
	d.Feed(packets)
	for {
		f, ok, err := d.Next(1 << 20)
		require.NoError(t, err)
		if !ok {
			require.Zero(t, d.Held())
			return list
		}
		if f.Type != codec.PUBLISH {
			id, err := codec.ParseAck(f, codec.Version311)
			require.NoError(t, err)
			list = append(list, outgoing{kind: f.Type, id: id})
			continue
		}
		p, err := codec.ParsePublish(f, codec.Version311)
		require.NoError(t, err)
		list = append(list, outgoing{codec.PUBLISH, p.PacketID, p.QoS, p.Retain, p.Dup, string(p.Payload)})
	}
}

// sendAll returns what an outbox sends with a window, in words.
func sendAll(t testing.TB, o *Outbox, window int) (list []string) {
	for _, p := range parseOutgoing(t, o.Next(nil, roomyBytes, window, 0, false).Packets) {
		list = append(list, p.String())
	}
	return list
}

// QoS 1: PUBLISH, PUBACK. QoS 2: PUBLISH, PUBREC, PUBREL, PUBCOMP [MQTT-4.3.2-1] [MQTT-4.3.3-1].
func TestOutboxGoesThroughBothProtocols(t *testing.T) {
	var q Queues
	o := q.NewOutbox(0)
	o.Attach()
	addTo(o, "one", codec.QoS1, roomy)
	addTo(o, "two", codec.QoS2, roomy)
	require.Equal(t, []string{"PUBLISH 1 one", "PUBLISH 2 two"}, sendAll(t, o, 20))
	for _, step := range []struct {
		kind codec.PacketType
		id   uint16
		want Progress
	}{
		{codec.PUBREC, 1, Nothing}, {codec.PUBCOMP, 1, Nothing}, // of a QoS 1 message
		{codec.PUBACK, 2, Nothing}, {codec.PUBCOMP, 2, Nothing}, // of one that PUBREC must come for
		{codec.PUBACK, 0, Nothing}, {codec.PUBACK, 3, Nothing}, {codec.PUBREC, 1<<15 + 1, Nothing}, // of none
		{codec.PUBACK, 1, Done}, {codec.PUBACK, 1, Nothing},
		{codec.PUBREC, 2, Received}, {codec.PUBREC, 2, Repeated}, {codec.PUBACK, 2, Nothing},
		{codec.PUBCOMP, 2, Done}, {codec.PUBCOMP, 2, Nothing}, {codec.PUBREC, 2, Nothing},
	} {
		p, _ := o.Acknowledge(nil, step.kind, step.id)
		require.Equal(t, step.want, p, "%v %d", step.kind, step.id)
	}
	require.Equal(t, Book{Matched: 2, Delivered: 2}, o.Book())
	require.Zero(t, o.Inflight())
	require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
}

// What was not acknowledged is sent again on the next connection with its Packet Identifier, in order: PUBLISH with
// DUP, PUBREL without the message [MQTT-4.4.0-1] [MQTT-4.6.0-1]. On the same connection nothing is.
func TestOutboxSendsAgainOnlyToANewConnection(t *testing.T) {
	var q Queues
	o := q.NewOutbox(0)
	o.Attach()
	for _, payload := range []string{"a", "b", "c", "d"} {
		addTo(o, payload, codec.QoS2, roomy)
	}
	require.Equal(t, []string{"PUBLISH 1 a", "PUBLISH 2 b", "PUBLISH 3 c"}, sendAll(t, o, 3))
	o.Acknowledge(nil, codec.PUBREC, 2)
	require.Empty(t, sendAll(t, o, 3))
	o.Detach()
	o.Attach()
	require.Equal(t, []string{"PUBLISH 1 a DUP", "PUBREL 2", "PUBLISH 3 c DUP"}, sendAll(t, o, 3))
	o.Acknowledge(nil, codec.PUBCOMP, 2)
	require.Equal(t, []string{"PUBLISH 4 d"}, sendAll(t, o, 3))
}

// An acknowledgement may come for what was sent before and is not sent again yet: it is not, then.
func TestOutboxAcknowledgedBeforeItIsSentAgain(t *testing.T) {
	var q Queues
	o := q.NewOutbox(0)
	o.Attach()
	for _, payload := range []string{"a", "b", "c"} {
		addTo(o, payload, codec.QoS1, roomy)
	}
	sendAll(t, o, 3)
	o.Detach()
	o.Attach()
	require.Equal(t, []outgoing{{codec.PUBLISH, 1, codec.QoS1, false, true, "a"}},
		parseOutgoing(t, o.Next(nil, 1, 3, 0, false).Packets))
	o.Acknowledge(nil, codec.PUBACK, 3)
	o.Acknowledge(nil, codec.PUBACK, 1)
	require.Equal(t, []string{"PUBLISH 2 b DUP"}, sendAll(t, o, 3))
}

// Retained messages go ahead of live ones that were not sent, and these wait while that is asked for.
func TestOutboxSendsRetainedMessagesFirst(t *testing.T) {
	var q Queues
	o := q.NewOutbox(0)
	o.Attach()
	addTo(o, "live", codec.QoS1, roomy)
	require.True(t, o.AddRetained(nil, packetOf("kept"), codec.QoS1, window(2)))
	require.True(t, o.AddRetained(nil, packetOf("kept too"), codec.QoS2, window(2)))
	require.False(t, o.AddRetained(nil, packetOf("no room"), codec.QoS1, window(2)))
	got := parseOutgoing(t, o.Next(nil, roomyBytes, 2, math.MaxUint64, true).Packets)
	require.Equal(t, []outgoing{
		{codec.PUBLISH, 1 << 15, codec.QoS1, true, false, "kept"},
		{codec.PUBLISH, 1<<15 + 1, codec.QoS2, true, false, "kept too"},
	}, got)
	o.Acknowledge(nil, codec.PUBACK, 1<<15)
	require.Empty(t, o.Next(nil, roomyBytes, 2, math.MaxUint64, true).Packets)
	require.Equal(t, []string{"PUBLISH 1 live"}, sendAll(t, o, 2))
}

// Live messages that were in line at a SUBSCRIBE go although retained ones are to come, and no later ones.
func TestOutboxSendsFirstWhatWasInLine(t *testing.T) {
	var q Queues
	o := q.NewOutbox(0)
	o.Attach()
	addTo(o, "old", codec.QoS1, roomy)
	addTo(o, "older than kept", codec.QoS1, roomy)
	line := o.Line()
	addTo(o, "newer", codec.QoS1, roomy)
	require.True(t, o.LiveFirst(line))
	retainedOnly := func(window int) (payloads []string) {
		for _, p := range parseOutgoing(t, o.Next(nil, roomyBytes, window, math.MaxUint64, true).Packets) {
			payloads = append(payloads, p.payload)
		}
		return payloads
	}
	require.Equal(t, []string{"old"}, retainedOnly(1))
	require.True(t, o.LiveFirst(line))
	require.Equal(t, []string{"older than kept"}, retainedOnly(5))
	require.False(t, o.LiveFirst(line))
	require.True(t, o.AddRetained(nil, packetOf("kept"), codec.QoS1, window(5)))
	require.Equal(t, []string{"kept"}, retainedOnly(5))
	require.Equal(t, []string{"PUBLISH 3 newer"}, sendAll(t, o, 5))
	var none *Outbox
	require.False(t, none.LiveFirst(none.Line()))
}

// A client that never acknowledges costs its limit, whichever it is; what does not fit is refused and counted.
func TestOutboxBounds(t *testing.T) {
	size := len(packetOf("x")) + entryBytes
	for _, c := range []struct {
		name     string
		attached bool
		limits   Limits
		want     int
		verdict  Verdict
	}{
		{"messages, to a client that is away", false, Limits{5, 10, 1 << 20, 1 << 20}, 10, QueueFull},
		{"messages, behind the window", true, Limits{5, 10, 1 << 20, 1 << 20}, 15, QueueFull},
		{"none behind the window", true, Limits{5, 0, 1 << 20, 1 << 20}, 5, QueueFull},
		{"none for a client that is away", false, Limits{5, 0, 1 << 20, 1 << 20}, 0, QueueFull},
		{"bytes", true, Limits{5, 1000, 7 * size, 1 << 20}, 7, QueueFull},
		{"bytes, one message at least", true, Limits{5, 1000, 1, 1 << 20}, 1, QueueFull},
		{"bytes of all clients, within the window", true, Limits{20, 1000, 1 << 20, 16*size + 1}, 16, MemoryFull},
		{"bytes of all clients, behind the window", true, Limits{5, 1000, 1 << 20, 16*size + 1}, 14, MemoryFull},
		{"bytes of all clients, to a client that is away", false, Limits{20, 1000, 1 << 20, 16*size + 1}, 14, MemoryFull},
	} {
		t.Run(c.name, func(t *testing.T) {
			var q Queues
			o := q.NewOutbox(0)
			if c.attached {
				o.Attach()
			}
			for n := range 100 {
				v, _ := addTo(o, "x", codec.QoS1, c.limits)
				if n < c.want {
					require.Equal(t, Queued, v, "message %d", n)
				} else {
					require.Equal(t, c.verdict, v, "message %d", n)
				}
				if c.attached { // sent or not, that is the same
					o.Next(nil, roomyBytes, c.limits.Inflight, 0, false)
				}
			}
			messages, bytes := o.Waiting()
			require.Equal(t, c.want, messages)
			require.Equal(t, c.want*size, bytes)
			want := Book{Matched: 100, Refused: uint64(100 - c.want)}
			if c.verdict == MemoryFull {
				want.MemoryFull = want.Refused
			}
			require.Equal(t, want, o.Book())
			require.Equal(t, [3]uint64{codec.QoS1: uint64(c.want)}, o.Close(nil))
			require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
			v, wake := addTo(o, "x", codec.QoS1, c.limits)
			require.Equal(t, Ended, v)
			require.False(t, wake)
			require.False(t, o.AddRetained(nil, packetOf("x"), codec.QoS1, window(5)))
			require.EqualValues(t, 100, o.Book().Matched)
			require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
		})
	}
}

// A connection is woken once for all that comes until it looks, and not while its window is full: then the
// acknowledgement that makes room has it look.
func TestOutboxWakesOnce(t *testing.T) {
	var q Queues
	o := q.NewOutbox(0)
	limits := roomy
	limits.Inflight = 2
	add := func() bool {
		v, wake := addTo(o, "x", codec.QoS1, limits)
		require.Equal(t, Queued, v)
		return wake
	}
	require.False(t, add(), "nobody is there")
	o.Attach() // who attaches looks anyway
	require.True(t, add())
	require.False(t, add(), "it knows")
	require.Len(t, sendAll(t, o, 2), 2)
	require.False(t, add(), "the window is full")
	o.Acknowledge(nil, codec.PUBACK, 1)
	require.Len(t, sendAll(t, o, 2), 1)
	for id := range uint16(10) {
		o.Acknowledge(nil, codec.PUBACK, id)
		sendAll(t, o, 2)
	}
	require.True(t, add())
	o.Detach()
	require.False(t, add(), "it is gone")
	o.Attach()
	require.True(t, add(), "the one before knew, this one does not")
}

// What is sent again to a new connection comes in the order in which it was sent first, whichever flow it is of
// [MQTT-4.6.0-1], however little room there is.
func TestOutboxSendsAgainInOrder(t *testing.T) {
	var q Queues
	o := q.NewOutbox(0)
	o.Attach()
	send := func(packets ...string) { require.Equal(t, packets, sendAll(t, o, 20)) }
	addTo(o, "a", codec.QoS1, roomy)
	addTo(o, "b", codec.QoS2, roomy)
	send("PUBLISH 1 a", "PUBLISH 2 b")
	o.AddRetained(nil, packetOf("r"), codec.QoS2, roomy)
	send("PUBLISH 32768 r")
	addTo(o, "c", codec.QoS1, roomy)
	send("PUBLISH 3 c")
	o.AddRetained(nil, packetOf("s"), codec.QoS1, roomy)
	addTo(o, "d", codec.QoS1, roomy)
	send("PUBLISH 32769 s", "PUBLISH 4 d")
	o.Acknowledge(nil, codec.PUBACK, 3)
	o.Acknowledge(nil, codec.PUBREC, 1<<15)
	addTo(o, "new", codec.QoS1, roomy)
	for range 2 {
		o.Attach()
		var got []string
		for more := true; more; {
			packets := parseOutgoing(t, o.Next(nil, 1, 20, 0, false).Packets)
			for _, p := range packets {
				got = append(got, p.String())
			}
			more = len(packets) > 0 && len(got) < 5
		}
		require.Equal(t, []string{"PUBLISH 1 a DUP", "PUBLISH 2 b DUP", "PUBREL 32768", "PUBLISH 32769 s DUP", "PUBLISH 4 d DUP"}, got)
	}
	send("PUBLISH 5 new")
}

// The packet of a retained message counts where it is retained: on its way it takes no room from what is published
// now, for its client or others.
func TestRetainedMessagesTakeNoRoom(t *testing.T) {
	var q Queues
	o := q.NewOutbox(0)
	o.Attach()
	large := packetOf(strings.Repeat("r", 100_000))
	for range 20 {
		require.True(t, o.AddRetained(nil, large, codec.QoS1, roomy))
	}
	require.Equal(t, 20*entryBytes, q.Bytes())
	_, bytes := o.Waiting()
	require.Equal(t, 20*(len(large)+entryBytes), bytes)
	size := len(packetOf("live")) + entryBytes
	enough := 20*entryBytes + size
	for _, c := range []struct {
		limits Limits
		want   Verdict
	}{
		{Limits{Inflight: 20, Messages: 1, Bytes: size, TotalBytes: enough}, MemoryFull},
		{Limits{Inflight: 20, Messages: 1, Bytes: size, TotalBytes: enough + enough/7 + 1}, Queued},
		{Limits{Inflight: 20, Messages: 2, Bytes: size, TotalBytes: roomy.TotalBytes}, QueueFull},
	} {
		v, _ := addTo(o, "live", codec.QoS1, c.limits)
		require.Equal(t, c.want, v)
	}
	for id := range uint16(10) {
		o.Next(nil, 1<<30, 20, 0, false)
		o.Acknowledge(nil, codec.PUBACK, 1<<15+id)
	}
	require.Equal(t, enough-10*entryBytes, q.Bytes())
	require.Equal(t, [3]uint64{0, 11, 0}, o.Close(nil))
	require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
}

// A retained message that is on its way counts once, however many wait for it, from when it is no longer retained
// until the last has it.
func TestRetainedMessagesThatAreDroppedCount(t *testing.T) {
	var q Queues
	packet, other := packetOf("replaced"), packetOf("replaced")
	var outboxes []*Outbox
	for range 3 {
		o := q.NewOutbox(0)
		o.Attach()
		require.True(t, o.AddRetained(nil, packet, codec.QoS1, roomy))
		outboxes = append(outboxes, o)
	}
	require.Equal(t, []int{1, 3 * entryBytes, 3}, []int{q.Messages(), q.Bytes(), q.Entries()})
	q.Dropped(other)
	require.Equal(t, 3*entryBytes, q.Bytes(), "nobody waits for that")
	for range 2 { // by who replaced it, and by who found it so
		q.Dropped(packet)
		require.Equal(t, []int{1, len(packet) + 3*entryBytes, 3}, []int{q.Messages(), q.Bytes(), q.Entries()})
	}
	require.True(t, outboxes[0].AddRetained(nil, packet, codec.QoS1, roomy), "by who has found it just before")
	require.Equal(t, []int{1, len(packet) + 4*entryBytes, 4}, []int{q.Messages(), q.Bytes(), q.Entries()})
	outboxes[0].Close(nil)
	outboxes[1].Next(nil, roomyBytes, 20, 0, false)
	outboxes[1].Acknowledge(nil, codec.PUBACK, 1<<15)
	require.Equal(t, []int{1, len(packet) + entryBytes, 1}, []int{q.Messages(), q.Bytes(), q.Entries()})
	outboxes[2].Close(nil)
	require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
	require.Empty(t, q.lent)
}

// A client that does not acknowledge its retained messages costs as many bytes of these as of others, and fewer when
// the queues of all are full: but one it is sent whatever there is.
func TestRetainedMessagesHaveBounds(t *testing.T) {
	size := len(packetOf("x")) + entryBytes
	for _, c := range []struct {
		name   string
		limits Limits
		want   int
	}{
		{"window", Limits{5, 0, 1 << 20, 1 << 20}, 5},
		{"bytes", Limits{20, 0, 7 * size, 1 << 20}, 7},
		{"bytes, one message at least", Limits{20, 0, 1, 1 << 20}, 1},
		{"bytes of all clients", Limits{20, 0, 1 << 20, 9 * size * 8 / 7}, 7},
		{"bytes of all clients, one message at least", Limits{20, 0, 1 << 20, 1}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var q Queues
			another, o := q.NewOutbox(0), q.NewOutbox(0)
			for range 2 {
				addTo(another, "x", codec.QoS1, roomy)
			}
			o.Attach()
			add := func() bool {
				packet := packetOf("x")
				added := o.AddRetained(nil, packet, codec.QoS1, c.limits)
				q.Dropped(packet)
				return added
			}
			for n := range 100 {
				require.Equal(t, n < c.want, add(), "message %d", n)
			}
			messages, bytes := o.Waiting()
			require.Equal(t, []int{c.want, c.want * size, (c.want + 2) * size}, []int{messages, bytes, q.Bytes()})
			sendAll(t, o, c.limits.Inflight)
			o.Acknowledge(nil, codec.PUBACK, 1<<15)
			require.True(t, add())
			require.False(t, add())
			require.Equal(t, Queued, first(addTo(o, "x", codec.QoS1, Limits{20, 1, size, 1 << 20})), "what is published now has its own")
			o.Close(nil)
			another.Close(nil)
			require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
		})
	}
}

// Whoever is the first to see that a message is no longer retained, who sends it or who replaces it: it counts.
func TestRetainedMessagesThatAreReplacedJustNow(t *testing.T) {
	const topics, rounds = 3, 3000
	var q Queues
	var retained [topics]atomic.Pointer[[]byte]
	replace := func(topic int, packet *[]byte) {
		if before := retained[topic].Swap(packet); before != nil {
			q.Dropped(*before)
		}
	}
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() {
			for n := range rounds {
				packet := packetOf(fmt.Sprint("message ", n))
				replace(n%topics, &packet)
			}
		})
	}
	outboxes := []*Outbox{q.NewOutbox(0), q.NewOutbox(0), q.NewOutbox(0)}
	for i, o := range outboxes {
		o.Attach()
		working.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 0))
			for range rounds {
				at := &retained[random.IntN(topics)]
				packet := at.Load()
				if packet != nil && o.AddRetained(nil, *packet, codec.QoS1, roomy) && at.Load() != packet {
					q.Dropped(*packet)
				}
				for _, p := range parseOutgoing(t, o.Next(nil, 1, 20, 0, false).Packets) {
					o.Acknowledge(nil, codec.PUBACK, p.id-uint16(random.IntN(5)))
				}
			}
		})
	}
	working.Wait()
	for topic := range retained {
		replace(topic, nil)
	}
	bytes := q.Entries() * entryBytes
	for _, m := range q.lent {
		bytes += len(m.packet)
	}
	require.NotEmpty(t, q.lent)
	require.Equal(t, bytes, q.Bytes())
	require.Equal(t, len(q.lent), q.Messages())
	for _, o := range outboxes {
		o.Close(nil)
	}
	require.Empty(t, q.lent)
	require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
}

func first(v Verdict, _ bool) Verdict { return v }

// TestRandomOutboxes compares outboxes, in memory and in a store of each kind, with a naive model, through
// everything that may happen to them and through restarts.
func TestRandomOutboxes(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newOutboxWorld(t, seed)
			for range 400 {
				w.step()
				w.check()
			}
			for _, m := range w.outboxes {
				m.close()
				w.check()
			}
			require.Zero(t, w.queues.Messages()+w.queues.Bytes()+w.queues.Entries())
			w.restart() // with what the store has now: nothing
			for _, m := range w.outboxes {
				require.Empty(t, m.flows[replayed])
				require.Empty(t, m.flows[live])
			}
		})
	}
}

// outboxWorld is some outboxes and the model of each.
type outboxWorld struct {
	t        *testing.T
	random   *rand.Rand
	queues   *Queues
	store    *store.Store // nil: none
	dir      string
	sync     store.Sync
	outboxes []*outboxModel
	limits   Limits
	retained []*modelMessage
	names    int
}

func newOutboxWorld(t *testing.T, seed uint64) *outboxWorld {
	w := &outboxWorld{t: t, random: rand.New(rand.NewPCG(seed, 0)), queues: new(Queues), dir: t.TempDir()}
	w.limits = Limits{
		Inflight:   1 + w.random.IntN(6),
		Messages:   w.random.IntN(12),
		Bytes:      100 + w.random.IntN(3000),
		TotalBytes: 500 + w.random.IntN(6000),
	}
	stored := seed%3 > 0
	if seed%3 == 2 {
		w.sync = store.Always
	}
	for i := range 3 {
		m := &outboxModel{outboxWorld: w}
		if stored && i < 2 { // the third client's session is not kept
			m.number = uint64(i) + 1
		}
		m.outbox = w.queues.NewOutbox(m.number)
		w.outboxes = append(w.outboxes, m)
	}
	if stored {
		w.open(store.Visitor{})
		tx := w.store.Begin()
		tx.PutSession(1, store.Session{ClientID: "one"}, true)
		tx.PutSession(2, store.Session{ClientID: "two"}, true)
		tx.End()
		t.Cleanup(func() {
			if !t.Failed() { // it may have a tx open
				require.NoError(t, w.store.Close())
			}
		})
	}
	return w
}

func (w *outboxWorld) open(v store.Visitor) {
	var err error
	w.store, err = store.Open(w.dir, store.Options{Sync: w.sync, Interval: time.Hour})
	require.NoError(w.t, err)
	require.NoError(w.t, w.store.Load(v))
}

func (w *outboxWorld) step() {
	m := w.outboxes[w.random.IntN(len(w.outboxes))]
	switch action := w.random.IntN(40); {
	case action < 14:
		w.publish()
	case action < 17:
		m.addRetained()
	case action < 18:
		w.replaceRetained()
	case action < 26:
		m.next()
	case action < 37:
		m.acknowledge()
	case action < 39:
		if m.attached {
			m.detach()
		} else {
			m.attach()
		}
	case w.random.IntN(4) == 0:
		w.restart()
	}
}

func (w *outboxWorld) payload() string {
	w.names++
	return fmt.Sprint(w.names, strings.Repeat(".", w.random.IntN(1+w.random.IntN(400))))
}

// publish adds one message to some of the outboxes.
func (w *outboxWorld) publish() {
	payload := w.payload()
	model := &modelMessage{packetOf(payload), true}
	tx := w.store.Begin()
	defer tx.End()
	m := w.queues.NewMessage(model.packet)
	for _, o := range w.outboxes {
		if w.random.IntN(2) == 0 {
			o.add(tx, m, model)
		}
	}
	m.Release(tx)
}

// replaceRetained has a message be no longer retained.
func (w *outboxWorld) replaceRetained() {
	if len(w.retained) == 0 {
		return
	}
	w.queues.Dropped(w.retained[0].packet)
	w.retained[0].counted = true
	w.retained = w.retained[1:]
}

// waiting returns what waits in all outboxes, and one message more, that is being published.
func (w *outboxWorld) waiting(more *modelMessage) (messages, entries, bytes int) {
	seen := map[*modelMessage]bool{}
	if more != nil {
		seen[more] = true
		messages, bytes = 1, len(more.packet)
	}
	for _, o := range w.outboxes {
		for _, e := range o.all() {
			if e.message == nil {
				continue
			}
			entries++
			bytes += entryBytes
			if !seen[e.message] {
				seen[e.message] = true
				messages++
				if e.message.counted {
					bytes += len(e.message.packet)
				}
			}
		}
	}
	return messages, entries, bytes
}

func (w *outboxWorld) check() {
	messages, entries, bytes := w.waiting(nil)
	require.Equal(w.t, messages, w.queues.Messages())
	require.Equal(w.t, entries, w.queues.Entries())
	require.Equal(w.t, bytes, w.queues.Bytes())
	for _, o := range w.outboxes {
		o.check()
	}
}

// restart has a broker start with what the store has, after one that was stopped, and noted what was sent, or was
// killed.
func (w *outboxWorld) restart() {
	if w.store == nil {
		return
	}
	killed := w.random.IntN(2) == 0
	if !killed {
		tx := w.store.Begin()
		for _, m := range w.outboxes {
			if m.number != 0 {
				m.outbox.NoteSent(tx)
				m.noteSent()
			}
		}
		tx.End()
	}
	require.NoError(w.t, w.store.Close())
	w.retained = nil // packets are others now
	queues := new(Queues)
	messages, outboxes := map[uint64]*Message{}, map[uint64]*Outbox{1: queues.NewOutbox(1), 2: queues.NewOutbox(2)}
	w.open(store.Visitor{
		Message: func(id uint64, packet []byte) { messages[id] = queues.RestoredMessage(id, packet) },
		Queued: func(id uint64, q store.Queued) {
			require.True(w.t, outboxes[id].Restored(q, messages[q.MessageID]), "%+v", q)
		},
	})
	_, highest := w.store.Highest()
	queues.NumberFrom(highest)
	for _, o := range outboxes {
		o.Resumed(killed)
	}
	tx := w.store.Begin()
	for _, m := range messages {
		m.Release(tx) // of some only the client waited whose session is not kept
	}
	tx.End()
	w.queues = queues
	for _, o := range w.outboxes {
		o.restored(outboxes[o.number], killed)
	}
	w.check()
}

// outboxModel is an outbox beside a model of it.
type outboxModel struct {
	*outboxWorld
	outbox   *Outbox
	number   uint64
	flows    [flowCount][]*modelEntry
	attached bool
	woken    bool
	closed   bool
	sends    int
	book     Book
}

type modelMessage struct {
	packet  []byte
	counted bool // in Queues: not while it is retained
}

type modelEntry struct {
	message      *modelMessage // nil: PUBREC came
	qos          codec.QoS
	retain       bool
	id           uint16 // known once it was sent
	sent, resent bool   // at some time, on this connection
	noted        bool   // the store knows that it was sent
	doubtful     bool   // it may have been sent before the broker was killed
	order        int    // of sending
	batch        uint64 // to be committed first
}

func (m *outboxModel) all() []*modelEntry {
	return append(append([]*modelEntry(nil), m.flows[replayed]...), m.flows[live]...)
}

func (m *outboxModel) inflight() (n int) {
	for _, e := range m.all() {
		if e.sent {
			n++
		}
	}
	return n
}

func (m *outboxModel) bytes(which int) (n int) {
	for _, e := range m.flows[which] {
		if e.message != nil {
			n += len(e.message.packet) + entryBytes
		}
	}
	return n
}

func (m *outboxModel) queued(which int) (n int) {
	for _, e := range m.flows[which] {
		if !e.sent {
			n++
		}
	}
	return n
}

func (m *outboxModel) check() {
	require.Equal(m.t, m.book, m.outbox.Book())
	require.Equal(m.t, m.inflight(), m.outbox.Inflight())
	messages, bytes := m.outbox.Waiting()
	require.Equal(m.t, m.bytes(replayed)+m.bytes(live), bytes)
	if !m.closed {
		require.EqualValues(m.t, m.book.Matched, m.book.Delivered+m.book.Refused+uint64(messages))
	}
}

func (m *outboxModel) add(tx *store.Tx, message *Message, model *modelMessage) {
	qos := codec.QoS(1 + m.random.IntN(2))
	room, allowed := m.limits.Messages, m.limits.TotalBytes
	if m.attached {
		room += max(0, m.limits.Inflight-m.inflight())
	}
	if !m.attached || m.inflight()+m.queued(replayed)+m.queued(live) >= m.limits.Inflight {
		allowed -= allowed / 8
	}
	_, _, total := m.waiting(model)
	want := Queued
	switch {
	case m.queued(live) >= room, m.bytes(live) > 0 && m.bytes(live)+len(model.packet)+entryBytes > m.limits.Bytes:
		want = QueueFull
	case total+entryBytes > allowed:
		want = MemoryFull
	}
	wantWake := want == Queued && m.attached && !m.woken && m.inflight() < m.limits.Inflight
	m.woken = m.woken || wantWake
	v, wake := m.outbox.Add(tx, message, qos, m.limits)
	require.Equal(m.t, want, v)
	require.Equal(m.t, wantWake, wake)
	m.book.Matched++
	if v == Queued {
		m.append(tx, live, &modelEntry{message: model, qos: qos})
	} else {
		m.book.Refused++
	}
	if v == MemoryFull {
		m.book.MemoryFull++
	}
}

func (m *outboxModel) append(tx *store.Tx, which int, e *modelEntry) {
	if m.number != 0 && e.qos == codec.QoS2 {
		e.batch = m.batchOf(tx)
	}
	m.flows[which] = append(m.flows[which], e)
}

// batchOf returns the batch that what is noted now is saved in, if anybody waits for it: always for what is of QoS 2.
func (m *outboxModel) batchOf(tx *store.Tx) uint64 {
	if m.store == nil {
		return 0
	}
	batch := tx.Batch()
	require.NotZero(m.t, batch)
	require.Greater(m.t, batch, m.store.Committed(), "it is not saved as long as the change goes on")
	return batch
}

func (m *outboxModel) addRetained() {
	if len(m.retained) == 0 || m.random.IntN(2) == 0 {
		m.retained = append(m.retained, &modelMessage{packet: packetOf(m.payload())})
	}
	model := m.retained[m.random.IntN(len(m.retained))]
	qos := codec.QoS(1 + m.random.IntN(2))
	_, _, total := m.waiting(nil)
	bytes, size := m.bytes(replayed), len(model.packet)+entryBytes
	want := m.inflight()+m.queued(replayed) < m.limits.Inflight &&
		(bytes == 0 || bytes+size <= m.limits.Bytes && total+entryBytes <= m.limits.TotalBytes-m.limits.TotalBytes/8)
	tx := m.store.Begin()
	defer tx.End()
	require.Equal(m.t, want, m.outbox.AddRetained(tx, model.packet, qos, m.limits))
	if want {
		m.book.Matched++
		m.append(tx, replayed, &modelEntry{message: model, qos: qos, retain: true})
	}
}

// next has a connection send, until a random room is taken, with what the store may have committed.
func (m *outboxModel) next() {
	if !m.attached {
		return
	}
	room, retainedOnly, committed := 1+m.random.IntN(600), m.random.IntN(4) == 0, m.store.Committed()
	if m.random.IntN(3) == 0 {
		room = roomyBytes
	}
	if m.random.IntN(3) == 0 {
		committed = 0
	}
	m.woken = false
	sending := m.outbox.Next([]byte(nil), room, m.limits.Inflight, committed, retainedOnly)
	got := parseOutgoing(m.t, sending.Packets)
	size, full, unsaved := 0, false, false
	var messages [3]uint64
	expect := func(e *modelEntry, again bool) {
		require.NotEmpty(m.t, got, "%v was not sent", e)
		p := got[0]
		got = got[1:]
		m.requireIdentifier(e, p.id)
		if e.message == nil {
			require.Equal(m.t, outgoing{kind: codec.PUBREL, id: e.id}, p)
			size += 4
			return
		}
		payload := codec.PublishPayload(e.message.packet)
		require.Equal(m.t, outgoing{codec.PUBLISH, e.id, e.qos, e.retain, again, string(payload)}, p)
		messages[e.qos]++
		size += len(codec.AppendPublish(nil, &codec.Publish{Topic: []byte("t"), Payload: payload, PacketID: 1, QoS: e.qos}))
	}
	again := m.all()
	slices.SortStableFunc(again, func(a, b *modelEntry) int { return a.order - b.order })
	for _, e := range again {
		if !e.sent || e.resent || full || unsaved {
			continue
		}
		unsaved = e.batch > committed
		if full = size >= room; !full && !unsaved {
			expect(e, true)
			e.resent = true
		}
	}
	for which := range m.flows {
		for _, e := range m.flows[which] {
			if e.sent || full || unsaved || m.inflight() >= m.limits.Inflight || which == live && retainedOnly {
				continue
			}
			unsaved = e.batch > committed
			if full = size >= room; !full && !unsaved {
				expect(e, e.doubtful)
				m.sends++
				e.sent, e.resent, e.order = true, true, m.sends
			}
		}
	}
	require.Empty(m.t, got)
	require.Equal(m.t, messages, sending.Messages)
	require.Equal(m.t, unsaved, sending.Unsaved)
}

// requireIdentifier requires that a message keeps its Packet Identifier, and shares it with no other in flight.
func (m *outboxModel) requireIdentifier(e *modelEntry, id uint16) {
	if e.id == 0 {
		for _, other := range m.all() {
			require.NotEqual(m.t, other.id, id, "it is in use [MQTT-2.3.1-2]")
		}
		e.id = id
	}
	require.Equal(m.t, e.id, id)
	require.NotZero(m.t, id)
	require.Equal(m.t, slices.Contains(m.flows[replayed], e), id >= 1<<15)
}

// acknowledge sends something that is due, most of the time.
func (m *outboxModel) acknowledge() {
	kinds := []codec.PacketType{codec.PUBACK, codec.PUBREC, codec.PUBCOMP}
	kind, id := kinds[m.random.IntN(3)], uint16(31_000*m.random.IntN(2)) // that of none
	if all := m.all(); len(all) > 0 && m.random.IntN(8) > 0 {
		id = all[m.random.IntN(len(all))].id
	}
	tx := m.store.Begin()
	defer tx.End()
	progress, qos := m.outbox.Acknowledge(tx, kind, id)
	wantProgress, wantQoS := m.acknowledged(tx, kind, id)
	require.Equal(m.t, wantProgress, progress, "%v %d", kind, id)
	require.Equal(m.t, wantQoS, qos)
}

func (m *outboxModel) acknowledged(tx *store.Tx, kind codec.PacketType, id uint16) (Progress, codec.QoS) {
	for which := range m.flows {
		for i, e := range m.flows[which] {
			if !e.sent || e.id == 0 || e.id != id {
				continue
			}
			released := func() {
				if e.message = nil; m.number != 0 {
					e.batch = m.batchOf(tx)
				}
			}
			done := func() { m.flows[which] = append(m.flows[which][:i:i], m.flows[which][i+1:]...) }
			switch {
			case kind == codec.PUBACK && e.qos == codec.QoS1:
				m.book.Delivered++
				done()
				return Done, codec.QoS1
			case kind == codec.PUBREC && e.qos == codec.QoS2 && e.message != nil:
				m.book.Delivered++
				released()
				return Received, codec.QoS2
			case kind == codec.PUBREC && e.qos == codec.QoS2:
				released()
				return Repeated, codec.QoS2
			case kind == codec.PUBCOMP && e.message == nil:
				done()
				return Done, codec.QoS2
			}
		}
	}
	return Nothing, codec.QoS0
}

func (m *outboxModel) attach() {
	m.outbox.Attach()
	m.attached = true
	for _, e := range m.all() {
		e.resent = false
	}
}

func (m *outboxModel) detach() {
	m.outbox.Detach()
	m.attached, m.woken = false, false
}

func (m *outboxModel) close() {
	var want [3]uint64
	for _, e := range m.all() {
		if e.message != nil {
			want[e.qos]++
		}
	}
	tx := m.store.Begin()
	defer tx.End()
	require.Equal(m.t, want, m.outbox.Close(tx))
	m.book.Ended += want[codec.QoS1] + want[codec.QoS2]
	if m.number != 0 {
		tx.DeleteSession(m.number)
		tx.PutSession(m.number+10, store.Session{ClientID: "another"}, true)
	}
	m.flows = [flowCount][]*modelEntry{}
	m.attached, m.closed = false, true
}

func (m *outboxModel) noteSent() {
	for _, e := range m.all() {
		e.noted = e.sent
	}
}

// restored goes on with what was in the store: what was sent for certain is sent again, and after a kill the rest may
// have been sent, too. An outbox that is not in the store is empty.
func (m *outboxModel) restored(o *Outbox, killed bool) {
	if o == nil {
		o = m.queues.NewOutbox(0)
		m.flows = [flowCount][]*modelEntry{}
	}
	m.outbox = o
	m.attached, m.woken, m.closed, m.book = false, false, false, Book{}
	for which := range m.flows {
		last := 0
		for i, e := range m.flows[which] {
			e.batch, e.order, e.resent, e.doubtful = 0, 0, false, e.doubtful || killed
			if e.message != nil {
				e.message.counted = true
				m.book.Matched++
			}
			if e.message == nil || e.noted {
				last = i + 1
			}
		}
		for i, e := range m.flows[which] {
			e.sent = i < last
		}
	}
}

// Many add to two outboxes while each is emptied by its connection, which is woken, is cut now and then, and comes
// back: every message arrives, those of each publisher in order, and nobody sleeps while something waits.
func TestOutboxesConcurrently(t *testing.T) {
	t.Run("in memory", func(t *testing.T) { testOutboxesConcurrently(t, nil) })
	t.Run("in a store", func(t *testing.T) {
		s, err := store.Open(t.TempDir(), store.Options{Interval: store.IntervalMin})
		require.NoError(t, err)
		require.NoError(t, s.Load(store.Visitor{}))
		testOutboxesConcurrently(t, s)
		require.NoError(t, s.Close())
	})
}

func testOutboxesConcurrently(t *testing.T, s *store.Store) {
	const publishers, messages, readers = 4, 1000, 2
	var q Queues
	outboxes, wakes := make([]*Outbox, readers), make([]chan struct{}, readers)
	for i := range outboxes {
		number := uint64(0)
		if s != nil {
			number = uint64(i) + 1
		}
		outboxes[i] = q.NewOutbox(number)
		outboxes[i].Attach()
		wakes[i] = make(chan struct{}, publishers*messages)
	}
	var working sync.WaitGroup
	for p := range publishers {
		working.Go(func() {
			for n := range messages {
				tx := s.Begin()
				m := q.NewMessage(packetOf(fmt.Sprint(p, " ", n)))
				for i, o := range outboxes {
					v, wake := o.Add(tx, m, codec.QoS(1+n%2), roomy)
					if v != Queued {
						t.Errorf("verdict %d", v)
					}
					if wake {
						wakes[i] <- struct{}{}
					}
				}
				m.Release(tx)
				tx.End()
			}
		})
	}
	for i, o := range outboxes {
		working.Go(func() {
			r := &outboxReader{t: t, store: s, outbox: o, random: rand.New(rand.NewPCG(uint64(i), 0))}
			for r.delivered < publishers*messages && !t.Failed() {
				select {
				case <-wakes[i]:
					r.read()
				case <-time.After(20 * time.Second):
					t.Errorf("reader %d sleeps with %d of its messages", i, r.delivered)
				}
			}
		})
	}
	working.Wait()
	for _, o := range outboxes {
		require.Equal(t, Book{Matched: publishers * messages, Delivered: publishers * messages}, o.Book())
		require.Zero(t, o.Inflight())
	}
	require.Zero(t, q.Messages()+q.Bytes()+q.Entries())
}

// outboxReader is a client with a connection.
type outboxReader struct {
	t         *testing.T
	store     *store.Store
	outbox    *Outbox
	random    *rand.Rand
	next      [4]int
	delivered int
}

// read does what a loop does when it is woken: it sends until nothing is left, as acknowledgements make room.
func (r *outboxReader) read() {
	for {
		s := r.outbox.Next(nil, 1+r.random.IntN(400), 5, math.MaxUint64, false)
		packets := parseOutgoing(r.t, s.Packets)
		if len(packets) == 0 {
			return
		}
		if r.random.IntN(10) == 0 { // lost on the way
			r.outbox.Detach()
			r.outbox.Attach()
			continue
		}
		for _, p := range packets {
			r.take(p)
		}
	}
}

func (r *outboxReader) take(p outgoing) {
	switch {
	case p.kind == codec.PUBREL:
		r.acknowledge(codec.PUBCOMP, p.id)
		return
	case p.qos == codec.QoS1:
		r.acknowledge(codec.PUBACK, p.id)
	default:
		r.acknowledge(codec.PUBREC, p.id)
		if r.random.IntN(2) == 0 { // else PUBREL is sent again to the next connection
			r.acknowledge(codec.PUBCOMP, p.id)
		} else {
			r.outbox.Detach()
			r.outbox.Attach()
		}
	}
	var publisher, n int
	if _, err := fmt.Sscan(p.payload, &publisher, &n); err != nil || n != r.next[publisher] {
		r.t.Errorf("%q comes, want %d (%v)", p.payload, r.next[publisher], err)
	}
	r.next[publisher]++
	r.delivered++
}

func (r *outboxReader) acknowledge(kind codec.PacketType, id uint16) {
	tx := r.store.Begin()
	defer tx.End()
	r.outbox.Acknowledge(tx, kind, id)
}

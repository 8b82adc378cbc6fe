package reactor

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/session"
)

// peer is a client of a still loop, whose packets are read in words.
type peer struct {
	*sink
	t    testing.TB
	loop *loop
	conn *conn
}

func persistent(p *codec.Connect) { p.CleanSession = false }

// meet has a client come to a loop, which settles.
func meet(t testing.TB, l *loop, clientID string, options ...func(*codec.Connect)) *peer {
	c, out := arrive(l)
	l.engine = closing{loop: l}
	p := &peer{sink: out, t: t, loop: l, conn: c}
	p.send(connectPacket(clientID, options...))
	return p
}

// send has the loop handle input of the client.
func (p *peer) send(input []byte) { p.loop.round(p.conn, input) }

// subscribed subscribes and forgets what was read so far.
func (p *peer) subscribed(qos codec.QoS, filters ...string) *peer {
	for _, f := range filters {
		p.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: f, QoS: qos}}))
	}
	p.got()
	return p
}

// leave closes the connection, with or without DISCONNECT.
func (p *peer) leave() {
	p.loop.closed(p.conn, io.EOF)
	p.loop.drain()
}

// got returns what was written to the client since the last call.
func (p *peer) got() (list []string) {
	defer p.written.Reset()
	return words(p.t, p.written.Bytes())
}

// words returns packets in words: "PUBLISH 1 topic payload QoS 1 RETAIN DUP", "PUBREL 1", "CONNACK present".
func words(t testing.TB, packets []byte) (list []string) {
	for len(packets) > 0 {
		var d codec.Decoder
		d.Feed(packets)
		f, ok, err := d.Next(PacketBytesMax)
		require.NoError(t, err)
		require.True(t, ok)
		packets = packets[len(f.Bytes):]
		list = append(list, word(t, f))
	}
	return list
}

func word(t testing.TB, f codec.Frame) string {
	name := f.Type.String()
	switch f.Type {
	case codec.PUBLISH:
		p, err := codec.ParsePublish(f, codec.Version311)
		require.NoError(t, err)
		if p.QoS > codec.QoS0 {
			name += fmt.Sprintf(" %d", p.PacketID)
		}
		name += fmt.Sprintf(" %s %s", p.Topic, strings.TrimRight(string(p.Payload), "."))
		for _, flag := range []struct {
			name string
			set  bool
		}{{" QoS 1", p.QoS == codec.QoS1}, {" QoS 2", p.QoS == codec.QoS2}, {" RETAIN", p.Retain}, {" DUP", p.Dup}} {
			if flag.set {
				name += flag.name
			}
		}
	case codec.CONNACK:
		p, err := codec.ParseConnack(f, codec.Version311)
		require.NoError(t, err)
		if p.SessionPresent {
			name += " present"
		}
	case codec.PUBACK, codec.PUBREC, codec.PUBREL, codec.PUBCOMP:
		id, err := codec.ParseAck(f, codec.Version311)
		require.NoError(t, err)
		name += fmt.Sprint(" ", id)
	}
	return name
}

// above returns a PUBLISH packet of QoS 1 or 2.
func above(qos codec.QoS, id uint16, topic, payload string) []byte {
	return codec.AppendPublish(nil, &codec.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: qos, PacketID: id})
}

func retained(qos codec.QoS, id uint16, topic, payload string) []byte {
	if qos == codec.QoS0 {
		id = 0
	}
	return codec.AppendPublish(nil, &codec.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: qos, PacketID: id, Retain: true})
}

// aboves returns messages "from" to "to" of a topic at QoS 1, each of about 1 KB.
func aboves(topic string, from, to int) (chunk []byte) {
	for n := from; n <= to; n++ {
		chunk = append(chunk, above(codec.QoS1, uint16(1+n%60_000), topic, fmt.Sprint(n, strings.Repeat(".", 1000)))...)
	}
	return chunk
}

func acks(kind codec.PacketType, ids ...uint16) (chunk []byte) {
	for _, id := range ids {
		chunk = codec.AppendAck(chunk, kind, id)
	}
	return chunk
}

// requireAboveBalance requires that the ledger of QoS 1 and 2 balances.
func requireAboveBalance(t testing.TB, s *Server) {
	t.Helper()
	st := s.Stats()
	all := Book{Matched: st.Above[0].Matched + st.Above[1].Matched, Delivered: st.Above[0].Delivered + st.Above[1].Delivered}
	dropped := st.Above[0].Dropped.Total() + st.Above[1].Dropped.Total()
	require.Equal(t, all.Matched, all.Delivered+dropped+uint64(st.QueuedMessages), "%+v", st.Above)
	total := st.Total()
	require.Equal(t, total.Matched, total.Delivered+total.Dropped.Total()+uint64(st.Waiting()))
}

// A message above QoS 0 is there once, whoever waits for it, until the last has acknowledged it.
func TestAboveIsStoredOnceForAll(t *testing.T) {
	s := stillServer(t, 2)
	var readers []*peer
	for i := range 40 {
		var options []func(*codec.Connect)
		if i%3 == 0 {
			options = append(options, persistent)
		}
		readers = append(readers, meet(t, s.loops[i%2], fmt.Sprint("reader-", i), options...).subscribed(codec.QoS(1+i%2), "a/#"))
	}
	publisher := meet(t, s.loops[0], "publisher")
	payload := strings.Repeat("x", 10_000)
	publisher.send(above(codec.QoS2, 1, "a/b", payload))
	st := s.Stats()
	require.Equal(t, []int{1, 40}, []int{st.StoredMessages, st.QueuedMessages})
	require.Less(t, st.QueueBytes, 2*len(payload))
	s.loops[1].drain()
	for i, r := range readers {
		qos := 1 + i%2
		require.Equal(t, []string{fmt.Sprintf("PUBLISH 1 a/b %s QoS %d", payload, qos)}, r.got())
		require.Equal(t, 1, s.Stats().StoredMessages)
		r.send(acks([]codec.PacketType{codec.PUBACK, codec.PUBREC}[qos-1], 1))
	}
	st = s.Stats()
	require.Zero(t, st.StoredMessages+st.QueuedMessages+st.QueueBytes)
	require.EqualValues(t, 20, st.Above[0].Delivered)
	require.EqualValues(t, 20, st.Above[1].Delivered)
	requireAboveBalance(t, s)
}

// A socket that takes no more, because of messages at QoS 0, holds those above it up. They follow when it does again.
func TestAboveGoesOnBehindABlockedSocket(t *testing.T) {
	for _, c := range []struct {
		name  string
		block func(publisher *peer)
	}{
		{"blocked by QoS 0", func(p *peer) {
			p.send(numbered("a/x", 1, 10))
			p.send(aboves("b", 1, 5))
		}},
		{"blocked by themselves", func(p *peer) {
			p.send(aboves("b", 1, 5))
			p.send(aboves("b", 6, 15))
			p.send(aboves("b", 16, 20))
		}},
		{"in the same round", func(p *peer) {
			p.send(append(numbered("a/x", 1, 10), aboves("b", 1, 5)...))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, l, _, slow := policyServer(t, DropNewest)
			l.round(slow.conn, codec.AppendSubscribe(nil, 2, []codec.Subscription{{Filter: "b", QoS: codec.QoS1}}))
			slow.readAll()
			slow.got = nil
			publisher := meet(t, l, "another")
			c.block(publisher)
			require.Equal(t, blocked, slow.conn.pace)
			queued := s.Stats().QueuedMessages
			slow.readAll()
			var got []string
			for _, name := range slow.got {
				if strings.HasPrefix(name, "b ") {
					got = append(got, name)
				}
			}
			require.Len(t, got, queued)
			for i, name := range got {
				require.Equal(t, fmt.Sprint("b ", i+1), name)
			}
			requireAboveBalance(t, s)
		})
	}
}

// A reader that takes less than comes at QoS 0 never has an empty backlog. It gets what is above QoS 0 all the same, in
// order, and the other messages too.
func TestAboveBesideAStreamAtQoS0(t *testing.T) {
	for _, policy := range []SlowPolicy{DropNewest, DropOldest, Conflate} {
		t.Run(policy.String(), func(t *testing.T) {
			const messages = 50 // more than the window
			s, l, publisher, slow := policyServer(t, policy)
			l.round(slow.conn, codec.AppendSubscribe(nil, 2, []codec.Subscription{{Filter: "b", QoS: codec.QoS1}}))
			another := meet(t, l, "another")
			var got []string
			for n := range 40 * messages {
				for topic := range 20 {
					l.round(publisher, numbered(fmt.Sprint("a/", topic), n, n))
				}
				if n < messages {
					another.send(aboves("b", n+1, n+1))
				}
				require.Equal(t, blocked, slow.conn.pace)
				require.LessOrEqual(t, slow.conn.backlog.bytes, s.config.ClientBufferBytes*3/2+2000)
				slow.got = nil
				slow.read()
				for _, name := range slow.got {
					if strings.HasPrefix(name, "b ") {
						got = append(got, name)
						l.round(slow.conn, acks(codec.PUBACK, uint16(len(got))))
					}
				}
				requireMemory(t, s)
				if len(got) == messages {
					break
				}
			}
			require.Len(t, got, messages)
			for i, name := range got {
				require.Equal(t, fmt.Sprint("b ", i+1), name)
			}
			require.Greater(t, slow.conn.delivered, uint64(messages))
			slow.readAll()
			requireBalance(t, s)
			requireAboveBalance(t, s)
			require.Zero(t, s.Stats().QueuedMessages)
		})
	}
}

// Whoever becomes congested when the turn of the loop was over gets what is above QoS 0, too.
func TestAboveToAPostponedReaderThatIsBlocked(t *testing.T) {
	s, l, publisher, slow := policyServer(t, DropNewest)
	l.round(slow.conn, codec.AppendSubscribe(nil, 2, []codec.Subscription{{Filter: "b", QoS: codec.QoS1}}))
	slow.readAll()
	another := meet(t, l, "another")
	l.endTurn()
	l.receive(publisher, numbered("a/x", 1, 12))
	l.receive(another.conn, aboves("b", 1, 1))
	l.endTurn()
	l.flush()
	require.Equal(t, postponed, slow.conn.pace)
	l.sendTurn()
	require.Empty(t, l.sending)
	l.beginTurn()
	l.writePostponed()
	require.Equal(t, blocked, slow.conn.pace)
	l.drain()
	require.Equal(t, 1, slow.conn.session.Outbox.Inflight())
	slow.readAll()
	require.Equal(t, "b 1", slow.got[len(slow.got)-1])
	requireMemory(t, s)
}

// A message for a client of another loop is in its outbox when the publisher is acknowledged, and goes out when
// that loop has looked into its mailbox.
func TestAboveToAClientOnAnotherLoop(t *testing.T) {
	s := stillServer(t, 2)
	reader := meet(t, s.loops[1], "reader").subscribed(codec.QoS2, "a")
	publisher := meet(t, s.loops[0], "publisher")
	publisher.got()
	publisher.send(above(codec.QoS1, 7, "a", "one"))
	publisher.send(above(codec.QoS2, 8, "a", "two"))
	require.Equal(t, []string{"PUBACK 7", "PUBREC 8"}, publisher.got())
	require.Equal(t, 2, s.Stats().QueuedMessages)
	require.Empty(t, reader.got())
	require.Len(t, s.loops[1].mailbox.letters, 1, "one letter for all")
	s.loops[1].drain()
	require.Equal(t, []string{"PUBLISH 1 a one QoS 1", "PUBLISH 2 a two QoS 2"}, reader.got())
	reader.send(acks(codec.PUBREC, 2))
	require.Equal(t, []string{"PUBREL 2"}, reader.got())
	reader.send(append(acks(codec.PUBCOMP, 2), acks(codec.PUBACK, 1)...))
	require.Zero(t, s.Stats().QueuedMessages)
	require.Equal(t, [3]uint64{0, 1, 1}, s.Stats().PublishSent)
}

// A publisher's loop finds the connection of a client, the client comes back on another one, and then only the
// message is added: the new connection is told.
func TestWhoComesBackWhileAMessageIsAddedIsWoken(t *testing.T) {
	s := stillServer(t, 3)
	reader := meet(t, s.loops[0], "reader", persistent).subscribed(codec.QoS1, "a")
	handle := reader.conn.handle
	stale := s.table.Resolve(handle)
	reader.leave()
	again := meet(t, s.loops[1], "reader", persistent)
	again.got()
	m := s.queues.NewMessage(publish("a", "late"))
	verdict, wake := stale.session.Outbox.Add(nil, m, codec.QoS1, s.config.queueLimits(s))
	m.Release(nil)
	require.Equal(t, session.Queued, verdict)
	require.True(t, wake)
	s.loops[2].wake(handle)
	s.loops[1].drain()
	require.Equal(t, []string{"PUBLISH 1 a late QoS 1"}, again.got())
}

// A publish at each QoS to subscriptions of each QoS comes at the lower one [MQTT-3.8.4-6].
func TestEachQoSToEachSubscription(t *testing.T) {
	s := stillServer(t, 1)
	l := s.loops[0]
	var readers []*peer
	for qos := range codec.QoS(3) {
		readers = append(readers, meet(t, l, fmt.Sprint("reader-", qos)).subscribed(qos, "a"))
	}
	publisher := meet(t, l, "publisher")
	publisher.send(publish("a", "zero"))
	publisher.send(above(codec.QoS1, 1, "a", "one"))
	publisher.send(above(codec.QoS2, 2, "a", "two"))
	require.Equal(t, []string{"PUBLISH a zero", "PUBLISH a one", "PUBLISH a two"}, readers[0].got())
	require.Equal(t, []string{"PUBLISH a zero", "PUBLISH 1 a one QoS 1", "PUBLISH 2 a two QoS 1"}, readers[1].got())
	require.Equal(t, []string{"PUBLISH a zero", "PUBLISH 1 a one QoS 1", "PUBLISH 2 a two QoS 2"}, readers[2].got())
}

// Beyond the window messages wait, beyond the queue they are refused and counted, and the operator is told once. Each
// acknowledgement lets the next one go.
func TestWindowAndQueue(t *testing.T) {
	s := stillServer(t, 1)
	var lines bytes.Buffer
	s.log = zerolog.New(&lines).Level(zerolog.WarnLevel)
	s.config.MaxInflight, s.config.QueuedMessagesMax = 2, 3
	l := s.loops[0]
	reader := meet(t, l, "reader").subscribed(codec.QoS2, "a")
	publisher := meet(t, l, "publisher")
	for n := range uint16(10) {
		publisher.send(above(codec.QoS1, n+1, "a", fmt.Sprint(n)))
	}
	require.Equal(t, []string{"PUBLISH 1 a 0 QoS 1", "PUBLISH 2 a 1 QoS 1"}, reader.got())
	st := s.Stats()
	require.Equal(t, 5, st.QueuedMessages)
	require.EqualValues(t, 5, st.Above[0].Dropped[ReasonQueueFull])
	require.Equal(t, 1, strings.Count(lines.String(), "\n"))
	require.Contains(t, lines.String(), `"client_id":"reader"`)
	require.Len(t, publisher.got(), 11, "the publisher is acknowledged all the same")
	reader.send(acks(codec.PUBACK, 2))
	require.Equal(t, []string{"PUBLISH 3 a 2 QoS 1"}, reader.got())
	reader.send(acks(codec.PUBACK, 1, 3))
	require.Equal(t, []string{"PUBLISH 4 a 3 QoS 1", "PUBLISH 5 a 4 QoS 1"}, reader.got())
	reader.send(acks(codec.PUBACK, 4, 5))
	require.Empty(t, reader.got())
	require.Zero(t, s.Stats().QueuedMessages)
	requireAboveBalance(t, s)
}

// A QoS 2 message has its place in the window until PUBCOMP.
func TestReleasedMessagesCountInTheWindow(t *testing.T) {
	s := stillServer(t, 1)
	s.config.MaxInflight = 1
	reader := meet(t, s.loops[0], "reader").subscribed(codec.QoS2, "a")
	publisher := meet(t, s.loops[0], "publisher")
	publisher.send(above(codec.QoS2, 1, "a", "one"))
	publisher.send(above(codec.QoS2, 2, "a", "two"))
	reader.got()
	reader.send(acks(codec.PUBREC, 1))
	require.Equal(t, []string{"PUBREL 1"}, reader.got())
	require.EqualValues(t, 1, s.Stats().Above[1].Delivered)
	reader.send(acks(codec.PUBCOMP, 1))
	require.Equal(t, []string{"PUBLISH 2 a two QoS 2"}, reader.got())
}

// Acknowledgements that name nothing that is due end no connection and change no books. PUBREC is answered all the
// same: it may speak of an earlier session.
func TestAcknowledgementsOfNothing(t *testing.T) {
	s := stillServer(t, 1)
	with := meet(t, s.loops[0], "with").subscribed(codec.QoS1, "a")
	without := meet(t, s.loops[0], "without")
	publisher := meet(t, s.loops[0], "publisher")
	publisher.send(above(codec.QoS1, 1, "a", "x"))
	for _, p := range []*peer{with, without} {
		p.got()
		p.send(slices.Concat(acks(codec.PUBACK, 9), acks(codec.PUBREC, 9), acks(codec.PUBCOMP, 1, 9)))
		require.Equal(t, []string{"PUBREL 9"}, p.got())
		require.True(t, p.conn.live())
	}
	require.Equal(t, 1, s.Stats().QueuedMessages)
	require.Zero(t, s.Stats().Above[0].Delivered)
}

// Clients that never acknowledge, connected or away, cost what is theirs, and all together what all may.
func TestWhoNeverAcknowledgesCostsItsLimit(t *testing.T) {
	const own = 64 << 10
	s := stillServer(t, 1)
	s.config.QueuedBytesMax = own
	s.queuedMax.Store(4 * own)
	l := s.loops[0]
	publisher := meet(t, l, "publisher")
	flood := func(topic string) {
		for n := 1; n <= 200; n += 10 {
			publisher.send(aboves(topic, n, n+9))
		}
	}
	for i := range 3 {
		p := meet(t, l, fmt.Sprint("silent-", i), persistent).subscribed(codec.QoS1, fmt.Sprint("t/", i))
		if i == 1 {
			p.leave()
		}
		flood(fmt.Sprint("t/", i))
		require.LessOrEqual(t, s.Stats().QueueBytes, (i+1)*own)
		require.Greater(t, s.Stats().QueueBytes, (i+1)*(own-2<<10))
	}
	st := s.Stats()
	require.EqualValues(t, 600, st.Above[0].Matched)
	require.EqualValues(t, 600-st.QueuedMessages, st.Above[0].Dropped[ReasonQueueFull])
	for i := range 3 {
		meet(t, l, fmt.Sprint("more-", i)).subscribed(codec.QoS1, fmt.Sprint("more/", i))
		flood(fmt.Sprint("more/", i))
		require.LessOrEqual(t, s.Stats().QueueBytes, 4*own)
	}
	require.Positive(t, s.Stats().Above[0].Dropped[ReasonMemory])
	requireAboveBalance(t, s)
}

// Clients that are away, or take nothing, fill what all queues may take: those that acknowledge get everything, also
// when several messages come at once, and the bound is kept.
func TestFullQueuesLeaveRoomForWhoIsThere(t *testing.T) {
	const total = 256 << 10
	s := stillServer(t, 1)
	s.queuedMax.Store(total)
	l := s.loops[0]
	publisher := meet(t, l, "publisher")
	meet(t, l, "absent", persistent).subscribed(codec.QoS1, "all/#").leave()
	slow := meet(t, l, "slow").subscribed(codec.QoS1, "all/slow")
	reader := meet(t, l, "reader").subscribed(codec.QoS1, "reader")
	for n := 1; n <= 300; n++ {
		publisher.send(aboves("all/away", n, n))
		publisher.send(aboves("all/slow", n, n))
	}
	require.Len(t, slow.got(), s.config.MaxInflight)
	dropped := s.Stats().Above[0].Dropped
	require.Positive(t, dropped[ReasonMemory])
	for n := 1; n <= 300; n += 10 {
		publisher.send(aboves("reader", n, n+9))
		require.LessOrEqual(t, s.Stats().QueueBytes, total)
		got := reader.got()
		require.Len(t, got, 10)
		for _, packet := range got {
			var id uint16
			_, err := fmt.Sscanf(packet, "PUBLISH %d reader", &id)
			require.NoError(t, err)
			reader.send(acks(codec.PUBACK, id))
		}
	}
	require.Equal(t, dropped, s.Stats().Above[0].Dropped)
	requireAboveBalance(t, s)
}

// SUBACK comes before the messages that the subscription brings, retained ones before live ones, and those in flight
// leave the retained ones as much of the window as there is.
func TestRetainedAboveQoS0(t *testing.T) {
	s := stillServer(t, 1)
	s.config.MaxInflight = 2
	l := s.loops[0]
	publisher := meet(t, l, "publisher")
	for i := range uint16(4) {
		publisher.send(retained(codec.QoS(i%3), i+1, fmt.Sprint("a/", i), "kept"))
	}
	publisher.got()
	reader := meet(t, l, "reader")
	reader.got()
	reader.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a/#", QoS: codec.QoS2}}))
	publisher.send(above(codec.QoS1, 9, "a/1", "live"))
	first := reader.got()
	require.Equal(t, "SUBACK", first[0])
	all := slices.Clone(first[1:])
	for range 10 {
		for _, packet := range first {
			var id uint16
			if _, err := fmt.Sscanf(packet, "PUBLISH %d", &id); err == nil {
				reader.send(slices.Concat(acks(codec.PUBACK, id), acks(codec.PUBREC, id), acks(codec.PUBCOMP, id)))
			}
		}
		first = reader.got()
		for _, packet := range first {
			if strings.HasPrefix(packet, "PUBLISH") {
				all = append(all, packet)
			}
		}
	}
	require.Len(t, all, 5)
	require.Equal(t, "PUBLISH 1 a/1 live QoS 1", all[4], "the live one is last")
	var payloads []string
	for _, packet := range all[:4] {
		require.Contains(t, packet, " RETAIN")
		payloads = append(payloads, packet[strings.Index(packet, "a/"):])
	}
	require.ElementsMatch(t, []string{"a/0 kept RETAIN", "a/1 kept QoS 1 RETAIN", "a/2 kept QoS 2 RETAIN", "a/3 kept RETAIN"}, payloads)
	require.Nil(t, reader.conn.replay)
	requireAboveBalance(t, s)
	requireBalance(t, s)
}

// Messages above QoS 0 are published, acknowledged, lost with sessions and connections, at random: after every step
// both ledgers balance, and at the end, when all have gone, nothing is left.
func TestBooksAboveQoS0(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { playAbove(t, rand.New(rand.NewPCG(seed, 2))) })
	}
}

func playAbove(t *testing.T, random *rand.Rand) {
	s := stillServer(t, 2)
	s.config.MaxInflight, s.config.QueuedMessagesMax = 1+random.IntN(5), random.IntN(10)
	s.limits.Sessions = 3
	s.queuedMax.Store(int64(4<<10 + random.IntN(16<<10)))
	publisher := meet(t, s.loops[0], "publisher")
	peers := make([]*peer, 6)
	for step := range 300 {
		i := random.IntN(len(peers))
		p := peers[i]
		switch action := random.IntN(10); {
		case p == nil || !p.conn.live():
			var options []func(*codec.Connect)
			if random.IntN(3) > 0 {
				options = append(options, persistent)
			}
			peers[i] = meet(t, s.loops[random.IntN(2)], fmt.Sprint("peer-", i), options...)
		case action == 0:
			p.leave()
		case action == 1: // takes itself over
			peers[i] = meet(t, s.loops[random.IntN(2)], fmt.Sprint("peer-", i), persistent)
		case action == 2 && random.IntN(2) == 0:
			p.send(codec.AppendUnsubscribe(nil, 1, []string{"t/#"}))
		case action < 5:
			filter := []string{"t/#", "t/1", "+/2"}[random.IntN(3)]
			p.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: filter, QoS: codec.QoS(random.IntN(3))}}))
		case action < 7:
			for _, packet := range p.got() {
				var id uint16
				if _, err := fmt.Sscanf(packet, "PUBLISH %d", &id); err == nil && random.IntN(4) > 0 {
					p.send(slices.Concat(acks(codec.PUBACK, id), acks(codec.PUBREC, id)))
				}
				if _, err := fmt.Sscanf(packet, "PUBREL %d", &id); err == nil {
					p.send(acks(codec.PUBCOMP, id))
				}
			}
		default:
			qos, id := codec.QoS(random.IntN(3)), uint16(0)
			if qos > codec.QoS0 {
				id = uint16(step + 1)
			}
			publisher.send(codec.AppendPublish(nil, &codec.Publish{
				Topic: fmt.Append(nil, "t/", random.IntN(4)), Payload: make([]byte, random.IntN(1000)),
				QoS: qos, PacketID: id, Retain: random.IntN(5) == 0,
			}))
		}
		for range 3 {
			s.loops[0].drain()
			s.loops[1].drain()
		}
		requireAboveBalance(t, s)
		requireBalance(t, s)
	}
	for _, p := range peers {
		if p != nil && p.conn.live() {
			p.leave()
		}
	}
	for _, l := range s.loops {
		l.drain()
	}
	for i := range peers {
		p := meet(t, s.loops[0], fmt.Sprint("peer-", i)) // with Clean Session 1: what was kept ends
		p.leave()
	}
	requireAboveBalance(t, s)
	st := s.Stats()
	require.Zero(t, st.QueuedMessages+st.StoredMessages+st.QueueBytes+st.Sessions+st.Subscriptions)
	require.Equal(t, 1, st.Clients)
	require.Zero(t, st.Panics)
}

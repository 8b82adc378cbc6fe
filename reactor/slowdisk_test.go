package reactor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
	"mqttd/session"
)

// A disk that takes nothing until it is mended is the slowest there is: what must wait waits, and the rest goes on.

// always has a server acknowledge what is on disk.
func always(c *Config) { c.Sync = "always" }

// answered waits until a client has got so many packets, and returns them.
func (p *peer) answered(packets int) []string {
	p.t.Helper()
	eventually(p.t, "answers", func() bool {
		settleAll(p.loop.server)
		return len(words(p.t, p.written.Bytes())) >= packets
	})
	return p.got()
}

// A client that publishes all the time, and is owed acknowledgements all the time, gets its messages, and its PINGREQ
// is answered. Who publishes to it waits for nothing. At the end it has its acknowledgements in order [MQTT-4.6.0-2].
func TestMessagesGoOnToWhoIsOwedAcknowledgements(t *testing.T) {
	for from := range 2 {
		t.Run(fmt.Sprint("from loop ", from), func(t *testing.T) {
			dir := t.TempDir()
			s := keptServer(t, dir, always)
			kept := meet(t, s.loops[0], "kept", persistent)
			kept.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "out", QoS: 1}}))
			require.Equal(t, []string{"CONNACK", "SUBACK"}, kept.answered(2))
			busy := meet(t, s.loops[0], "busy").subscribed(codec.QoS1, "in")
			other := meet(t, s.loops[from], "other")
			other.got()

			mend := fullDisk(t, dir)
			const messages = 50 // the window comes round some times
			for n := uint16(1); n <= messages; n++ {
				busy.send(above(codec.QoS1, n, "out", "x"))
				other.send(above(codec.QoS1, n, "in", fmt.Sprint(n)))
				settleAll(s)
				require.Equal(t, []string{fmt.Sprintf("PUBLISH %d in %d QoS 1", n, n)}, busy.got())
				require.Equal(t, []string{fmt.Sprint("PUBACK ", n)}, other.got())
				busy.send(acks(codec.PUBACK, n))
				busy.send(codec.AppendPingreq(nil))
				require.Equal(t, []string{"PINGRESP"}, busy.got())
			}
			busy.send(codec.AppendUnsubscribe(nil, 99, []string{"in"}))
			require.EqualValues(t, messages+1, busy.conn.late, "in order")
			require.Equal(t, messages, s.Stats().QueuedMessages)
			mend()
			var want []string
			for n := 1; n <= messages; n++ {
				want = append(want, fmt.Sprint("PUBACK ", n))
			}
			require.Equal(t, append(want, "UNSUBACK"), busy.answered(messages+1))
			require.Zero(t, busy.conn.late+busy.conn.owed)
			require.Zero(t, s.loops[0].lateBytes)
			require.NoError(t, s.saveRest())
		})
	}
}

// PINGREQ is answered at once, whatever it comes with.
func TestPingrespWaitsForNoDisk(t *testing.T) {
	publishOf := func(id uint16) []byte { return above(codec.QoS1, id, "kept", "x") }
	for _, c := range []struct {
		name  string
		reads [][]byte // in one round of the loop
	}{
		{"alone", [][]byte{codec.AppendPingreq(nil)}},
		{"behind a PUBLISH", [][]byte{codec.AppendPingreq(publishOf(2))}},
		{"behind one that was read just before", [][]byte{publishOf(2), codec.AppendPingreq(nil)}},
		{"between two", [][]byte{append(codec.AppendPingreq(publishOf(2)), publishOf(3)...)}},
	} {
		for before := range uint16(2) { // publications that wait
			t.Run(fmt.Sprint(c.name, ", ", before, " before"), func(t *testing.T) {
				dir := t.TempDir()
				s := keptServer(t, dir, always)
				kept := meet(t, s.loops[1], "kept", persistent)
				kept.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "kept", QoS: codec.QoS1}}))
				require.Equal(t, []string{"CONNACK", "SUBACK"}, kept.answered(2))
				kept.leave()
				busy := meet(t, s.loops[0], "busy")
				mend := fullDisk(t, dir)
				if before > 0 {
					busy.send(publishOf(1))
				}
				require.Equal(t, []string{"CONNACK"}, busy.got())
				for _, read := range c.reads {
					busy.loop.receive(busy.conn, read)
				}
				settleAll(s)
				require.Equal(t, []string{"PINGRESP"}, busy.got())
				mend()
				if waiting := s.Stats().QueuedMessages; waiting > 0 {
					require.Len(t, busy.answered(waiting), waiting, "PUBACK")
				}
				require.Empty(t, busy.got())
				require.NoError(t, s.saveRest())
			})
		}
	}
}

// What is owed to connections that have gone counts until the disk has it, like any other: so many that come, publish
// and go take no more memory than one that stays. Who is there then is cut off, and all is well when the disk is.
func TestDebtOfConnectionsThatHaveGone(t *testing.T) {
	dir := t.TempDir()
	s := keptServer(t, dir, always)
	l := s.loops[0]
	mend := fullDisk(t, dir)
	var chunk []byte
	for id := range uint16(5000) {
		chunk = append(chunk, retained(codec.QoS1, id+1, "a", "x")...)
	}
	rounds := 0
	l.lateBytes = owedToOthers
	for ; s.Stats().RepliesOverflow == 0; rounds++ {
		require.Less(t, owedToOthers+rounds*4*5000, lateBytesMax)
		p := meet(t, l, "publisher")
		p.send(chunk)
		require.LessOrEqual(t, l.lateBytes, lateBytesMax)
		require.Empty(t, l.debt)
		if p.conn.live() {
			p.leave()
		}
		require.Equal(t, []string{"CONNACK"}, p.got())
	}
	require.Greater(t, rounds, 10)
	require.Zero(t, s.clients.Len(), "nobody is kept for that")
	require.Zero(t, s.table.Len())
	passing := meet(t, l, "passing").subscribed(codec.QoS0, "b")
	passing.send(append(publish("b", "x"), codec.AppendPingreq(nil)...))
	require.Equal(t, []string{"PINGRESP", "PUBLISH b x"}, passing.got())

	mend()
	eventually(t, "nothing is owed any more", func() bool {
		settleAll(s)
		return len(l.late) == 0 && l.lateBytes == owedToOthers
	})
	p := meet(t, l, "publisher")
	p.send(chunk[:len(retained(codec.QoS1, 1, "a", "x"))])
	require.Equal(t, []string{"CONNACK", "PUBACK 1"}, p.answered(2))
	require.NoError(t, s.saveRest())
}

// A client that wants no session is told so when the one there was is gone from the disk: else it might be there
// again after a crash [MQTT-3.1.2-6]. Meanwhile nothing that it sends is looked at.
func TestConnackWaitsForTheEndOfTheStoredSession(t *testing.T) {
	dir := t.TempDir()
	s := keptServer(t, dir, always)
	l := s.loops[0]
	stored := func(clientID string) {
		p := meet(t, l, clientID, persistent)
		p.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a", QoS: codec.QoS1}}))
		require.Equal(t, []string{"CONNACK", "SUBACK"}, p.answered(2))
		p.leave()
	}
	for _, clientID := range []string{"waits", "goes", "is taken over"} {
		stored(clientID)
	}
	copied := crash(t, s)
	mend := fullDisk(t, dir)
	waits, goes, first := meet(t, l, "waits"), meet(t, l, "goes"), meet(t, l, "is taken over")
	waits.send(codec.AppendSubscribe(nil, 7, []codec.Subscription{{Filter: "b"}}))
	goes.leave()
	second := meet(t, s.loops[1], "is taken over", persistent)
	settleAll(s)
	require.Zero(t, s.Stats().Sessions)
	require.Equal(t, session.Parked, waits.conn.state)
	require.False(t, first.conn.live())
	for _, p := range []*peer{waits, goes, first, second} {
		require.Empty(t, p.got())
	}
	newcomer := meet(t, l, "newcomer")
	require.Equal(t, []string{"CONNACK"}, newcomer.got(), "there is nothing that it has to wait for")
	mend()
	require.Equal(t, []string{"CONNACK", "SUBACK"}, waits.answered(2))
	require.Equal(t, []string{"CONNACK"}, second.answered(1))
	require.Empty(t, append(first.got(), goes.got()...))
	require.Empty(t, l.parked)
	require.Equal(t, 3, s.clients.Len())
	require.Equal(t, 3, s.table.Len())
	after := crash(t, s)
	require.NoError(t, s.saveRest())

	sessions := func(dir string) (list []string) {
		for _, record := range kept(t, dir) {
			if strings.HasPrefix(record, "session") {
				list = append(list, record)
			}
		}
		return list
	}
	require.Len(t, sessions(copied), 3)
	require.Equal(t, []string{"session is taken over"}, sessions(after))
}

// With -sync interval a session may be there again after a crash, and nobody waits.
func TestConnackAfterTheEndOfTheStoredSession(t *testing.T) {
	dir := t.TempDir()
	s := keptServer(t, dir)
	meet(t, s.loops[0], "reader", persistent).leave()
	mend := fullDisk(t, dir)
	require.Equal(t, []string{"CONNACK"}, meet(t, s.loops[0], "reader").got())
	mend()
	require.NoError(t, s.saveRest())
	require.Empty(t, kept(t, dir))
}

// What a client has published and the server has taken is acknowledged before the server stops.
func TestOwedAcknowledgementsAtShutdown(t *testing.T) {
	const messages = 2000
	s, stop := startUntil(t, func(c *Config) { c.DataDir, c.Sync, c.QueuedMessagesMax = t.TempDir(), "always", messages })
	reader := connect(t, s, "reader", persistent)
	reader.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a", QoS: codec.QoS2}}))
	require.Equal(t, codec.SUBACK, reader.next().Type)
	publisher := connect(t, s, "publisher")
	for n := range uint16(messages) {
		publisher.send(above(codec.QoS(1+n%2), n+1, "a", "x"))
	}
	eventually(t, "the server has them", func() bool {
		return s.Stats().PublishReceived[1]+s.Stats().PublishReceived[2] == messages
	})
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	for n := range messages {
		f, err := publisher.read()
		require.NoError(t, err, "after %d acknowledgements", n)
		require.Equal(t, fmt.Sprint([]string{"PUBACK", "PUBREC"}[n%2], " ", n+1), word(t, f))
	}
	publisher.expectClosed()
	<-stopped
}

// With -sync interval, too, the end of a session with a QoS 2 exchange is on disk before the client hears of it: were
// the session there again after a crash, it would take the first message of a new one for a repetition [MQTT-4.3.3-2].
func TestConnackWaitsForTheEndOfExchanges(t *testing.T) {
	dir := t.TempDir()
	s := keptServer(t, dir) // nothing is saved within the test, but what must be at once
	l := s.loops[0]
	exchanging := func(clientID string) {
		p := meet(t, l, clientID, persistent)
		p.send(codec.AppendPublish(nil, &codec.Publish{Topic: []byte("a"), QoS: codec.QoS2, PacketID: 5}))
		require.Equal(t, []string{"CONNACK", "PUBREC 5"}, p.answered(2))
		p.leave()
	}
	exchanging("device")
	exchanging("expires")
	meet(t, l, "nothing under way", persistent).leave()
	mend := fullDisk(t, dir)
	meet(t, l, "nothing under way")
	newcomer := meet(t, l, "newcomer", persistent)
	require.Equal(t, []string{"CONNACK"}, newcomer.got(), "there is nothing that it has to wait for")
	clean := meet(t, l, "device")
	require.Equal(t, session.Parked, clean.conn.state)
	clean.leave()
	again := meet(t, s.loops[1], "device", persistent)
	s.expireSessions(time.Now().Add(48 * time.Hour))
	expired := meet(t, l, "expires", persistent)
	settleAll(s)
	require.Empty(t, append(again.got(), expired.got()...))
	copied := crashNow(t, s)
	mend()
	require.Equal(t, []string{"CONNACK"}, again.answered(1))
	require.Equal(t, []string{"CONNACK"}, expired.answered(1))
	require.Contains(t, kept(t, copied), "received 5", "had they not waited")
	require.NotContains(t, kept(t, crashNow(t, s)), "received 5")
	require.NoError(t, s.saveRest())
}

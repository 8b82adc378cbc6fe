package reactor

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"mqttd/codec"
	"mqttd/session/store"
)

// keptServer is a still server with a data directory, that saves when it is stopped or told otherwise.
func keptServer(t testing.TB, dir string, configure ...func(*Config)) *Server {
	t.Helper()
	config := DefaultConfig()
	config.Loops, config.DataDir, config.SyncInterval = 2, dir, time.Hour
	for _, change := range configure {
		change(&config)
	}
	s, err := New(config)
	require.NoError(t, err)
	for _, l := range s.loops {
		l.still()
	}
	s.restored.finish()
	close(s.listening)
	return s
}

// kept is what a data directory has, in words.
func kept(t testing.TB, dir string) (list []string) {
	t.Helper()
	s, err := store.Open(dir, store.Options{Sync: store.Always})
	require.NoError(t, err)
	note := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	require.NoError(t, s.Load(store.Visitor{
		Message:      func(uint64, []byte) { note("message") },
		Session:      func(_ uint64, s store.Session) { note("session %s", s.ClientID) },
		Subscription: func(_ uint64, filter string, qos byte) { note("subscription %s QoS %d", filter, qos) },
		Received:     func(_ uint64, id uint16) { note("received %d", id) },
		Queued:       func(_ uint64, q store.Queued) { note("queued") },
		Retained: func(_ uint64, packet []byte) {
			note("retained %s QoS %d", codec.PublishTopic(packet), retainedQoS(packet))
		},
	}))
	require.NoError(t, s.Close())
	return list
}

// prepare fills a data directory.
func prepare(t testing.TB, dir string, note func(tx *store.Tx)) {
	t.Helper()
	s, err := store.Open(dir, store.Options{Sync: store.Always})
	require.NoError(t, err)
	require.NoError(t, s.Load(store.Visitor{}))
	tx := s.Begin()
	note(tx)
	tx.End()
	require.NoError(t, s.Close())
}

// fullDisk has the file of a data directory that is open take no byte more, as on a full disk, until mend is called.
func fullDisk(t testing.TB, dir string) (mend func()) {
	t.Helper()
	const open = "/proc/self/fd"
	file, err := filepath.EvalSymlinks(filepath.Join(dir, "mqttd.db"))
	require.NoError(t, err)
	entries, err := os.ReadDir(open)
	require.NoError(t, err)
	fd := -1
	for _, e := range entries {
		if target, _ := os.Readlink(filepath.Join(open, e.Name())); target == file {
			fd, err = strconv.Atoi(e.Name())
			require.NoError(t, err)
		}
	}
	require.GreaterOrEqual(t, fd, 0)
	saved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	full, err := unix.Open("/dev/full", unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Dup3(full, fd, unix.O_CLOEXEC))
	require.NoError(t, unix.Close(full))
	return func() {
		require.NoError(t, unix.Dup3(saved, fd, unix.O_CLOEXEC))
		require.NoError(t, unix.Close(saved))
	}
}

// What a server had when it was stopped it has when it starts again.
func TestRestart(t *testing.T) {
	for _, sync := range []string{"always", "interval"} {
		t.Run("sync "+sync, func(t *testing.T) { testRestart(t, func(c *Config) { c.Sync = sync }) })
	}
}

func testRestart(t *testing.T, configure func(*Config)) {
	dir := t.TempDir()
	s := keptServer(t, dir, configure)
	patiently := func(p *peer, want ...string) { // with -sync always answers wait for the disk
		t.Helper()
		var got []string
		require.Eventually(t, func() bool {
			settleAll(s)
			got = append(got, p.got()...)
			return len(got) >= len(want)
		}, patience, time.Millisecond, "%v", want)
		require.Equal(t, want, got)
	}
	reader := meet(t, s.loops[0], "reader", persistent)
	reader.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a/#", QoS: 2}, {Filter: "b", QoS: 1}, {Filter: "zero"}}))
	patiently(reader, "CONNACK", "SUBACK")
	reader.send(codec.AppendSubscribe(nil, 2, []codec.Subscription{{Filter: "given/up", QoS: 2}}))
	reader.send(codec.AppendUnsubscribe(nil, 3, []string{"given/up"}))
	patiently(reader, "SUBACK", "UNSUBACK")
	other := meet(t, s.loops[1], "other", persistent)
	other.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a/1", QoS: 1}}))
	clean := meet(t, s.loops[1], "clean").subscribed(codec.QoS1, "a/#")
	patiently(other, "CONNACK", "SUBACK")
	clean.got()

	sender := meet(t, s.loops[1], "sender", persistent)
	sender.send(above(codec.QoS2, 1, "a/1", "one"))
	sender.send(above(codec.QoS2, 2, "a/2", "two"))
	sender.send(above(codec.QoS1, 3, "b", "three"))
	sender.send(above(codec.QoS1, 4, "b", "four"))
	sender.send(acks(codec.PUBREL, 1))
	patiently(sender, "CONNACK", "PUBREC 1", "PUBREC 2", "PUBACK 3", "PUBACK 4", "PUBCOMP 1")
	patiently(reader, "PUBLISH 1 a/1 one QoS 2", "PUBLISH 2 a/2 two QoS 2", "PUBLISH 3 b three QoS 1", "PUBLISH 4 b four QoS 1")
	reader.send(append(acks(codec.PUBREC, 2), acks(codec.PUBACK, 3)...))
	patiently(reader, "PUBREL 2")
	reader.leave()
	sender.send(above(codec.QoS1, 5, "a/3", "five"))
	for qos := range codec.QoS(3) {
		sender.send(retained(qos, uint16(6+qos), fmt.Sprint("kept/", qos), fmt.Sprint("v", qos)))
	}
	sender.send(retained(codec.QoS1, 9, "cleared", "v"))
	sender.send(retained(codec.QoS1, 10, "cleared", ""))
	patiently(sender, "PUBACK 5", "PUBACK 7", "PUBREC 8", "PUBACK 9", "PUBACK 10")
	require.NoError(t, s.saveRest())

	s = keptServer(t, dir, configure)
	st := s.Stats()
	require.Equal(t, []int{3, 4, 3, 0}, []int{st.Sessions, st.Subscriptions, st.Retained, st.Clients})
	require.Equal(t, []int{4, 3}, []int{st.QueuedMessages, st.StoredMessages}, "one is for two clients, of one only PUBREL is left")
	requireAboveBalance(t, s)
	back := meet(t, s.loops[1], "reader", persistent)
	patiently(back, "CONNACK present", "PUBLISH 1 a/1 one QoS 2 DUP", "PUBREL 2", "PUBLISH 4 b four QoS 1 DUP", "PUBLISH 5 a/3 five QoS 1")
	again := meet(t, s.loops[0], "sender", persistent)
	again.send(above(codec.QoS2, 2, "a/2", "two")) // published when it came first
	again.send(above(codec.QoS2, 1, "a/1", "released, so it is another one"))
	again.send(publish("zero", "z"))
	patiently(again, "CONNACK present", "PUBREC 2", "PUBREC 1")
	patiently(back, "PUBLISH zero z", "PUBLISH 6 a/1 released, so it is another one QoS 2")
	newcomer := meet(t, s.loops[0], "newcomer")
	newcomer.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "kept/0", QoS: 2}, {Filter: "kept/1", QoS: 2},
		{Filter: "kept/2", QoS: 2}, {Filter: "cleared"}}))
	got := words(t, newcomer.written.Bytes())
	require.Equal(t, []string{"CONNACK", "SUBACK"}, got[:2])
	require.ElementsMatch(t, []string{"PUBLISH kept/0 v0 RETAIN", "PUBLISH 32768 kept/1 v1 QoS 1 RETAIN", "PUBLISH 32769 kept/2 v2 QoS 2 RETAIN"}, got[2:])
	require.Equal(t, []string{"CONNACK"}, meet(t, s.loops[0], "clean", persistent).got(), "Clean Session 1 kept nothing")
	back.send(append(acks(codec.PUBREC, 1, 6), acks(codec.PUBCOMP, 1, 2, 6)...))
	back.send(acks(codec.PUBACK, 4, 5))
	requireAboveBalance(t, s)
	require.NoError(t, s.saveRest())

	for _, record := range kept(t, dir) {
		require.NotContains(t, record, "given/up")
	}
}

// When nobody waits for anything, nothing of it is left on disk.
func TestWhatHasEndedIsGoneFromTheDisk(t *testing.T) {
	dir := t.TempDir()
	s := keptServer(t, dir, func(c *Config) { c.SessionsMax = 2 })
	l := s.loops[0]
	publisher := meet(t, l, "publisher")
	for i := range 4 { // two are evicted
		meet(t, l, fmt.Sprint("reader-", i), persistent).subscribed(codec.QoS2, "a").leave()
	}
	publisher.send(above(codec.QoS2, 1, "a", "x"))
	meet(t, l, "reader-2") // Clean Session 1
	require.EqualValues(t, 2, s.Stats().SessionsEvicted)
	require.Equal(t, 1, s.Stats().QueuedMessages)
	require.NoError(t, s.saveRest())
	require.Equal(t, []string{"message", "session reader-3", "subscription a QoS 2", "queued"}, kept(t, dir))

	s = keptServer(t, dir)
	s.expireSessions(time.Now().Add(48 * time.Hour))
	require.EqualValues(t, 1, s.Stats().SessionsExpired)
	require.NoError(t, s.saveRest())
	require.Empty(t, kept(t, dir))
}

// Sessions beyond the limits of the server that starts end: those too old, and those that were away longest.
func TestRestartWithFewerSessions(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	prepare(t, dir, func(tx *store.Tx) {
		for i, age := range []time.Duration{3 * time.Minute, 5 * time.Hour, 2 * time.Minute, 4 * time.Minute, 25 * time.Hour} {
			id := uint64(i) + 1
			tx.PutSession(id, store.Session{ClientID: age.String(), Left: now.Add(-age).UnixMilli()}, true)
			tx.PutSubscription(id, "a", 1, true)
			tx.PutMessage(id, publish("a", "x"))
			tx.PutQueued(id, store.Queued{Flow: 1, Seq: id, MessageID: id, QoS: 1})
		}
		tx.PutSession(9, store.Session{ClientID: "connected"}, true)
	})
	s := keptServer(t, dir, func(c *Config) { c.SessionsMax = 3 })
	st := s.Stats()
	require.EqualValues(t, 1, st.SessionsExpired)
	require.EqualValues(t, 2, st.SessionsEvicted)
	require.Equal(t, []int{3, 2, 2}, []int{st.Sessions, st.Subscriptions, st.QueuedMessages})
	require.EqualValues(t, 3, st.Above[0].Dropped[ReasonExpired])
	requireAboveBalance(t, s)
	require.NoError(t, s.saveRest())
	var sessions []string
	for _, record := range kept(t, dir) {
		if strings.HasPrefix(record, "session") {
			sessions = append(sessions, record)
		}
	}
	require.Equal(t, []string{"session 3m0s", "session 2m0s", "session connected"}, sessions)

	s = keptServer(t, dir)
	for clientID, present := range map[string]string{"2m0s": "CONNACK present", "3m0s": "CONNACK present", "4m0s": "CONNACK",
		"5h0m0s": "CONNACK", "25h0m0s": "CONNACK", "connected": "CONNACK present"} {
		require.Equal(t, present, meet(t, s.loops[0], clientID, persistent).got()[0], clientID)
	}
	require.NoError(t, s.saveRest())
}

// Retained messages beyond the limits are not there, are told of, and are gone from the disk.
func TestRestartWithLessRoomForRetained(t *testing.T) {
	dir := t.TempDir()
	prepare(t, dir, func(tx *store.Tx) {
		for i := range 5 {
			topic := fmt.Sprint("t/", i)
			tx.PutRetained(uint64(1+i), retainedPacket([]byte(topic), []byte("v"), codec.QoS2), true)
		}
	})
	var lines bytes.Buffer
	few := func(c *Config) { c.RetainedMessagesMax, c.Log = 2, zerolog.New(&lines).Level(zerolog.WarnLevel) }
	s := keptServer(t, dir, few)
	require.Equal(t, 2, s.Stats().Retained)
	require.Contains(t, lines.String(), `"messages":3`)
	require.NoError(t, s.saveRest())
	require.Equal(t, []string{"retained t/0 QoS 2", "retained t/1 QoS 2"}, kept(t, dir))
}

// A server that does not come to serve leaves what is in the directory, whatever it would have ended.
func TestServerThatCannotServeChangesNothing(t *testing.T) {
	dir := t.TempDir()
	prepare(t, dir, func(tx *store.Tx) {
		for id := range uint64(4) {
			left := time.Now().Add(-time.Duration(id) * time.Hour).UnixMilli()
			tx.PutSession(1+id, store.Session{ClientID: fmt.Sprint("client ", id), Left: left}, true)
			tx.PutMessage(1+id, publish("a", "x"))
			tx.PutQueued(1+id, store.Queued{Flow: 1, Seq: 1, MessageID: 1 + id, QoS: 1})
			tx.PutRetained(1+id, retainedPacket([]byte{'t', '0' + byte(id)}, []byte("v"), codec.QoS0), true)
		}
		tx.PutSession(5, store.Session{ClientID: "connected"}, true)
	})
	before := kept(t, dir)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	config := DefaultConfig()
	config.DataDir, config.SessionsMax, config.RetainedMessagesMax, config.SessionExpiry = dir, 1, 1, 150*time.Minute
	config.Host, config.Port = "127.0.0.1", taken.Addr().(*net.TCPAddr).Port
	s, err := New(config)
	require.NoError(t, err)
	require.ErrorIs(t, s.Run(), ErrInUse)
	require.Equal(t, before, kept(t, dir))
	s, err = New(config)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.Equal(t, before, kept(t, dir))

	s, err = New(config)
	require.NoError(t, err)
	s.restored.finish()
	require.Equal(t, []uint64{3, 1}, []uint64{s.Stats().SessionsEvicted, s.Stats().SessionsExpired})
	requireAboveBalance(t, s)
	require.NoError(t, s.saveRest())
	require.Equal(t, []string{"session connected", "retained t0 QoS 0"}, kept(t, dir))
}

// A directory with records that cannot be is refused, and left as it is.
func TestRestartRefusesNonsense(t *testing.T) {
	dir := t.TempDir()
	prepare(t, dir, func(tx *store.Tx) {
		tx.PutSession(1, store.Session{ClientID: "reader"}, true)
		tx.PutQueued(1, store.Queued{Flow: 1, Seq: 1, MessageID: 77, QoS: 1})
	})
	before := kept(t, dir)
	config := DefaultConfig()
	config.DataDir = dir
	for range 2 { // the directory is free again
		_, err := New(config)
		require.ErrorIs(t, err, store.ErrDamaged)
	}
	require.Equal(t, before, kept(t, dir))
}

// crash returns a copy of a data directory as the end of the process would leave it now, when all is on disk.
func crash(t testing.TB, s *Server) (dir string) {
	t.Helper()
	eventually(t, "it is on disk", func() bool { return s.Stats().Store.Pending == 0 })
	return crashNow(t, s)
}

// crashNow is crash when all that counts is on disk.
func crashNow(t testing.TB, s *Server) (dir string) {
	t.Helper()
	database, err := os.ReadFile(filepath.Join(s.config.DataDir, "mqttd.db"))
	require.NoError(t, err)
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mqttd.db"), database, 0o600))
	return dir
}

// After a kill nobody knows what was sent: it all has DUP [MQTT-3.3.1-1], with the Packet Identifier that it had, and
// what is new goes on from there. That a server started and stopped in between, while the client was away, changes
// nothing.
func TestRestartAfterAKill(t *testing.T) {
	for _, sync := range []string{"interval", "always"} {
		t.Run("sync "+sync, func(t *testing.T) {
			configure := func(config *Config) { config.Sync, config.SyncInterval = sync, store.IntervalMin }
			s := keptServer(t, t.TempDir(), configure)
			meet(t, s.loops[0], "reader", persistent).subscribed(codec.QoS2, "a").leave()
			publisher := meet(t, s.loops[0], "publisher")
			publisher.send(above(codec.QoS1, 1, "a", "old"))
			publisher.send(above(codec.QoS2, 2, "a", "old too"))
			copied := crash(t, s)
			require.NoError(t, s.saveRest())

			s = keptServer(t, copied, configure)
			require.False(t, s.store.Clean())
			require.NoError(t, s.saveRest())
			s = keptServer(t, copied, configure)
			require.True(t, s.store.Clean())
			reader := meet(t, s.loops[0], "reader", persistent)
			require.Equal(t, []string{"CONNACK present", "PUBLISH 1 a old QoS 1 DUP", "PUBLISH 2 a old too QoS 2 DUP"}, reader.got())
			meet(t, s.loops[0], "publisher").send(above(codec.QoS1, 1, "a", "new"))
			require.Equal(t, []string{"PUBLISH 3 a new QoS 1"}, reader.got())
			require.NoError(t, s.saveRest())
		})
	}
}

// With -sync always nothing that changes what is kept is acknowledged before it is on disk, nothing of QoS 2 is
// sent, and who has nothing to do with the disk does not wait.
func TestSyncAlwaysAcknowledgesWhatIsOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := keptServer(t, dir, func(c *Config) { c.Sync = "always" })
	l := s.loops[0]
	reader := meet(t, l, "reader", persistent)
	sender := meet(t, l, "sender", persistent)
	reader.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a", QoS: 2}, {Filter: "given/up"}}))
	sender.send(above(codec.QoS2, 1, "nobody", "x"))
	passing := meet(t, l, "passing")
	passing.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "b"}}))
	eventually(t, "all have their answers", func() bool {
		l.drain()
		return len(words(t, reader.written.Bytes())) == 2 && len(words(t, sender.written.Bytes())) == 2
	})
	for _, p := range []*peer{reader, sender, passing} {
		p.got()
	}

	mend := fullDisk(t, dir)
	sender.send(above(codec.QoS1, 2, "a", "one"))
	sender.send(above(codec.QoS2, 3, "a", "two"))
	sender.send(acks(codec.PUBREL, 1))
	sender.send(codec.AppendPingreq(nil))
	reader.send(codec.AppendSubscribe(nil, 2, []codec.Subscription{{Filter: "c", QoS: 1}}))
	reader.send(codec.AppendUnsubscribe(nil, 3, []string{"given/up"}))
	passing.send(append(publish("b", "at QoS 0"), codec.AppendPingreq(nil)...))
	eventually(t, "the store has noticed", func() bool { return s.Stats().Store.Failing })
	l.drain()
	require.Equal(t, []string{"PINGRESP"}, sender.got(), "it must not take the broker for dead")
	require.Equal(t, []string{"PINGRESP", "PUBLISH b at QoS 0"}, passing.got())
	for _, packet := range reader.got() {
		require.NotContains(t, packet, "ACK")
		require.NotContains(t, packet, "QoS 2")
	}
	require.Equal(t, 2, s.Stats().QueuedMessages)

	mend()
	eventually(t, "the disk is there again", func() bool {
		settleAll(s)
		return len(words(t, sender.written.Bytes())) == 3 && len(words(t, reader.written.Bytes())) >= 3
	})
	require.Equal(t, []string{"PUBACK 2", "PUBREC 3", "PUBCOMP 1"}, sender.got())
	require.Contains(t, reader.got(), "PUBLISH 2 a two QoS 2")
	reader.send(append(acks(codec.PUBACK, 1), acks(codec.PUBREC, 2)...))
	eventually(t, "PUBREL", func() bool { l.drain(); return len(reader.got()) == 1 })
	require.NoError(t, s.saveRest())
}

// With -sync interval nobody waits for the disk as long as it works. When it does not, acknowledgements wait, and
// go on when it does again; the operator is told of both.
func TestSyncIntervalWaitsWhileTheDiskFails(t *testing.T) {
	lines, dir := new(text), t.TempDir()
	s := keptServer(t, dir, func(c *Config) {
		c.SyncInterval, c.Log = store.IntervalMin, zerolog.New(lines).Level(zerolog.InfoLevel)
	})
	l := s.loops[0]
	reader := meet(t, l, "reader", persistent).subscribed(codec.QoS1, "a")
	sender := meet(t, l, "sender")
	sender.got()
	mend := fullDisk(t, dir)
	sender.send(above(codec.QoS1, 1, "a", "one"))
	require.Equal(t, []string{"PUBACK 1"}, sender.got(), "nobody knows yet")
	eventually(t, "the store has noticed", func() bool { return s.Stats().Store.Failing })
	sender.send(above(codec.QoS1, 2, "a", "two"))
	l.drain()
	require.Empty(t, sender.got())
	mend()
	eventually(t, "the acknowledgement", func() bool { l.drain(); return sender.written.Len() > 0 })
	require.Equal(t, []string{"PUBACK 2"}, sender.got())
	require.Equal(t, []string{"PUBLISH 1 a one QoS 1", "PUBLISH 2 a two QoS 1"}, reader.got())
	eventually(t, "the operator knows", func() bool { return strings.Contains(lines.String(), "saved again") })
	require.Contains(t, lines.String(), "cannot save")
	require.NoError(t, s.saveRest())
}

// owedToOthers is what a test has a loop owe to others already, so that the bound is not far.
const owedToOthers = lateBytesMax - 1<<20

// A publisher that goes on and on while nothing can be acknowledged is cut off at a limit of the loop, and what it
// was owed is owed to nobody.
func TestTooMuchToAcknowledge(t *testing.T) {
	dir := t.TempDir()
	s := keptServer(t, dir, func(c *Config) {
		c.Sync, c.ClientBufferBytes, c.MaxPacketBytes = "always", ClientBufferBytesMin, PacketBytesMin
	})
	l := s.loops[0]
	sender := meet(t, l, "sender")
	sender.got()
	mend := fullDisk(t, dir)
	const round = 5000
	var chunk []byte
	for id := range uint16(round) {
		chunk = append(chunk, retained(codec.QoS1, id+1, "a", "x")...)
	}
	rounds := 0
	l.lateBytes = owedToOthers
	for ; sender.conn.live(); rounds++ {
		require.Less(t, owedToOthers+4*round*rounds, lateBytesMax)
		require.LessOrEqual(t, l.lateBytes, lateBytesMax)
		sender.send(chunk)
	}
	require.Equal(t, errRepliesUnsaved, sender.conn.reason)
	require.Greater(t, owedToOthers+(4*round+lateBytes)*rounds, lateBytesMax, "not before")
	require.EqualValues(t, 1, s.Stats().RepliesOverflow)
	require.Empty(t, sender.got())
	mend()
	eventually(t, "nothing is owed any more", func() bool {
		settleAll(s)
		return len(l.owed)+len(l.debt)+len(l.late) == 0 && l.lateBytes == owedToOthers
	})
	require.NoError(t, s.saveRest())
}

// A server that cannot save what is left says so.
func TestStopWithoutSaving(t *testing.T) {
	dir := t.TempDir()
	s := keptServer(t, dir)
	meet(t, s.loops[0], "reader", persistent)
	fullDisk(t, dir)
	require.ErrorIs(t, s.saveRest(), ErrNotSaved)
}

// A running server that is shut down saves all that its clients have, those that are connected as well.
func TestShutdownSavesAll(t *testing.T) {
	for _, sync := range []string{"always", "interval"} {
		t.Run("sync "+sync, func(t *testing.T) {
			dir := t.TempDir()
			configure := func(c *Config) { c.Loops, c.DataDir, c.Sync, c.SyncInterval = 2, dir, sync, time.Hour }
			s, stop := startUntil(t, configure)
			const readers, messages = 10, 50
			var clients []*client
			for i := range readers {
				c := connect(t, s, fmt.Sprint("reader-", i), persistent)
				c.send(codec.AppendSubscribe(nil, 1, []codec.Subscription{{Filter: "a", QoS: codec.QoS(1 + i%2)}}))
				require.Equal(t, codec.SUBACK, c.next().Type)
				clients = append(clients, c)
			}
			publisher := connect(t, s, "publisher")
			for n := range uint16(messages) {
				publisher.send(above(codec.QoS1, n+1, "a", fmt.Sprint(n)))
			}
			for range messages {
				require.Equal(t, codec.PUBACK, publisher.next().Type)
			}
			first := clients[0]
			for range 5 { // the first reader has some
				p, err := codec.ParsePublish(first.next(), codec.Version311)
				require.NoError(t, err)
				first.send(acks(codec.PUBACK, p.PacketID))
			}
			eventually(t, "it has acknowledged", func() bool { return s.Stats().Above[0].Delivered == 5 })
			stop()

			s, _ = startUntil(t, configure)
			require.Equal(t, []int{readers, readers, messages}, []int{s.Stats().Sessions, s.Stats().Subscriptions, s.Stats().StoredMessages})
			for i := range readers {
				c := dial(t, s)
				c.sendConnect(fmt.Sprint("reader-", i), persistent)
				require.Equal(t, "CONNACK present", word(t, c.next()))
				for n := 5 * b2i(i == 0); n < messages; n++ {
					p, err := codec.ParsePublish(c.next(), codec.Version311)
					require.NoError(t, err)
					require.Equal(t, fmt.Sprint(n), string(p.Payload))
					require.EqualValues(t, n+1, p.PacketID)
					c.send(acks(codec.PUBACK, p.PacketID))
				}
			}
			eventually(t, "nothing waits", func() bool { return s.Stats().QueuedMessages == 0 })
			requireAboveBalance(t, s)
		})
	}
}

package store

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// BenchmarkQueuedToDisk notes messages that nobody acknowledges, with entries of 2,000 sessions, and saves them. One
// operation is one message.
func BenchmarkQueuedToDisk(b *testing.B) {
	s, _ := measured(b, Options{Interval: time.Second})
	packet, id := make([]byte, 160), uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		id++
		tx := s.Begin()
		tx.PutMessage(id, packet)
		tx.PutQueued(rand.Uint64N(2000), Queued{Seq: id, MessageID: id, QoS: 1})
		tx.End()
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkAlways is the time from a change to its commit, one after the other.
func BenchmarkAlways(b *testing.B) {
	committed := make(chan struct{}, 1)
	s, _ := measured(b, Options{Sync: Always, Committed: func() { committed <- struct{}{} }})
	packet, id := make([]byte, 160), uint64(0)
	for b.Loop() {
		id++
		tx := s.Begin()
		tx.PutMessage(id, packet)
		tx.PutQueued(1, Queued{Seq: id, MessageID: id, QoS: 1})
		tx.End()
		<-committed
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// measured opens a store in a directory of the disk that is used for temporary files.
func measured(b *testing.B, o Options) (*Store, string) {
	b.Helper()
	dir := b.TempDir()
	s, err := Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Load(Visitor{}); err != nil {
		b.Fatal(err)
	}
	return s, dir
}

// BenchmarkQueuedAndAcknowledged notes what a QoS 1 message to one session costs: put and delete, message and entry,
// in two Tx. One operation is one note.
func BenchmarkQueuedAndAcknowledged(b *testing.B) {
	s, _ := measured(b, Options{Interval: time.Hour})
	defer s.Close()
	packet := make([]byte, 100)
	const sessions = 1000
	b.ReportAllocs()
	for id := uint64(1); b.Loop(); id++ {
		session := id % sessions
		tx := s.Begin()
		tx.PutMessage(id, packet)
		tx.PutQueued(session, Queued{Seq: id, MessageID: id, QoS: 1})
		tx.End()
		tx = s.Begin()
		tx.DeleteQueued(session, 0, id)
		tx.DeleteMessage(id)
		tx.End()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(4*b.N), "ns/note")
}

var retainedCount = flag.Int("retained", 50_000, "messages in BenchmarkRetained")

// BenchmarkRetained saves new retained messages that are noted at 100,000 a second, newer ones for all topics in random
// order, and loads them. A
// goroutine that wakes every millisecond says how late that is: with nothing to do, with messages noted nowhere, and
// while they are saved. -args -retained 1000000 is what the figures in the comments were measured with; TMPDIR
// chooses the disk.
func BenchmarkRetained(b *testing.B) {
	const perMillisecond = 100
	messages := *retainedCount
	first, again := make([]int, messages), rand.New(rand.NewPCG(1, 2)).Perm(messages)
	for i := range first {
		first[i] = i
	}
	packet := make([]byte, 200) // of 140 bytes of payload
	for b.Loop() {
		report(b, "idle", lateness(func() { time.Sleep(time.Second) }))
		report(b, "noting", lateness(func() { note(nil, again, packet, false, perMillisecond) }))
		s, dir := measured(b, Options{Interval: time.Second})
		save := func(name string, numbers []int, first bool) {
			before, began := s.Stats(), time.Now()
			report(b, name, lateness(func() {
				note(s, numbers, packet, first, perMillisecond)
				b.Logf("noted in %v, %d pending", time.Since(began), s.Stats().Pending)
				for s.Stats().Pending > 0 {
					time.Sleep(time.Millisecond)
				}
			}))
			stats := s.Stats()
			b.Logf("saved in %v, %d transactions, %v in them; file %d MiB", time.Since(began), stats.Commits-before.Commits,
				stats.CommitTime-before.CommitTime, stats.FileBytes>>20)
		}
		save("saving", first, true)
		save("again", again, false)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		s, err := Open(dir, Options{Interval: time.Second})
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("opened in %v", time.Since(began))
		loaded := 0
		if err := s.Load(Visitor{Retained: func(uint64, []byte) { loaded++ }}); err != nil {
			b.Fatal(err)
		}
		b.Logf("opened and loaded %d in %v", loaded, time.Since(began))
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// note notes a message for each number, plus one.
func note(s *Store, numbers []int, packet []byte, first bool, perMillisecond int) {
	next := time.Now()
	for i, number := range numbers {
		if i%perMillisecond == 0 {
			next = next.Add(time.Millisecond)
			time.Sleep(time.Until(next))
		}
		tx := s.Begin()
		tx.PutRetained(uint64(1+number), packet, first)
		tx.End()
	}
}

// lateness returns how late a goroutine that wakes every millisecond was while f ran, in order.
func lateness(f func()) []time.Duration {
	stop, result := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var late []time.Duration
		for {
			select {
			case <-stop:
				slices.Sort(late)
				result <- late
				return
			default:
			}
			due := time.Now().Add(time.Millisecond)
			time.Sleep(time.Millisecond)
			late = append(late, time.Since(due))
		}
	}()
	f()
	close(stop)
	return <-result
}

func report(b *testing.B, name string, late []time.Duration) {
	at := func(q float64) time.Duration { return late[int(q*float64(len(late)-1))].Round(time.Microsecond) }
	b.Logf("%-8s late by p50 %v p99 %v p99.9 %v max %v of %d", name, at(.5), at(.99), at(.999), at(1), len(late))
}

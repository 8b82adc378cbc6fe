package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

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

// BenchmarkQueuedAndAcknowledged notes what a QoS 1 message to one session costs: put and delete, message and entry, in
// two Tx. One operation is one note.
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

// BenchmarkRetainedMillion saves 1,000,000 retained messages that are noted at 100,000 a second in random order, and loads
// them; a goroutine that wakes every millisecond says how late that is meanwhile, and without.
func BenchmarkRetainedMillion(b *testing.B) {
	const messages, perMillisecond = 1_000_000, 100
	topics := make([]string, messages)
	for i, n := range rand.New(rand.NewPCG(1, 2)).Perm(messages) {
		topics[i] = fmt.Sprintf("site/%02d/building/%03d/device/%06d/temperature", n%20, n%400, n)
	}
	packet := make([]byte, 160)
	for b.Loop() {
		b.StopTimer()
		report(b, "idle", lateness(func() { time.Sleep(2 * time.Second) }))
		report(b, "noting", lateness(func() { note(nil, topics, packet, perMillisecond) }))
		s, dir := measured(b, Options{Interval: time.Second})
		b.StartTimer()
		began := time.Now()
		report(b, "saving", lateness(func() {
			note(s, topics, packet, perMillisecond)
			b.Logf("noted in %v, pending %d", time.Since(began), s.Stats().Pending)
			for s.Stats().Pending > 0 {
				time.Sleep(time.Millisecond)
			}
		}))
		stats := s.Stats()
		b.Logf("saved in %v, %d commits, %v in them; file %d MB", time.Since(began), stats.Commits, stats.CommitTime,
			stats.FileBytes>>20)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		info, _ := os.Stat(dir + "/" + databaseName)
		b.Logf("%d MB on disk", info.Size()>>20)
		began = time.Now()
		s, err := Open(dir, Options{Interval: time.Second})
		if err != nil {
			b.Fatal(err)
		}
		opened := time.Since(began)
		loaded := 0
		if err := s.Load(Visitor{Retained: func(string, []byte, byte) { loaded++ }}); err != nil {
			b.Fatal(err)
		}
		b.Logf("opened in %v, loaded %d in %v", opened, loaded, time.Since(began)-opened)
		s.Close()
		b.StartTimer()
	}
}

func note(s *Store, topics []string, packet []byte, perMillisecond int) {
	next := time.Now()
	for i, topic := range topics {
		if i%perMillisecond == 0 {
			next = next.Add(time.Millisecond)
			time.Sleep(time.Until(next))
		}
		tx := s.Begin()
		tx.PutRetained(topic, packet, 1)
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

package reactor

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBusyMeterEstimates(t *testing.T) {
	const us = time.Microsecond
	for _, test := range []struct {
		name   string
		rounds int
		d      func(n int) time.Duration
	}{
		{"short rounds", 200_000, func(int) time.Duration { return 5 * us }},
		{"long rounds", 2000, func(int) time.Duration { return 5 * time.Millisecond }},
		{"a long one among short ones", 400_000, func(n int) time.Duration {
			if n%64 == 0 { // a sample of every 64th would find all or none of them
				return 200 * us
			}
			return 4 * us
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var m busyMeter // its randomness is seeded
			var want time.Duration
			measured := 0
			for n := range test.rounds {
				d := test.d(n)
				want += d
				m.begin()
				if m.timed {
					measured++
					m.measured(d)
				}
				m.end()
			}
			assert.InEpsilon(t, want, m.take(time.Now()), 0.2)
			assert.Less(t, measured, test.rounds/4)
		})
	}
}

// A measured round in which the loop lost the processor is taken for few others.
func TestBusyMeterOutlier(t *testing.T) {
	m := busyMeter{stride: 2*strideMean - 1}
	m.measured(time.Millisecond)
	assert.LessOrEqual(t, m.take(time.Now()), 2*strideMean*time.Millisecond)
	assert.Less(t, m.stride, int32(2*strideMean))
}

// Idle rounds are not counted, nested ones once, and an end without a beginning is none.
func TestBusyMeterRounds(t *testing.T) {
	var m busyMeter
	m.end()
	assert.Zero(t, m.take(time.Now()))
	m.begin()
	time.Sleep(2 * time.Millisecond)
	m.begin()
	m.end()
	first := m.spent
	assert.GreaterOrEqual(t, first, 2*time.Millisecond)
	m.end()
	assert.Equal(t, first, m.spent)
	assert.Equal(t, first, m.take(time.Now()))
	assert.Zero(t, m.take(time.Now()))
}

// However wrong the estimate is, a loop is not busy for longer than there was time; one that stands still in a
// round that is not measured is busy.
func TestBusyIsNoMoreThanTheTimeThatPassed(t *testing.T) {
	w := newWatch()
	begun := w.tickBefore
	w.busy.spent = time.Hour
	w.opened(1)
	assert.LessOrEqual(t, w.stats().BusyTotal, time.Since(begun))
	assert.Equal(t, 1.0, w.stats().Busy)

	w = newWatch()
	w.busy.left = 10
	w.busy.begin()
	w.epoch, w.tickBefore = w.epoch.Add(-time.Minute), w.tickBefore.Add(-time.Minute)
	w.tickAt.Store(int64(30 * time.Second))
	w.opened(1)
	assert.InDelta(t, 30, w.stats().BusyTotal.Seconds(), 15)
	assert.InDelta(t, 0.5, w.stats().Busy, 0.25)

	w = newWatch()
	w.busy.begin() // a measured one: its parts count where they belong
	w.busy.began, w.tickBefore = w.busy.began.Add(-30*time.Second), w.tickBefore.Add(-time.Minute)
	w.opened(1)
	assert.InDelta(t, 30, w.stats().BusyTotal.Seconds(), 15)
	w.tickBefore = w.tickBefore.Add(-time.Minute)
	w.busy.end()
	w.opened(1)
	assert.InDelta(t, 0, w.stats().Busy, 0.25)
}

func BenchmarkBusyMeter(b *testing.B) {
	var m busyMeter
	for b.Loop() {
		m.begin()
		m.end()
	}
}

func TestWatchKeepsTheLargestTurn(t *testing.T) {
	w := newWatch()
	w.opened(3) // a tick that the test did not post
	assert.Equal(t, 3, w.stats().Connections)
	w.epoch = w.epoch.Add(-time.Minute)
	w.tickAt.Store(int64(50 * time.Second)) // ten seconds ago
	st := w.stats()
	assert.InDelta(t, 10, st.Turn.Seconds(), 5, "it waits still")
	w.opened(3)
	for range turnsKept - 1 {
		assert.InDelta(t, 10, w.stats().TurnMax.Seconds(), 5)
		w.posted()
		w.opened(3)
		assert.Less(t, w.stats().Turn, 5*time.Second)
	}
	w.posted()
	w.opened(3)
	assert.Less(t, w.stats().TurnMax, 5*time.Second, "a minute has passed")
}

func TestFanoutSumsTheLoops(t *testing.T) {
	s := stillServer(t, 2)
	for range fanoutReadersMin {
		now := time.Now()
		s.loops[0].watch.fannedOut(now.Add(-time.Minute), now.Add(-time.Second))
		s.loops[1].watch.fannedOut(now.Add(-time.Minute), now)
	}
	latency, skew := s.Fanout()
	assert.EqualValues(t, 2*fanoutReadersMin, latency.Count)
	assert.EqualValues(t, 2*fanoutReadersMin, skew.Count)
	assert.GreaterOrEqual(t, latency.Sum, 2*fanoutReadersMin*time.Minute)
	assert.GreaterOrEqual(t, skew.Sum, fanoutReadersMin*time.Second)
	assert.Less(t, skew.Sum, latency.Sum)
}

func TestLoopsOfARunningServer(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 2 })
	for n := range 6 {
		connect(t, s, fmt.Sprint("client-", n)).subscribe("a")
	}
	eventually(t, "all connections are counted", func() bool {
		loops := s.Loops()
		return loops[0].Connections+loops[1].Connections == 6
	})
	loops := s.Loops()
	assert.Equal(t, []int{0, 1}, []int{loops[0].Index, loops[1].Index})
	// A loop that does nothing but work is seen to.
	stop := make(chan struct{})
	defer close(stop)
	publisher := connect(t, s, "publisher")
	go func() {
		chunk := publishes("a", 200, 100)
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := publisher.conn.Write(chunk); err != nil {
					return
				}
			}
		}
	}()
	eventually(t, "a loop is busy", func() bool { return max(s.Loops()[0].Busy, s.Loops()[1].Busy) > 0.1 })
	assert.Positive(t, s.Loops()[0].BusyTotal+s.Loops()[1].BusyTotal)
}

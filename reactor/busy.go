package reactor

import (
	"math/rand/v2"
	"time"
)

// busyMeter estimates how long a loop has been at work. Looking at the clock in each round would cost about a
// percent of a small one, so it measures every strideMean-th on average, picked at random lest it be in step
// with what the loop does, and counts it for those before it too. It is loop-confined.
type busyMeter struct {
	random rand.PCG
	spent  time.Duration // the estimate since the last take

	open   bool      // in a round
	left   int32     // rounds until the next measured one, that included
	stride int32     // rounds that it stands for
	timed  bool      // this round is measured
	began  time.Time // if it is
}

// strideMean is small, so that a measured round in which the loop lost the processor is not taken for many of
// them. (chosen: a round pays 7 ns, see BenchmarkBusyMeter)
const strideMean = 16

// begin is called when the loop gets something to do. Only the first call of a round counts.
func (m *busyMeter) begin() {
	if m.open {
		return
	}
	m.open = true
	if m.left--; m.left <= 0 {
		m.start()
	}
}

func (m *busyMeter) start() { m.timed, m.began = true, time.Now() }

// end is called when it has done it. Without begin it does nothing.
func (m *busyMeter) end() {
	m.open = false
	if m.timed {
		m.finish()
	}
}

func (m *busyMeter) finish() { m.measured(time.Since(m.began)) }

// measured counts a measured round and picks the next.
func (m *busyMeter) measured(d time.Duration) {
	m.count(d)
	m.timed = false
	m.stride = 1 + int32(m.random.Uint64()%(2*strideMean-1))
	m.left = m.stride
}

func (m *busyMeter) count(d time.Duration) { m.spent += d * time.Duration(max(1, m.stride)) }

// take returns the estimate since it was called before; of a round that goes on it takes the part until now.
func (m *busyMeter) take(now time.Time) time.Duration {
	if m.timed {
		m.count(now.Sub(m.began))
		m.began = now
	}
	spent := m.spent
	m.spent = 0
	return spent
}

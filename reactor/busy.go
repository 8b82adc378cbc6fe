package reactor

import (
	"math/rand/v2"
	"time"
)

// busyMeter estimates how long a loop has been at work. Looking at the clock in each round would cost more
// than a percent of a small one, so it measures rounds picked at random: seldom while they are short, each
// of them when they are long. It is loop-confined, except for total.
type busyMeter struct {
	total counter // nanoseconds

	open   bool      // in a round
	left   int32     // rounds until the next measured one, that included
	stride int32     // rounds that it stands for
	timed  bool      // this round is measured
	began  time.Time // if it is
	mean   time.Duration
}

// The rounds between two measured ones are as many as make up busyEvery together, strideMax at most. (chosen:
// a round of one write pays 2 ns, see BenchmarkBusyMeter, and a busy second has a hundred of them or more)
const (
	busyEvery = 500 * time.Microsecond
	strideMax = 128
)

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

func (m *busyMeter) finish() {
	m.timed = false
	m.account(time.Since(m.began))
}

// account counts a measured round for those that it stands for, and picks the next.
func (m *busyMeter) account(d time.Duration) {
	m.total.add(uint64(d) * uint64(max(1, m.stride)))
	m.mean += (d - m.mean) / 8
	most := 2 * int32(min(strideMax, busyEvery/max(1, m.mean)))
	m.stride = 1 + rand.Int32N(max(1, most-1)) // half of most on average
	m.left = m.stride
}

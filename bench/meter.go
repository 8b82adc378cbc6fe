package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencyMax is the largest latency told apart from larger ones; chosen.
const latencyMax = 10 * time.Minute

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, latencyMax.Nanoseconds(), 3)
}

// counters only grow.
type counters struct {
	connections uint64 // opened

	sent       uint64 // messages handed to the kernel, or about to be
	delivered  uint64 // deliveries, without duplicates
	duplicated uint64
	outOfOrder uint64
	bytes      uint64 // read by subscribers

	brokerCPU, loopCPU, processCPU time.Duration // see clocks
}

// reading is what the load hands to the collector; it keeps nothing of it.
type reading struct {
	phase   phase // that just went on, or ended
	tid     int   // the load's thread
	elapsed time.Duration
	counters
	missing int64 // messages that a subscriber did not get, though it got a later one
	latency *hdrhistogram.Histogram
}

// meter is where every delivery is counted. Loop-confined.
type meter struct {
	tag           uint32
	payloadBytes  int
	frameBytesMax int // of the frames of this run
	flows         []*flow

	readNs       int64 // when the bytes being parsed were read
	fromNs, toNs int64 // the latency of messages sent in fromNs <= t < toNs is recorded
	runNs        int64 // send time shared by the last runLength deliveries, not recorded yet
	runLength    int64

	now     counters
	missing int64
	latency *hdrhistogram.Histogram
	moved   []uint32 // publishers whose window may have room, see flow.moved
}

// delivered records one delivery that is not a duplicate.
func (m *meter) delivered(publisher uint32, f *flow, sentNs int64) {
	m.now.delivered++
	f.activeNs = m.readNs
	if f.moved {
		f.moved = false
		m.moved = append(m.moved, publisher)
	}
	if sentNs != m.runNs {
		m.endRun()
		m.runNs = sentNs
	}
	m.runLength++
}

// endRun records deliveries of one send time at once; it ends with the read at the latest.
func (m *meter) endRun() {
	if m.runLength > 0 && m.fromNs <= m.runNs && m.runNs < m.toNs {
		latency := min(m.readNs-m.runNs, latencyMax.Nanoseconds())
		_ = m.latency.RecordValues(max(latency, 0), m.runLength) // within its limits
	}
	m.runLength = 0
}

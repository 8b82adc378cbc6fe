package bench

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testTag = 0x6d717474

// newTestMeter knows publishers that have sent 1000 messages each to one subscriber.
func newTestMeter(publishers int) *meter {
	m := &meter{tag: testTag, payloadBytes: 64, frameBytesMax: 200, toNs: 1, latency: newHistogram()}
	for range publishers {
		f := newFlow(0, 1, 1)
		f.sent = 1000
		m.flows = append(m.flows, f)
	}
	return m
}

func appendTestFrame(dst []byte, topic string, publisher uint32, sequence uint64) []byte {
	dst = appendPublish(dst, topic, 0, 64)
	header := dst[len(dst)-64:]
	binary.LittleEndian.PutUint32(header, testTag)
	binary.LittleEndian.PutUint32(header[headerPublisher:], publisher)
	binary.LittleEndian.PutUint64(header[headerSequence:], sequence)
	return dst
}

// stream is two publishers' messages with foreign ones, small and large, between them.
func stream() []byte {
	var b []byte
	for i := range uint64(20) {
		b = appendTestFrame(b, "bench/fanout", uint32(i%2), i/2)
		if i%5 == 0 {
			b = appendPublish(b, "other", 0, int(i)*40)
		}
	}
	return b
}

func TestParseGivesTheSameForAnyCut(t *testing.T) {
	b := stream()
	for _, size := range []int{1, 2, 3, 7, 64, 81, len(b)} {
		m, s := newTestMeter(2), &subscriber{}
		for rest := b; len(rest) > 0; {
			n := min(size, len(rest))
			feed(t, s, m, rest[:n])
			rest = rest[n:]
		}
		assert.Equal(t, account{received: 20, unexpected: 4}, s.account, "%d bytes at a time", size)
		assert.Empty(t, s.held)
		assert.Zero(t, s.skip)
	}
}

// feed does what read does before parse.
func feed(t *testing.T, s *subscriber, m *meter, piece []byte) {
	b := append(append([]byte(nil), s.held...), piece...)
	s.held = s.held[:0]
	require.NoError(t, s.parse(b, m))
}

func FuzzParse(f *testing.F) {
	f.Add(stream(), uint16(100))
	f.Add([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0}, uint16(3))
	f.Add([]byte{0x30, 0, 0x31, 2, 0, 0}, uint16(1))
	f.Add([]byte{0x32, 2, 0, 0}, uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16) {
		whole, pieces := &subscriber{}, &subscriber{}
		wholeErr := whole.parse(b, newTestMeter(2))
		m := newTestMeter(2)
		n := min(int(cut), len(b))
		piecesErr := pieces.parse(b[:n], m)
		if piecesErr == nil {
			rest := append(append([]byte(nil), pieces.held...), b[n:]...)
			pieces.held = pieces.held[:0]
			piecesErr = pieces.parse(rest, m)
		}
		assert.Equal(t, wholeErr, piecesErr)
		assert.Equal(t, whole.account, pieces.account)
		if wholeErr == nil {
			assert.Equal(t, string(whole.held), string(pieces.held))
			assert.Equal(t, whole.skip, pieces.skip)
			assert.LessOrEqual(t, len(whole.held), 200)
		}
	})
}

func TestParseAllocatesNothing(t *testing.T) {
	m, s := newTestMeter(2), &subscriber{held: make([]byte, 0, 256)}
	b := stream()
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for _, f := range m.flows {
			f.next[0], f.acked, f.behind = 0, 0, 1
		}
		m.moved = m.moved[:0]
		_ = s.parse(b, m)
		m.endRun()
	}))
}

func BenchmarkParse(b *testing.B) {
	var frames []byte
	for i := range uint64(800) {
		frames = appendTestFrame(frames, "bench/fanout", uint32(i/40%2), i/80*40+i%40)
	}
	m, s := newTestMeter(2), &subscriber{}
	b.SetBytes(int64(len(frames)))
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range m.flows {
			f.next[0], f.acked, f.behind = 0, 0, 1
		}
		m.moved = m.moved[:0]
		if err := s.parse(frames, m); err != nil {
			b.Fatal(err)
		}
		m.endRun()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/800, "ns/delivery")
}

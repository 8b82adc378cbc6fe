package reactor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestHistogram(t *testing.T) {
	var a, b histogram
	a.observe(0)
	a.observe(10 * time.Microsecond) // bounds are inclusive
	a.observe(10*time.Microsecond + 1)
	b.observe(5 * time.Second)
	b.observe(5*time.Second + 1) // above all bounds
	b.observe(-time.Second)      // a clock that went backwards
	var sum Histogram
	a.addTo(&sum)
	b.addTo(&sum)
	assert.EqualValues(t, 6, sum.Count)
	assert.Equal(t, 10*time.Second+20*time.Microsecond+2, sum.Sum)
	counts := map[time.Duration]uint64{}
	for i, bucket := range sum.Buckets {
		assert.True(t, i == 0 || bucket.Bound > sum.Buckets[i-1].Bound, "rising")
		if bucket.Count > 0 {
			counts[bucket.Bound] = bucket.Count
		}
	}
	want := map[time.Duration]uint64{10 * time.Microsecond: 3, 20 * time.Microsecond: 1, 5 * time.Second: 1}
	assert.Equal(t, want, counts)
	assert.Zero(t, testing.AllocsPerRun(100, func() { a.observe(time.Millisecond) }))
}

func BenchmarkHistogramObserve(b *testing.B) {
	var h histogram
	for b.Loop() {
		h.observe(300 * time.Microsecond)
	}
}

package reactor

import "time"

// histogramBounds are the upper bounds of a histogram's buckets, inclusive; the last bucket has none. (chosen:
// 1, 2, 5 from the cost of one write to what nobody waits for)
var histogramBounds = [...]time.Duration{
	10 * time.Microsecond, 20 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second,
}

// histogram counts durations by size. It has one writer, its loop; anyone may load it.
type histogram struct {
	buckets [len(histogramBounds) + 1]counter
	sum     counter // nanoseconds
}

// observe counts d. It allocates nothing and takes some 10 ns.
func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(histogramBounds) && d > histogramBounds[i] {
		i++
	}
	h.buckets[i].add(1)
	h.sum.add(uint64(max(0, d)))
}

// Histogram is how often durations of each size were observed since the start.
type Histogram struct {
	Buckets []Bucket // with rising bounds
	Count   uint64   // of all, those above the last bound included
	Sum     time.Duration
}

// Bucket is one of a Histogram's.
type Bucket struct {
	Bound time.Duration // the largest that is counted here
	Count uint64        // those above the bound before
}

// addTo sums the histogram into h, which is zero or such a sum.
func (h *histogram) addTo(sum *Histogram) {
	if sum.Buckets == nil {
		sum.Buckets = make([]Bucket, len(histogramBounds))
		for i, bound := range histogramBounds {
			sum.Buckets[i].Bound = bound
		}
	}
	for i := range h.buckets {
		n := h.buckets[i].load()
		sum.Count += n
		if i < len(sum.Buckets) {
			sum.Buckets[i].Count += n
		}
	}
	sum.Sum += time.Duration(h.sum.load())
}

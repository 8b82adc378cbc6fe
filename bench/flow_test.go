package bench

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFlowVerdicts(t *testing.T) {
	type step struct {
		sequence uint64
		verdict  verdict
		missing  int64
	}
	tests := map[string][]step{
		"in order":                    {{0, inOrder, 0}, {1, inOrder, 0}, {2, inOrder, 0}},
		"one lost":                    {{0, inOrder, 0}, {2, afterGap, 1}, {3, inOrder, 0}},
		"two swapped":                 {{1, afterGap, 1}, {0, outOfOrder, -1}, {2, inOrder, 0}},
		"one twice":                   {{0, inOrder, 0}, {0, duplicate, 0}, {1, inOrder, 0}},
		"a late one twice":            {{1, afterGap, 1}, {0, outOfOrder, -1}, {0, duplicate, 0}},
		"three reversed":              {{2, afterGap, 2}, {1, outOfOrder, -1}, {0, outOfOrder, -1}, {3, inOrder, 0}},
		"the middle of a gap":         {{5, afterGap, 5}, {2, outOfOrder, -1}, {2, duplicate, 0}, {3, outOfOrder, -1}, {1, outOfOrder, -1}},
		"one that was never sent":     {{10, unexpected, 0}, {1 << 63, unexpected, 0}, {0, inOrder, 0}},
		"two gaps, the first filled":  {{1, afterGap, 1}, {3, afterGap, 1}, {0, outOfOrder, -1}, {2, outOfOrder, -1}},
		"the last one first and last": {{9, afterGap, 9}, {9, duplicate, 0}, {8, outOfOrder, -1}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFlow(0, 1, 1)
			f.sent = 10
			for _, s := range steps {
				v, missing := f.deliver(0, s.sequence)
				assert.Equal(t, s.verdict, v, "sequence %d", s.sequence)
				assert.Equal(t, s.missing, missing, "sequence %d", s.sequence)
			}
		})
	}
}

// With several topics taken in turn, order counts within each.
func TestFlowOrderIsPromisedWithinATopic(t *testing.T) {
	f := newFlow(0, 1, 3)
	f.sent = 20
	steps := []struct {
		sequence uint64
		verdict  verdict
	}{
		{1, afterGap}, {0, overtaken}, // topics 1 and 0
		{5, afterGap}, {3, overtaken}, {2, outOfOrder}, // 2 and 5 have the topic 2
		{10, afterGap}, {9, overtaken}, {6, outOfOrder}, // 6 and 9 have the topic 0
		{4, outOfOrder}, // 10 has come, 7 has not
		{4, duplicate},
	}
	for _, s := range steps {
		v, _ := f.deliver(0, s.sequence)
		assert.Equal(t, s.verdict, v, "sequence %d", s.sequence)
	}
}

func TestFlowIsOutstandingUntilTheSlowestHasIt(t *testing.T) {
	f := newFlow(0, 3, 1)
	f.sent = 4
	deliver := func(ordinal int, sequence uint64) int {
		f.deliver(ordinal, sequence)
		return f.outstanding()
	}
	assert.Equal(t, 4, deliver(0, 0))
	assert.Equal(t, 4, deliver(0, 1))
	assert.Equal(t, 4, deliver(1, 0))
	assert.Equal(t, 3, deliver(2, 0), "all have the first")
	assert.Equal(t, 3, deliver(2, 3), "which lost two: they are not waited for")
	assert.Equal(t, 2, deliver(1, 1))
	f.giveUp()
	assert.Equal(t, 0, f.outstanding())
	f.sent = 6
	assert.Equal(t, 2, deliver(0, 2), "a late one changes nothing")
	assert.Equal(t, 2, deliver(0, 4))
	assert.Equal(t, 2, deliver(1, 5))
	assert.Equal(t, 1, deliver(2, 4), "all have the fifth or a later one")
}

func TestGapsForgetTheOldest(t *testing.T) {
	var g gaps
	for i := range uint64(gapsMax + 1) {
		g.add(2*i, 2*i+1)
	}
	assert.Less(t, len(g.spans), gapsMax)
	assert.False(t, g.fill(0))
	assert.True(t, g.fill(2*gapsMax))
}

func TestScheduleDealsMessagesOut(t *testing.T) {
	s := schedule{startNs: 1000, periodNs: 10, publishers: 3}
	assert.Zero(t, s.issued(999))
	assert.EqualValues(t, 1, s.issued(1000))
	assert.EqualValues(t, 1, s.issued(1009))
	assert.EqualValues(t, 8, s.issued(1070))
	due := []uint64{s.due(0, 8), s.due(1, 8), s.due(2, 8)}
	assert.Equal(t, []uint64{3, 3, 2}, due)
	assert.EqualValues(t, 0, s.due(2, 0))
	assert.EqualValues(t, 1070, s.timeOf(7))
	assert.EqualValues(t, 30, s.step())
}

func TestWindowSharesAddUp(t *testing.T) {
	w := window{size: 20, publishers: 7}
	total := 0
	for i := range 7 {
		total += w.share(i)
		assert.InDelta(t, 3, w.share(i), 1)
	}
	assert.Equal(t, 20, total)
}

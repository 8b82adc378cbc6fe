package report

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLinearScaleBeginsAtZero(t *testing.T) {
	s := linearScale(70.2e6)
	assert.Equal(t, []float64{0, 20e6, 40e6, 60e6}, s.ticks)
	assert.Zero(t, s.place(0))
	assert.Zero(t, s.place(-5), "a negative value has no bar")
	assert.InDelta(t, 0.98, s.place(70.2e6), 0.01)
}

func TestLinearScaleOfNothing(t *testing.T) {
	assert.Zero(t, linearScale(0).place(0))
}

func TestLogScaleLeavesTheLeastALength(t *testing.T) {
	s := logScale(169e3, 70e6)
	assert.Equal(t, 1e5, s.least)
	s = logScale(101e3, 70e6)
	assert.Equal(t, 1e4, s.least)
	assert.Positive(t, s.place(101e3))
	assert.Less(t, s.place(70e6), 1.0)
	assert.Zero(t, s.place(0))
}

func TestLogScaleHasFewTicks(t *testing.T) {
	assert.LessOrEqual(t, len(logScale(1e-6, 1e9).ticks), 7)
}

package report

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCurveEndsWhereThereIsLessThanOneDelivery(t *testing.T) {
	l := madeUpLatency(1000, 1e6)
	c := newCurve(0, l)
	assert.InDeltaSlice(t, []float64{0.301, 0.602, 1, 1.301, 2, 2.301, 3, nineMax}, floats(c.Nines), 0.001)
	assert.Len(t, c.Ms, len(c.Nines))
}

func floats(all []rounded) []float64 {
	var values []float64
	for _, v := range all {
		values = append(values, float64(v))
	}
	return values
}

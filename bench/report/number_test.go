package report

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"mqttd/bench/compare"
)

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		value float64
		want  string
	}{
		{0, "0"}, {62249988, "62,200,000"}, {1234, "1,230"}, {999.6, "1,000"}, {100, "100"}, {99.96, "100"}, {12.345, "12.3"},
		{1, "1.00"}, {0.01387, "0.0139"}, {0.00099996, "0.00100"}, {-1234.5, "-1,230"}, {-0.5, "-0.500"},
	} {
		assert.Equal(t, c.want, number(c.value), "%v", c.value)
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		value float64
		want  string
	}{{0, "0"}, {0.001, "0.001"}, {500, "500"}, {1500, "1.5 k"}, {6e7, "60 M"}, {2e9, "2 G"}, {-2000, "-2 k"}} {
		assert.Equal(t, c.want, short(c.value))
	}
}

func TestCountsAreWrittenInFull(t *testing.T) {
	assert.Equal(t, "1,234,567", figure(compare.Lost, 1234567))
	assert.Equal(t, "1,230,000", figure(compare.Deliveries, 1234567))
	assert.Equal(t, "2.50", figure(compare.Lost, 2.5))
}

func TestShare(t *testing.T) {
	assert.Equal(t, "", share(0, 10))
	assert.Equal(t, "50.0 %", share(5, 10))
	assert.Equal(t, "< 0.0001 %", share(1, 1e9))
}

func TestSpan(t *testing.T) {
	assert.Equal(t, "2.5 s", span(2500*time.Millisecond))
	assert.Equal(t, "92.5 min", span(5550*time.Second))
	assert.Equal(t, "3 h", span(3*time.Hour))
}

package session

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHandle(t *testing.T) {
	for _, c := range []struct {
		name             string
		slot, generation uint32
		handle           Handle
		text             string
	}{
		{"the first of all", 0, 1, 0x00000001_00000000, "0.1"},
		{"another slot", 7, 1, 0x00000001_00000007, "7.1"},
		{"a later occupant", 7, 12, 0x0000000C_00000007, "7.12"},
		{"the last of all", math.MaxUint32, math.MaxUint32, math.MaxUint64, "4294967295.4294967295"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := makeHandle(c.slot, c.generation)
			assert.Equal(t, c.handle, h)
			assert.Equal(t, c.slot, h.Slot())
			assert.Equal(t, c.generation, h.Generation())
			assert.Equal(t, c.text, h.String())
		})
	}
}

package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a number of bytes, as in 65536, 64KiB, 1MiB or 1GiB.
type size struct{ bytes *int }

var sizeUnits = []struct {
	suffix string
	bytes  int
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// String returns the size with the largest unit that leaves no rest.
func (s size) String() string {
	for _, unit := range sizeUnits {
		if *s.bytes > 0 && *s.bytes%unit.bytes == 0 {
			return strconv.Itoa(*s.bytes/unit.bytes) + unit.suffix
		}
	}
	return strconv.Itoa(*s.bytes)
}

// Set reads a size.
func (s size) Set(text string) error {
	number, unit := text, 1
	for _, u := range sizeUnits {
		if digits, ok := strings.CutSuffix(text, u.suffix); ok {
			number, unit = digits, u.bytes
			break
		}
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n > math.MaxInt/unit {
		return fmt.Errorf("want a number of bytes, as in 65536, 64KiB, 1MiB or 1GiB")
	}
	*s.bytes = n * unit
	return nil
}

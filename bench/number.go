package bench

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// thousands writes 1234567 as 1,234,567.
func thousands[T uint64 | int64 | int](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	start := 3
	if n < 0 {
		start = 4
	}
	for i := len(s) - 3; i >= start-2; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// whole rounds and writes with thousands separated.
func whole(x float64) string { return thousands(int64(math.Round(x))) }

// milliseconds writes nanoseconds as milliseconds, to the microsecond.
func milliseconds(ns int64) string {
	us := (ns + 500) / 1000
	return fmt.Sprintf("%s.%03d", thousands(us/1000), us%1000)
}

// mebibytes writes bytes as MiB, to a tenth.
func mebibytes(bytes uint64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }

// decimal writes up to four digits after the point, and thousands separated before it.
func decimal(x float64) string {
	text := strconv.FormatFloat(x, 'f', 4, 64)
	before, after, _ := strings.Cut(text, ".")
	n, _ := strconv.ParseInt(before, 10, 64)
	return strings.TrimSuffix(thousands(n)+"."+strings.TrimRight(after, "0"), ".")
}

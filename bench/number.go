package bench

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Thousands writes 1234567 as 1,234,567.
func Thousands[T uint64 | int64 | int](n T) string { return Separate(fmt.Sprint(n)) }

// Separate puts a comma between the thousands of a decimal number.
func Separate(number string) string {
	whole, fraction, found := strings.Cut(number, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		whole += "." + fraction
	}
	return sign + whole
}

// Plural writes a number of things: 1 round, 1,000 rounds.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Thousands(n) + " " + noun + "s"
}

// Whole rounds and writes with thousands separated.
func Whole(x float64) string { return Thousands(int64(math.Round(x))) }

// Milliseconds writes nanoseconds as milliseconds, to the microsecond.
func Milliseconds(ns int64) string {
	us := (ns + 500) / 1000
	return fmt.Sprintf("%s.%03d", Thousands(us/1000), us%1000)
}

// Mebibytes writes bytes as MiB, to a tenth.
func Mebibytes(bytes uint64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }

// Decimal writes up to four digits after the point, and thousands separated before it.
func Decimal(x float64) string {
	return Separate(strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(x, 'f', 4, 64), "0"), "."))
}

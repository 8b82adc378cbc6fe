package report

import (
	"math"
	"strconv"
	"time"

	"mqttd/bench"
	"mqttd/bench/compare"
)

// significantDigits of every figure; chosen: runs differ by more than a thousandth.
const significantDigits = 3

// number writes three significant digits, thousands separated: 62200000 is 62,200,000.
func number(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'e', significantDigits-1, 64), 64)
	decimals := significantDigits - 1 - int(math.Floor(math.Log10(math.Abs(rounded))))
	return bench.Separate(strconv.FormatFloat(rounded, 'f', max(decimals, 0), 64))
}

// figure writes a value of a figure: a count of messages in full, everything else as number does.
func figure(f compare.Figure, v float64) string {
	if f.Key == compare.Lost.Key && v == math.Trunc(v) {
		return bench.Thousands(int64(v))
	}
	return number(v)
}

// short writes a tick of an axis: 60000000 is 60 M.
func short(v float64) string {
	for _, p := range prefixes {
		if math.Abs(v) >= p.factor {
			return strconv.FormatFloat(v/p.factor, 'g', 4, 64) + " " + p.symbol
		}
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

var prefixes = [...]struct {
	factor float64
	symbol string
}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}

// share writes a part in percent, or "" when there is none.
func share(part, of uint64) string {
	if part == 0 || of == 0 {
		return ""
	}
	const percentMin = 0.0001
	if percent := 100 * float64(part) / float64(of); percent >= percentMin {
		return number(percent) + " %"
	}
	return "< 0.0001 %"
}

// span writes a time in seconds, minutes or hours.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return trimmed(d.Seconds()) + " s"
	case d < 2*time.Hour:
		return trimmed(d.Minutes()) + " min"
	}
	return trimmed(d.Hours()) + " h"
}

// trimmed has at most three significant digits.
func trimmed(v float64) string { return strconv.FormatFloat(v, 'g', significantDigits, 64) }

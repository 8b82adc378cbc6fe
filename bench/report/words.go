package report

import (
	"fmt"
	"strings"
	"unicode"

	"mqttd/bench"
	"mqttd/bench/compare"
)

// parameters says in sentences what a run does.
func parameters(c bench.Config) string {
	return strings.Join(append(c.Sentences(), times(c)), " ")
}

// times says how long a run is.
func times(c bench.Config) string {
	if c.Warmup == 0 {
		return fmt.Sprintf("Measured for %s, without warm-up.", span(c.Duration))
	}
	return fmt.Sprintf("Measured for %s, after %s of warm-up.", span(c.Duration), span(c.Warmup))
}

// sense says which values of a figure are good.
func sense(f compare.Figure) string {
	if f.Higher {
		return "higher is better"
	}
	return "lower is better"
}

// commandLine writes arguments as a shell reads them.
func commandLine(arguments []string) string {
	words := make([]string, len(arguments))
	for i, a := range arguments {
		words[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`&|;<>()*?[]#~!") {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// plain keeps control characters of others out of a terminal; a line break becomes a blank.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

// titled is a figure's title with its unit.
func titled(f compare.Figure) string {
	if strings.HasPrefix(f.Unit, "/") {
		return f.Title + f.Unit
	}
	return f.Title + ", " + f.Unit
}

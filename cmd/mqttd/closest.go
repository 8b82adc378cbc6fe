package main

import "strings"

// closest returns that of the candidates one of whose names differs least from a word, the first of several. It is not
// ok when more than every third letter differs: then something else was meant.
func closest[T any](word string, candidates []T, names func(T) []string) (best T, ok bool) {
	fewest := len(word)/3 + 1
	for _, candidate := range candidates {
		for _, name := range names(candidate) {
			if n := edits(word, name); n < fewest {
				best, fewest, ok = candidate, n, true
			}
		}
	}
	return best, ok
}

// edits returns how many letters must be added, left out, changed, or swapped with the next one to make b of a. It
// takes time in the product of their lengths, of which the first 100 bytes count.
func edits(a, b string) int {
	a, b = strings.ToLower(a[:min(len(a), 100)]), strings.ToLower(b[:min(len(b), 100)])
	var rows [3][]int // the one before the last, the last and the current row of the table of all prefixes
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	for j := range rows[2] {
		rows[2][j] = j
	}
	for i := 1; i <= len(a); i++ {
		rows[0], rows[1], rows[2] = rows[1], rows[2], rows[0]
		rows[2][0] = i
		for j := 1; j <= len(b); j++ {
			changed := 1
			if a[i-1] == b[j-1] {
				changed = 0
			}
			rows[2][j] = min(rows[1][j]+1, rows[2][j-1]+1, rows[1][j-1]+changed)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[2][j] = min(rows[2][j], rows[0][j-2]+1)
			}
		}
	}
	return rows[2][len(b)]
}

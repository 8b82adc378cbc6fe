package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// dump writes a configuration as a file that gives the same one, with where each value comes from.
func dump(c *configuration, out io.Writer) error {
	var file strings.Builder
	var above []string
	for _, s := range settings {
		path := strings.Split(s.key, ".")
		depth := len(path) - 1
		for i, group := range path[:depth] {
			if i >= len(above) || above[i] != group {
				fmt.Fprintf(&file, "%s%s:\n", strings.Repeat("  ", i), group)
				above = append(above[:i:i], path[i:depth]...)[:i+1]
			}
		}
		above = above[:min(depth, len(above))]
		fmt.Fprintf(&file, "%s%s: %s # %s\n", strings.Repeat("  ", depth), path[depth], scalar(s, &c.options),
			printable(c.origins[s].String()))
	}
	_, err := io.WriteString(out, file.String())
	return err
}

// scalar returns the value of a setting as YAML.
func scalar(s *setting, o *options) string {
	value := s.value(o)
	if _, is := value.(text); is {
		return strconv.Quote(value.String()) // it is printable: there is nothing to escape but \ and "
	}
	return value.String()
}

// printable quotes a text unless it can stand in a comment.
func printable(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

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
	sentences := []string{clients(c)}
	if c.Publishers > 0 {
		sentences = append(sentences, messages(c), pace(c))
	}
	return strings.Join(append(sentences, times(c)), " ")
}

func clients(c bench.Config) string {
	switch {
	case c.Publishers == 0 && c.Subscribers == 0:
		return "No clients: the broker is alone."
	case c.Publishers == 0:
		return fmt.Sprintf("%s of %s, connected %d at a time; nothing is published.", plural(c.Subscribers, "subscriber"), filters(c), c.Connects)
	case c.Subscribers == 0:
		return fmt.Sprintf("%s, no subscriber, on %s.", plural(c.Publishers, "publisher"), topics(c))
	}
	s := fmt.Sprintf("%s and %s on %s.", plural(c.Publishers, "publisher"), plural(c.Subscribers, "subscriber"), topics(c))
	if c.Filter != "" {
		s += fmt.Sprintf(" Each subscribes to %s.", c.Filter)
	}
	return s
}

func topics(c bench.Config) string {
	switch own := strings.Contains(c.Topic, "%i"); {
	case c.Topics > 1 && own:
		return fmt.Sprintf("%s for each publisher, %s", plural(c.Topics, "topic"), c.Topic)
	case c.Topics > 1:
		return fmt.Sprintf("%s, %s", plural(c.Topics, "topic"), c.Topic)
	case own:
		return fmt.Sprintf("one topic for each publisher, %s", c.Topic)
	}
	return "one topic, " + c.Topic
}

func filters(c bench.Config) string {
	if c.Filter != "" {
		return c.Filter
	}
	return c.Topic
}

func messages(c bench.Config) string {
	s := fmt.Sprintf("Payload %s, QoS %d.", plural(c.PayloadBytes, "byte"), c.QoS)
	if c.ConnectPerMessage {
		s += " Publishers connect anew for each message."
	}
	return s
}

func pace(c bench.Config) string {
	if c.Open() {
		return fmt.Sprintf("Open loop: %s messages/s over all publishers, whatever the broker does; no window.", number(c.RatePerSecond))
	}
	return fmt.Sprintf("Closed loop: a window of %s outstanding over all publishers.", plural(c.Window, "message"))
}

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

func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	return strings.TrimSuffix(first, ".")
}

package bench

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// topicFault returns what is wrong with a Topic Name, or "".
func topicFault(topic string) string {
	switch {
	case topic == "":
		return "topic is empty"
	case strings.ContainsAny(topic, "+#"):
		return fmt.Sprintf("topic %q holds a wildcard", topic)
	case !stringOK(topic):
		return fmt.Sprintf("topic %q is not a legal MQTT string", clip(topic))
	}
	return ""
}

// filterFault returns what is wrong with a Topic Filter, or "".
func filterFault(filter string) string {
	if filter == "" || !stringOK(filter) {
		return fmt.Sprintf("filter %q is not a legal MQTT string", clip(filter))
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		single := level == "+" || level == "#" && i == len(levels)-1
		if strings.ContainsAny(level, "+#") && !single {
			return fmt.Sprintf("filter %q has a misplaced wildcard", clip(filter))
		}
	}
	return ""
}

// matches reports whether a legal filter matches a topic [MQTT-4.7].
func matches(filter, topic string) bool {
	if topic[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false // [MQTT-4.7.2-1]
	}
	levels := strings.Split(topic, "/")
	wanted := strings.Split(filter, "/")
	for i, want := range wanted {
		if want == "#" {
			return true // also the parent level: "a/#" matches "a"
		}
		if i == len(levels) || want != "+" && want != levels[i] {
			return false
		}
	}
	return len(wanted) == len(levels)
}

// stringOK leaves room for the digits that the placeholders may become.
func stringOK(s string) bool {
	grown := strings.Count(s, "%") * len("999999")
	return len(s)+grown <= topicBytesMax && utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

func clip(s string) string {
	const clipBytes = 64
	if len(s) <= clipBytes {
		return s
	}
	return s[:clipBytes] + "..."
}

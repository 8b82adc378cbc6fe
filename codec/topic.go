package codec

import "bytes"

// TopicLimits are limits on Topic Names and Topic Filters. The protocol's own is 65,535 bytes [MQTT-4.7.3-3].
type TopicLimits struct {
	Bytes  int
	Levels int // bounds the depth of a walk through the subscriptions
}

// Default limits. (chosen: far above what people use)
const (
	MaxTopicBytes  = 4096
	MaxTopicLevels = 128
)

// DefaultTopicLimits is what CheckTopicName and CheckTopicFilter go by.
var DefaultTopicLimits = TopicLimits{MaxTopicBytes, MaxTopicLevels}

var (
	errTopicEmpty    = topicFault("MQTT-4.7.3-1", "topic name is empty")
	errTopicWildcard = topicFault("MQTT-3.3.2-2", "topic name holds a wildcard")
	errTopicLong     = topicFault("", "topic name has more bytes than allowed")
	errTopicDeep     = topicFault("", "topic name has more levels than allowed")

	errFilterEmpty = filterFault("MQTT-4.7.3-1", "topic filter is empty")
	errFilterHash  = filterFault("MQTT-4.7.1-2", "'#' is not the last character, or not alone in its level")
	errFilterPlus  = filterFault("MQTT-4.7.1-3", "'+' is not alone in its level")
	errFilterLong  = filterFault("", "topic filter has more bytes than allowed")
	errFilterDeep  = filterFault("", "topic filter has more levels than allowed")
)

func topicFault(rule, text string) *Error {
	return &Error{Rule: rule, Code: CodeTopicNameInvalid, Text: text}
}

func filterFault(rule, text string) *Error {
	return &Error{Rule: rule, Code: CodeTopicFilterInvalid, Text: text}
}

// CheckTopicName checks that b is a Topic Name: at least one byte [MQTT-4.7.3-1], at most MaxTopicBytes and
// MaxTopicLevels, no wildcard [MQTT-3.3.2-2], a UTF-8 encoded string of MQTT. The error is an [*Error], of the kind
// ErrMalformed for what CheckUTF8 refuses and ErrInvalidTopic for all else.
func CheckTopicName(b []byte) error { return DefaultTopicLimits.CheckName(b) }

// CheckName is CheckTopicName with other limits.
func (l TopicLimits) CheckName(b []byte) error {
	fault := checkTopicName(b)
	switch {
	case fault != nil:
	case len(b) > l.Bytes:
		fault = errTopicLong.beyond(len(b), l.Bytes)
	case levels(b) > l.Levels:
		fault = errTopicDeep.beyond(levels(b), l.Levels)
	}
	return asError(fault)
}

func checkTopicName(b []byte) *Error {
	switch {
	case len(b) == 0:
		return errTopicEmpty
	case bytes.IndexByte(b, '+') >= 0 || bytes.IndexByte(b, '#') >= 0:
		return errTopicWildcard
	default:
		return checkUTF8(b)
	}
}

// CheckTopicFilter checks that b is a Topic Filter: at least one byte [MQTT-4.7.3-1], at most MaxTopicBytes and
// MaxTopicLevels, wildcards only where they belong [MQTT-4.7.1-2] [MQTT-4.7.1-3], a UTF-8 encoded string of MQTT.
// The error is an [*Error], of the kind ErrMalformed for what CheckUTF8 refuses, so that the connection must close,
// and ErrInvalidFilter for all else, so that the server may choose to refuse this filter alone.
func CheckTopicFilter(b []byte) error { return DefaultTopicLimits.CheckFilter(b) }

// CheckFilter is CheckTopicFilter with other limits.
func (l TopicLimits) CheckFilter(b []byte) error {
	switch {
	case len(b) > l.Bytes:
		return errFilterLong.beyond(len(b), l.Bytes)
	case levels(b) > l.Levels:
		return errFilterDeep.beyond(levels(b), l.Levels)
	}
	return asError(checkTopicFilter(b))
}

func checkTopicFilter(b []byte) *Error {
	if len(b) == 0 {
		return errFilterEmpty
	}
	if fault := checkUTF8(b); fault != nil {
		return fault
	}
	return checkWildcards(b)
}

func checkWildcards(filter []byte) *Error {
	for i, c := range filter {
		switch {
		case c == '#' && !(i == len(filter)-1 && startsLevel(filter, i)):
			return errFilterHash
		case c == '+' && !(startsLevel(filter, i) && endsLevel(filter, i)):
			return errFilterPlus
		}
	}
	return nil
}

func startsLevel(filter []byte, i int) bool { return i == 0 || filter[i-1] == '/' }

func endsLevel(filter []byte, i int) bool { return i == len(filter)-1 || filter[i+1] == '/' }

func levels(b []byte) int { return bytes.Count(b, []byte{'/'}) + 1 }

// HasWildcard reports whether a valid Topic Filter matches more than the one Topic Name it spells.
func HasWildcard[T ~string | ~[]byte](filter T) bool {
	for i := range len(filter) {
		if filter[i] == '+' || filter[i] == '#' {
			return true
		}
	}
	return false
}

package codec

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// topicCase is a Topic Name or Topic Filter and the kind and rule of its fault; no kind: accepted.
type topicCase struct {
	name, topic string
	kind        error
	rule        string
}

func testTopics(t *testing.T, check func([]byte) error, cases []topicCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := check([]byte(c.topic))
			if c.kind == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, c.kind)
			requireFault(t, err, 0, c.rule)
		})
	}
}

func TestCheckTopicName(t *testing.T) {
	testTopics(t, CheckTopicName, []topicCase{
		{"one level", "finance", nil, ""},
		{"levels", "sport/tennis/player1", nil, ""},
		{"a slash alone", "/", nil, ""},
		{"levels that are empty", "//a//", nil, ""},
		{"spaces", "Accounts payable", nil, ""},
		{"a dollar", "$SYS/uptime", nil, ""},
		{"not ASCII", "werk/m\u00fcnchen", nil, ""},
		{"as long as allowed", strings.Repeat("a", MaxTopicBytes), nil, ""},
		{"as deep as allowed", strings.Repeat("/", MaxTopicLevels-1), nil, ""},
		{"empty", "", ErrInvalidTopic, "MQTT-4.7.3-1"},
		{"a hash", "sport/#", ErrInvalidTopic, "MQTT-3.3.2-2"},
		{"a hash within a level", "a#b", ErrInvalidTopic, "MQTT-3.3.2-2"},
		{"a plus", "+/b", ErrInvalidTopic, "MQTT-3.3.2-2"},
		{"too long", strings.Repeat("a", MaxTopicBytes+1), ErrInvalidTopic, ""},
		{"too deep", strings.Repeat("/", MaxTopicLevels), ErrInvalidTopic, ""},
		{"U+0000", "a\x00", ErrMalformed, "MQTT-1.5.3-2"},
		{"ill-formed UTF-8", "a\xFF", ErrMalformed, "MQTT-1.5.3-1"},
	})
}

func TestCheckTopicFilter(t *testing.T) {
	testTopics(t, CheckTopicFilter, []topicCase{
		{"no wildcard", "sport/tennis", nil, ""},
		{"a hash alone", "#", nil, ""},
		{"a hash last", "sport/tennis/#", nil, ""},
		{"a hash behind an empty level", "/#", nil, ""},
		{"a plus alone", "+", nil, ""},
		{"a plus first", "+/tennis", nil, ""},
		{"a plus last", "/+", nil, ""},
		{"a plus between", "sport/+/player1", nil, ""},
		{"both", "+/tennis/#", nil, ""},
		{"many", "+/+/+/#", nil, ""},
		{"as long as allowed", strings.Repeat("a", MaxTopicBytes), nil, ""},
		{"as deep as allowed", strings.Repeat("+/", MaxTopicLevels-1) + "#", nil, ""},
		{"empty", "", ErrInvalidFilter, "MQTT-4.7.3-1"},
		{"a hash not alone in its level", "sport/tennis#", ErrInvalidFilter, "MQTT-4.7.1-2"},
		{"a hash not last", "sport/tennis/#/ranking", ErrInvalidFilter, "MQTT-4.7.1-2"},
		{"a hash before a slash", "#/", ErrInvalidFilter, "MQTT-4.7.1-2"},
		{"two hashes", "##", ErrInvalidFilter, "MQTT-4.7.1-2"},
		{"a plus behind a character", "sport+", ErrInvalidFilter, "MQTT-4.7.1-3"},
		{"a plus before a character", "sport/+x/y", ErrInvalidFilter, "MQTT-4.7.1-3"},
		{"two pluses", "++", ErrInvalidFilter, "MQTT-4.7.1-3"},
		{"a plus before a hash", "+#", ErrInvalidFilter, "MQTT-4.7.1-3"},
		{"too long", strings.Repeat("a", MaxTopicBytes+1), ErrInvalidFilter, ""},
		{"too deep", strings.Repeat("/", MaxTopicLevels), ErrInvalidFilter, ""},
		{"U+0000", "a\x00", ErrMalformed, "MQTT-1.5.3-2"},
		{"ill-formed UTF-8 with a wrong wildcard", "#\xFF", ErrMalformed, "MQTT-1.5.3-1"},
	})
}

func TestHasWildcard(t *testing.T) {
	for filter, want := range map[string]bool{"": false, "a/b": false, "$SYS": false, "#": true, "a/+/b": true} {
		assert.Equal(t, want, HasWildcard(filter), filter)
		assert.Equal(t, want, HasWildcard([]byte(filter)), filter)
	}
}

func TestTopicChecksDoNotAllocate(t *testing.T) {
	topics := [][]byte{[]byte("a/b/c"), []byte("a/\u00fc"), nil, []byte("a#"), []byte("\xFF")}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for _, topic := range topics {
			_, _ = CheckTopicName(topic), CheckTopicFilter(topic)
		}
	}))
}

// FuzzCheckTopic states the rules a second time, level by level.
func FuzzCheckTopic(f *testing.F) {
	for _, seed := range []string{"a/b", "+/b/#", "a+", "#/a", "", "a\x00", "\xFF/#"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		levels := strings.Split(string(b), "/")
		bounded := len(b) > 0 && len(b) <= MaxTopicBytes && len(levels) <= MaxTopicLevels && CheckUTF8(b) == nil
		filterOK := bounded
		for i, level := range levels {
			switch {
			case level == "+" || !HasWildcard(level):
			case level == "#" && i == len(levels)-1:
			default:
				filterOK = false
			}
		}
		assert.Equal(t, filterOK, CheckTopicFilter(b) == nil)
		assert.Equal(t, bounded && !bytes.ContainsAny(b, "+#"), CheckTopicName(b) == nil)
	})
}

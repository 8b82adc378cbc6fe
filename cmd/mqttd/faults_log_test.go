package main_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forgeries are texts that a client may choose, and that must not be taken for the log's own words.
var forgeries = []string{
	"a\nforged line",
	"a\r\n" + `{"level":"error","time":"2024-01-01T00:00:00.000Z","msg":"forged line"}`,
	"a\x1b[2J\x1b[1;31mforged line\x1b[0m",
	"a\x1b]0;forged line\x07",
	`a","msg":"forged line","x":"`,
	`a\",\"msg\":\"forged line`,
	"a reason=forged level=error",
	"a\u2028forged line\u2029",
	"a\u202eenil degrof\u202c",
	"a\u2066forged line\u2069\u200f\u200b\ufeff",
	"a\u0085forged line\u009b31m",
	"a\x08\x08\x08forged line\x7f\t\v\f",
	"a\U000e0041\U000e007f forged",
	strings.Repeat("forged line ", 20),
	"12:00:00.000 ERR forged line",
}

// What clients call themselves and their topics never begins a line of the log, changes how a line reads, or reaches
// a terminal as a command.
func TestFaultForgedLog(t *testing.T) {
	for _, format := range []string{"json", "console"} {
		t.Run(format, func(t *testing.T) {
			f := beginFault(t, "forged-log-"+format, "-log-format", format, "-log-level", "trace")
			offset := len(f.log.String())
			for _, text := range forgeries {
				forge(t, f.broker, text)
			}
			require.Eventually(t, func() bool {
				return strings.Count(f.log.String()[offset:], "client disconnected") >= 2*len(forgeries)
			}, faultPatience, 10*time.Millisecond, "every end is logged")
			f.end()
			f.stop(t)
			log := f.log.String()
			require.True(t, strings.HasSuffix(log, "\n"))
			for _, line := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
				expectHarmless(t, line)
				if format == "json" {
					expectJSONLine(t, line)
				} else {
					assert.Regexp(t, consoleLine, line, "begins as a line of the log does")
				}
			}
			assert.Equal(t, 2*len(forgeries), strings.Count(log[offset:], "client connected"), "a line each")
		})
	}
}

var consoleLine = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3} (TRC|DBG|INF|WRN|ERR) \S`)

// forge lives once under such a name with everything else that a client may choose, and once more, taken over.
func forge(t *testing.T, b *broker, text string) {
	t.Helper()
	first := newStranger(t, b, 0)
	require.NoError(t, first.connect(text))
	_, err := first.subscribe(1, text, text+"/#")
	require.NoError(t, err)
	require.NoError(t, first.send(publishPacket(text, []byte(text))))
	require.NoError(t, first.ping())
	second := newStranger(t, b, 0)
	require.NoError(t, second.connect(text))
	require.NoError(t, first.awaitClosed(faultPatience), "taken over")
	require.NoError(t, second.send(publishPacket(text+"/+", []byte(text)))) // a violation
	require.NoError(t, second.awaitClosed(faultPatience))
	first.Close()
	second.Close()
}

func expectHarmless(t *testing.T, line string) {
	t.Helper()
	for _, r := range line {
		if r != unicode.ReplacementChar && !unicode.IsPrint(r) {
			assert.Fail(t, "not printable", "%U in %q", r, line)
			return
		}
	}
}

func expectJSONLine(t *testing.T, line string) {
	t.Helper()
	event := map[string]any{}
	decoder := json.NewDecoder(strings.NewReader(line))
	if !assert.NoError(t, decoder.Decode(&event), line) {
		return
	}
	assert.False(t, decoder.More(), "more than one value in %s", line)
	assert.NotEqual(t, "forged line", event["msg"])
	assert.Contains(t, event, "level")
	assert.Contains(t, event, "time")
	for _, key := range []string{"msg", "level", "time"} {
		assert.Equal(t, 1, strings.Count(line, `"`+key+`":`), "%s once in %s", key, line)
	}
}

package codec

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheckUTF8(t *testing.T) {
	for _, c := range []struct {
		name, text, rule string // no rule: accepted
	}{
		{"the empty string", "", ""},
		{"ASCII", "sport/tennis", ""},
		{"two, three and four bytes", "\u00fc \u20ac \U0001F600", ""},
		{"the example of section 1.5.3", "A\U0002A6D4", ""},
		{"U+FEFF is kept [MQTT-1.5.3-3]", "\uFEFFa\uFEFF", ""},
		{"control characters", "\x01\x1F\x7F\u0080\u009F", ""},
		{"non-characters", "\uFFFE\uFFFF\U0010FFFF", ""},
		{"the replacement character itself", "\uFFFD", ""},
		{"U+0000", "a\x00b", "MQTT-1.5.3-2"},
		{"U+0000 behind a long run of ASCII", strings.Repeat("a", 100) + "\x00", "MQTT-1.5.3-2"},
		{"U+0000 in two bytes", "\xC0\x80", "MQTT-1.5.3-1"},
		{"the first surrogate, U+D800", "\xED\xA0\x80", "MQTT-1.5.3-1"},
		{"the last surrogate, U+DFFF", "\xED\xBF\xBF", "MQTT-1.5.3-1"},
		{"a pair of surrogates", "\xED\xA0\x80\xED\xB0\x80", "MQTT-1.5.3-1"},
		{"above U+10FFFF", "\xF4\x90\x80\x80", "MQTT-1.5.3-1"},
		{"an overlong slash", "\xC0\xAF", "MQTT-1.5.3-1"},
		{"a continuation byte alone", "a\x80", "MQTT-1.5.3-1"},
		{"a sequence that is cut", "a\xE2\x82", "MQTT-1.5.3-1"},
		{"0xFF", "\xFF", "MQTT-1.5.3-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckUTF8([]byte(c.text))
			if c.rule == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrMalformed)
			requireFault(t, err, 0, c.rule)
		})
	}
}

func FuzzCheckUTF8(f *testing.F) {
	f.Add([]byte("a\u00fc\uFEFF"))
	f.Add([]byte("\xED\xA0\x80"))
	f.Fuzz(func(t *testing.T, b []byte) {
		want := utf8.Valid(b) && !strings.ContainsRune(string(b), 0)
		assert.Equal(t, want, CheckUTF8(b) == nil)
	})
}

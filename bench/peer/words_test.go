package peer

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSplitWords(t *testing.T) {
	tests := []struct {
		name, line string
		want       []string
	}{
		{"nothing", " \t\n", nil},
		{"words at white space", " a  b\tc\n", []string{"a", "b", "c"}},
		{"single quotes are literal", `'a  b\"$c'`, []string{`a  b\"$c`}},
		{"double quotes escape themselves and the backslash", `"a \"b\" \\ \n"`, []string{`a "b" \ \n`}},
		{"a backslash escapes outside", `a\ b \' \\`, []string{"a b", "'", `\`}},
		{"quotes join to one word", `-c='x y'"z"w`, []string{"-c=x yzw"}},
		{"an empty word needs quotes", `a '' ""`, []string{"a", "", ""}},
		{"quotes within quotes", `"it's" '"'`, []string{"it's", `"`}},
		{"not ASCII", "ä 'ö ü'", []string{"ä", "ö ü"}},
	}
	for _, test := range tests {
		words, err := splitWords(test.line)
		require.NoError(t, err, test.name)
		assert.Equal(t, test.want, words, test.name)
	}
}

func TestSplitWordsFails(t *testing.T) {
	for line, want := range map[string]error{`a 'b`: errQuote, `"`: errQuote, `"\"`: errQuote, `a \`: errBackslash, `"a\`: errBackslash} {
		_, err := splitWords(line)
		assert.ErrorIs(t, err, want, line)
	}
}

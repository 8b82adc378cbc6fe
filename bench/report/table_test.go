package report

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares text with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestTableIsGolden(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteTable(&b, madeUp()))
	golden(t, "table.txt", b.String())
}

func TestTableFitsATerminalAndHoldsNoControlCharacters(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteTable(&b, madeUp()))
	for l := range strings.Lines(b.String()) {
		l = strings.TrimSuffix(l, "\n")
		assert.LessOrEqual(t, utf8.RuneCountInString(l), tableWidth, l)
		assert.Equal(t, plain(l), l)
	}
}

func TestMarkdownIsGolden(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteMarkdown(&b, madeUp()))
	golden(t, "table.md", b.String())
}

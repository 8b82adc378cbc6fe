package peer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestTailKeepsTheEnd(t *testing.T) {
	text := strings.Repeat("0123456789abcde\n", 1000)
	for _, chunkBytes := range []int{1, 7, 4095, 4096, 4097, 16000} {
		var kept tail
		for rest := text; rest != ""; {
			n := min(chunkBytes, len(rest))
			written, err := kept.Write([]byte(rest[:n]))
			assert.NoError(t, err)
			assert.Equal(t, n, written)
			rest = rest[n:]
		}
		assert.Equal(t, text[len(text)-tailBytesMax:], string(kept.bytes), chunkBytes)
	}
}

func TestLastLines(t *testing.T) {
	assert.Empty(t, lastLines("\n \n", 3))
	assert.Equal(t, "a | b", lastLines("a\r\n\nb", 3))
	assert.Equal(t, "b | c", lastLines("a\nb\nc\n", 2))
	assert.Equal(t, "a?b", lastLines("a\xffb", 1))
}

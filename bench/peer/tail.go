package peer

import (
	"strings"
	"sync"
)

// tailBytesMax is how much is kept of what a broker wrote; chosen: a page of last words.
const tailBytesMax = 4 << 10

// tail is an io.Writer that keeps the last tailBytesMax bytes and forgets what came before.
type tail struct {
	mu    sync.Mutex
	bytes []byte // guarded by mu; len(bytes) <= tailBytesMax
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := p[max(0, len(p)-tailBytesMax):]
	surplus := max(0, len(t.bytes)+len(kept)-tailBytesMax)
	t.bytes = append(t.bytes[:copy(t.bytes, t.bytes[surplus:])], kept...)
	return len(p), nil
}

// lines returns the last lines written, at most n, in one line.
func (t *tail) lines(n int) string {
	t.mu.Lock()
	text := string(t.bytes)
	t.mu.Unlock()
	return lastLines(text, n)
}

// lastLines returns the last lines of a text that hold something, at most n, joined by " | ".
func lastLines(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(strings.ToValidUTF8(line, "?")); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}

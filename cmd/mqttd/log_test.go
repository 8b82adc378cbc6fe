package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gate is a writer that blocks until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	text strings.Builder
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(p)
}

// Writing never waits; what there is no room for is counted, and told when there is.
func TestLogLinesAreDroppedAndCounted(t *testing.T) {
	const more = 100
	g := &gate{open: make(chan struct{})}
	l := newLogLines(g)
	for i := range logLinesMax + 1 + more { // one is being written
		_, err := fmt.Fprintf(l, "line %d\n", i)
		require.NoError(t, err)
	}
	dropped := int(l.missed.Load())
	assert.Contains(t, []int{more, more + 1}, dropped, "the first may not be under way yet")
	close(g.open)
	l.flush()
	g.mu.Lock()
	defer g.mu.Unlock()
	assert.Contains(t, g.text.String(), fmt.Sprintf(`"lines":%d`, dropped))
	assert.Equal(t, logLinesMax+1+more-dropped, strings.Count(g.text.String(), "line "), "all that were not dropped")
	assert.True(t, strings.HasPrefix(g.text.String(), "line 0\n"))
}

// A writer that never returns keeps the end waiting for a moment only.
func TestLogFlushGivesUp(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	l := newLogLines(g)
	_, _ = l.Write([]byte("line\n"))
	l.flush()
	close(g.open)
	<-l.ended
}

package report

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench"
	"mqttd/bench/compare"
)

// grouped is a comparison of a scenario at QoS 0, two above and one with persistent sessions.
func grouped(t *testing.T) *compare.Comparison {
	t.Helper()
	c := madeUp()
	c.Scenarios = nil
	for _, name := range []string{"fanout-50-50", "fanout-50-50-qos1", "fanout-50-50-qos2", "fanout-50-50-qos1-kept"} {
		known, err := bench.FindScenario(name)
		require.NoError(t, err)
		s := compare.NewScenario(known, known.Config())
		for i := range speeds {
			s.Cells = append(s.Cells, madeUpCell(s, i))
		}
		c.Scenarios = append(c.Scenarios, s)
	}
	return c
}

func TestGroupsHaveATitleWhereTheyBegin(t *testing.T) {
	c := grouped(t)
	var titles []string
	for i := range c.Scenarios {
		titles = append(titles, groupTitle(c, i))
	}
	assert.Equal(t, []string{"QoS 0", "QoS 1 and 2", "", "Persistent sessions"}, titles)

	c.Scenarios = c.Scenarios[1:3]
	assert.Empty(t, groupTitle(c, 0), "a single group needs no title")
}

func TestGroupsStandApartInEveryReport(t *testing.T) {
	c := grouped(t)
	var text, mark strings.Builder
	require.NoError(t, WriteTable(&text, c))
	require.NoError(t, WriteMarkdown(&mark, c))
	page := pageOf(t, c)

	inOrder(t, text.String(), "\nQoS 0\n=====\n\nfanout-50-50:", "\n\nQoS 1 and 2\n===========\n\nfanout-50-50-qos1:", "\nfanout-50-50-qos2:",
		"\n\nPersistent sessions\n===================\n\nfanout-50-50-qos1-kept:")
	inOrder(t, mark.String(), "**QoS 0**\n\n| scenario |", "| fanout-50-50 |", "\n\n**QoS 1 and 2**\n\n| scenario |", "| fanout-50-50-qos1 |",
		"| fanout-50-50-qos2 |", "\n\n**Persistent sessions**\n\n| scenario |", "| fanout-50-50-qos1-kept |")
	assert.Equal(t, 3, strings.Count(mark.String(), "|:--|:--|"), "a table each")
	inOrder(t, page, `colspan="8">QoS 0</th>`, ">fanout-50-50<", `colspan="8">QoS 1 and 2</th>`, ">fanout-50-50-qos1<", ">fanout-50-50-qos2<",
		`colspan="8">Persistent sessions</th>`, ">fanout-50-50-qos1-kept<",
		`<h2 class="group">QoS 0</h2>`, "<h2>fanout-50-50</h2>", `<h2 class="group">QoS 1 and 2</h2>`, "<h2>fanout-50-50-qos1</h2>",
		"<h2>fanout-50-50-qos2</h2>", `<h2 class="group">Persistent sessions</h2>`, "<h2>fanout-50-50-qos1-kept</h2>")
}

func TestGroupsHavePictures(t *testing.T) {
	files, err := WritePictures(t.TempDir(), grouped(t))
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(file))
	}
	assert.Equal(t, []string{"fanout-50-50.svg", "fanout-50-50-qos1.svg", "fanout-50-50-qos2.svg"}, names)
}

// inOrder wants each part after the one before.
func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		_, rest, found := strings.Cut(text, part)
		require.True(t, found, "%q is not in the rest of %d characters", part, len(text))
		text = rest
	}
}

package report

import (
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench/compare"
)

func pageOf(t *testing.T, c *compare.Comparison) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, WriteHTML(&b, c))
	return b.String()
}

// section cuts a scenario's section out of a page.
func section(page string, i int) string {
	_, rest, _ := strings.Cut(page, `id="`+sectionID(i)+`"`)
	text, _, _ := strings.Cut(rest, "</section>")
	return text
}

func TestPageNamesEveryScenarioAndPeer(t *testing.T) {
	c := madeUp()
	page := pageOf(t, c)
	for i, s := range c.Scenarios {
		text := section(page, i)
		assert.Contains(t, text, "<h2>"+s.Name+"</h2>")
		assert.Contains(t, text, html.EscapeString(parameters(s.Config)))
		for _, p := range c.Peers {
			assert.Contains(t, text, "</span>"+p.Name, s.Name)
		}
	}
	assert.Contains(t, page, "mqttbench compare -rounds 3 -html &#39;my report.html&#39;")
	assert.Contains(t, page, "max_queued_messages 0")
}

var (
	tags    = regexp.MustCompile(`<(/?)([a-z0-9]+)[^>]*>`)
	voids   = map[string]bool{"meta": true, "input": true, "br": true, "img": true, "link": true}
	raw     = regexp.MustCompile(`(?s)<(script|style)[^>]*>.*?</(script|style)>`)
	outside = regexp.MustCompile(`(?i)(src|href|action|data|poster|srcset)\s*=\s*["']?\s*(https?:|//)|url\(|@import|<link|<iframe|<object|<img|<base`)
)

// TestPageIsBalanced is no parser: it wants every element closed in the order it was opened, which
// text that leaves its place would break.
func TestPageIsBalanced(t *testing.T) {
	page := raw.ReplaceAllString(pageOf(t, madeUp()), "")
	var open []string
	for _, tag := range tags.FindAllStringSubmatch(page, -1) {
		switch name := tag[2]; {
		case voids[name]:
		case tag[1] == "":
			open = append(open, name)
		default:
			require.NotEmpty(t, open, tag[0])
			require.Equal(t, open[len(open)-1], name)
			open = open[:len(open)-1]
		}
	}
	assert.Empty(t, open)
}

func TestPageNeedsNoNetwork(t *testing.T) {
	page := pageOf(t, madeUp())
	assert.Empty(t, outside.FindAllString(raw.ReplaceAllString(page, ""), -1))
	for _, style := range regexp.MustCompile(`(?s)<style>.*?</style>`).FindAllString(page, -1) {
		assert.NotRegexp(t, `url\(|@import`, style)
	}
	assert.Contains(t, page, `content="default-src &#39;none&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;; img-src data:; style-src &#39;unsafe-inline&#39;; script-src &#39;sha256-`)
}

func TestPageEscapesTextOfOthers(t *testing.T) {
	page := pageOf(t, madeUp())
	assert.NotContains(t, page, "<b>bold")
	assert.NotContains(t, page, "<img")
	assert.Equal(t, 3, strings.Count(page, "</script>"), "the data and two scripts")
	assert.Contains(t, page, html.EscapeString(`</script><b>bold</b>`))
	assert.NotContains(t, page, "ZgotmplZ")

	c := madeUp()
	c.Peers[6].Name = hostile
	for i := range c.Scenarios {
		c.Scenarios[i].Cells[6].Peer = hostile
	}
	page = pageOf(t, c)
	assert.Equal(t, 3, strings.Count(page, "</script>"))
	assert.NotContains(t, page, "<b>bold")
	_, text, _ := strings.Cut(page, `id="data">`)
	text, _, _ = strings.Cut(text, "</script>")
	var d struct {
		Peers     []struct{ Name string }
		Scenarios []struct {
			Lines []struct{ Seconds, CPU []float64 }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &d))
	assert.Equal(t, hostile, d.Peers[6].Name)
	assert.Len(t, d.Scenarios, len(c.Scenarios))
}

func TestPageShowsNoBarWhereThereIsNoFigure(t *testing.T) {
	c := madeUp()
	text := section(pageOf(t, c), 0)
	rows := regexp.MustCompile(`(?s)<div class="row (p\d).*?</div>`).FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, rows)
	words := map[string]string{"p5": "unable", "p6": "failed"}
	seen := map[string]int{}
	for _, row := range rows {
		if word, absent := words[row[1]]; absent {
			seen[row[1]]++
			assert.Contains(t, row[0], word)
			assert.NotContains(t, row[0], `class="bar"`)
			assert.NotContains(t, row[0], `class="value"`)
		}
	}
	assert.Equal(t, map[string]int{"p5": 5, "p6": 5}, seen)
	assert.Contains(t, text, "failed in round 1: did not listen within 10 s; failed in round 2: &lt;/script&gt;")
	assert.Contains(t, text, "unable: has no wildcards &lt;/script&gt;")
	assert.Contains(t, pageOf(t, c), "<strong>emqx</strong> not installed")
	assert.Contains(t, section(pageOf(t, c), 5), "not measured: it runs elsewhere")
}

func TestPageShowsLossesAndWarningsWhereTheyTouch(t *testing.T) {
	text := section(pageOf(t, madeUp()), 0)
	assert.Contains(t, text, "4,600 lost, 2 duplicated, 7 out of order; 17,241,163 expected, in all runs")
	assert.Contains(t, text, "generator was saturated")
	assert.Contains(t, text, "failed in round 2: the broker closed a connection; the figures are of the other 2 runs")
	assert.Contains(t, text, "Logarithmic scale from 100 k")
}

func TestPageOfAnInterruptedComparisonSaysSo(t *testing.T) {
	c := madeUp()
	c.Interrupted = true
	assert.Contains(t, pageOf(t, c), "interrupted before all rounds were played")
}

func TestPageOfNothing(t *testing.T) {
	assert.Contains(t, pageOf(t, &compare.Comparison{}), "0 peers in 0 scenarios")
}

// TestPageStaysSmall has the size of the full comparison: 17 scenarios, 7 peers, a sample each
// tenth of a second for a minute.
func TestPageStaysSmall(t *testing.T) {
	c := madeUp()
	for len(c.Scenarios) < 17 {
		s := c.Scenarios[1]
		s.Config.Duration = time.Minute
		s.Cells = nil
		for i := range speeds {
			cell := madeUpCell(s, i)
			for j := range cell.Runs {
				cell.Runs[j].Samples = samplesOf(0, "measure", 600, 0.1)
			}
			s.Cells = append(s.Cells, cell)
		}
		c.Scenarios = append(c.Scenarios, s)
	}
	size := len(pageOf(t, c))
	t.Logf("%d bytes", size)
	assert.Less(t, size, 3_000_000)
}

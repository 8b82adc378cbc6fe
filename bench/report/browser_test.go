package report

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// browserTimeout is for one page; chosen, far above the second it takes.
const browserTimeout = 60 * time.Second

// seen is what a browser tells about a page that it opened.
type seen struct {
	mu       sync.Mutex
	requests []string // to anything but the page itself
	errors   []string // of scripts, and what the policy refused
	Canvases int      // that are drawn: larger than nothing and not of one colour
	Blank    int      // canvases that are not
	Bars     int      // with an area
	Places   int      // for curves
	Overflow int      // CSS pixels by which the page is wider than its window
}

// look finds out what is on the page.
const look = `(() => {
  const drawn = (c) => {
    if (!c.width || !c.height || !c.getBoundingClientRect().width) return false;
    const copy = new OffscreenCanvas(c.width, c.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(c, 0, 0);
    return new Set(new Uint32Array(copy.getImageData(0, 0, c.width, c.height).data.buffer)).size > 3;
  };
  const canvases = [...document.querySelectorAll(".plot canvas")];
  const bars = [...document.querySelectorAll(".bar")].filter((b) => b.getBoundingClientRect().width > 0 && b.getBoundingClientRect().height > 0);
  return {
    Canvases: canvases.filter(drawn).length, Blank: canvases.filter((c) => !drawn(c)).length,
    Bars: bars.length, Places: document.querySelectorAll(".plot").length,
    Overflow: document.documentElement.scrollWidth - innerWidth,
  };
})()`

// browse opens a file in a browser with a window of a width.
func browse(t *testing.T, file string, width int64, dark bool) *seen {
	t.Helper()
	page := (&url.URL{Scheme: "file", Path: file}).String()
	s := &seen{}
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	ctx := newBrowser(t)
	chromedp.ListenTarget(ctx, s.listener(page))
	var shot []byte
	require.NoError(t, chromedp.Run(ctx,
		network.Enable(), runtime.Enable(), log.Enable(),
		chromedp.EmulateViewport(width, 900),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.Navigate(page),
		chromedp.Evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))`, nil, awaited),
		chromedp.Evaluate(look, s),
		screenshot(&shot),
	))
	if dir := os.Getenv("REPORT_SCREENSHOTS"); dir != "" {
		name := fmt.Sprintf("%s-%s-%d.png", strings.TrimSuffix(filepath.Base(file), ".html"), scheme, width)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), shot, 0o644))
	}
	return s
}

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// screenshot takes one of the whole page if it is asked for with REPORT_SCREENSHOTS=DIR.
func screenshot(shot *[]byte) chromedp.Action {
	if os.Getenv("REPORT_SCREENSHOTS") == "" {
		return chromedp.ActionFunc(func(context.Context) error { return nil })
	}
	return chromedp.FullScreenshot(shot, 100)
}

// newBrowser starts a browser that ends with the test. Without a browser the test fails: the
// report is not tested then.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	require.NoError(t, err, "install it: apt-get install chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, // of no use for our own file, and root cannot have it
		chromedp.WSURLReadTimeout(browserTimeout))
	ctx, stop := context.WithTimeout(t.Context(), browserTimeout)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	return ctx
}

// listener collects requests and errors of a page.
func (s *seen) listener(page string) func(event any) {
	return func(event any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if e.Request.URL != page {
				s.requests = append(s.requests, e.Request.URL)
			}
		case *runtime.EventExceptionThrown:
			s.errors = append(s.errors, e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError {
				s.errors = append(s.errors, fmt.Sprintf("%s: %s", e.Entry.Source, e.Entry.Text))
			}
		}
	}
}

// written writes a report into a file, changed by change.
func written(t *testing.T, name string, change func(string) string) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, WriteHTML(&b, madeUp()))
	text := b.String()
	if change != nil {
		text = change(text)
		require.NotEqual(t, b.String(), text, "nothing was changed")
	}
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	return file
}

// wanted are the numbers of pictures and bars that the made-up comparison needs.
func wanted() (plots, bars int) {
	for _, s := range newPage(madeUp()).Scenarios {
		plots += len(s.Plots)
		for _, chart := range append(s.More, s.Main) {
			for _, row := range chart.Rows {
				if row.HasBar {
					bars++
				}
			}
		}
	}
	return plots, bars
}

func TestBrowserShowsTheReport(t *testing.T) {
	file := written(t, "report.html", nil)
	plots, bars := wanted()
	require.NotZero(t, plots)
	for _, view := range []struct {
		name  string
		width int64
		dark  bool
	}{{"light", 1280, false}, {"dark", 1280, true}, {"narrow", 390, false}} {
		t.Run(view.name, func(t *testing.T) {
			s := browse(t, file, view.width, view.dark)
			assert.Empty(t, s.errors)
			assert.Empty(t, s.requests)
			assert.Equal(t, plots, s.Places)
			assert.Equal(t, plots, s.Canvases, "pictures that are drawn")
			assert.Zero(t, s.Blank, "pictures that are empty")
			assert.Equal(t, bars, s.Bars, "bars that are drawn")
			assert.LessOrEqual(t, s.Overflow, 0, "pixels that the page is too wide")
		})
	}
}

func TestBrowserSeesABrokenScript(t *testing.T) {
	// The script is changed and its hash is not, so the policy refuses it.
	s := browse(t, written(t, "refused.html", func(page string) string {
		return strings.Replace(page, "const largest = 6;", "const largest = 7;", 1)
	}), 1280, false)
	assert.NotEmpty(t, s.errors)
	assert.Zero(t, s.Canvases)

	// The script runs, and what it draws is not there.
	s = browse(t, written(t, "thrown.html", func(page string) string {
		return strings.Replace(page, `id="data">{`, `id="data">{{`, 1)
	}), 1280, false)
	assert.NotEmpty(t, s.errors)
	assert.Zero(t, s.Canvases)
}

func TestBrowserSeesAnEmptyPicture(t *testing.T) {
	s := browse(t, written(t, "empty.html", func(page string) string {
		return strings.Replace(page, "</main>", `</main><div class="plot" hidden data-scenario="0" data-kind="cpu"></div>`, 1)
	}), 1280, false)
	assert.True(t, s.Blank > 0 || len(s.errors) > 0)
}

func TestBrowserRefusesARequest(t *testing.T) {
	s := browse(t, written(t, "image.html", func(page string) string {
		return strings.Replace(page, "</main>", `<img src="http://127.0.0.1:9/x"></main>`, 1)
	}), 1280, false)
	assert.NotEmpty(t, s.errors, "the policy must refuse it")
}

// Without the policy the request is made, and the test sees it: nothing else hides it.
func TestBrowserSeesARequest(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	image := server.URL + "/x"
	s := browse(t, written(t, "request.html", func(page string) string {
		page = strings.Replace(page, "Content-Security-Policy", "ignored", 1)
		return strings.Replace(page, "</main>", `<img src="`+image+`"></main>`, 1)
	}), 1280, false)
	assert.Contains(t, s.requests, image)
	assert.Positive(t, asked.Load())
}

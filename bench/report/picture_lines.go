package report

import (
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"mqttd/bench/compare"
)

// Lengths of a picture of lines, in points.
const (
	panelHeight   = 128
	latencyHeight = 300
	keyHeight     = 34
)

// track is one peer's line in a panel.
type track struct {
	peer   int
	points plotter.XYs
}

// timePicture shows CPU, memory and network of the typical runs over time, one below the other; nil
// without a sample.
func timePicture(c *compare.Comparison, s *compare.Scenario) *picture {
	d := newDataScenario(entries(c, s), s)
	var panels []*plot.Plot
	for _, p := range []struct {
		title  string
		values func(line) []rounded
	}{
		{"broker CPU, % of a core", func(l line) []rounded { return l.CPU }},
		{"broker memory, MiB resident", func(l line) []rounded { return l.Memory }},
		{"network, MB/s over loopback", func(l line) []rounded { return l.Network }},
	} {
		var tracks []track
		for _, l := range d.Lines {
			if values := p.values(l); len(values) > 0 {
				tracks = append(tracks, track{l.Peer, xys(l.Seconds, values)})
			}
		}
		if len(tracks) > 0 {
			panels = append(panels, timePanel(p.title, tracks, pens(c)))
		}
	}
	if len(panels) == 0 {
		return nil
	}
	panels[len(panels)-1].X.Label.Text = "seconds since the measurement began"
	var peers []int
	for _, l := range d.Lines {
		peers = append(peers, l.Peer)
	}
	height := vg.Length(len(panels))*panelHeight + 38 + keyHeight + 2*pictureMargin
	return &picture{s.Name, height, func(canvas draw.Canvas) {
		rest := key(heading(canvas, plain(s.Name+": "+s.Title), strings.TrimSuffix(s.Config.Sentences()[0], ".")), peers, names(c), pens(c))
		stack(rest, panels)
	}}
}

// latencyPicture shows the latency of the typical runs by percentile; nil without one.
func latencyPicture(c *compare.Comparison, s *compare.Scenario) *picture {
	d := newDataScenario(entries(c, s), s)
	if len(d.Curves) == 0 {
		return nil
	}
	var tracks []track
	var peers []int
	for _, l := range d.Curves {
		tracks = append(tracks, track{l.Peer, xys(l.Nines, l.Ms)})
		peers = append(peers, l.Peer)
	}
	p := newPanel("latency, ms (logarithmic)", tracks, pens(c))
	p.X.Min, p.X.Max = nines(50), nineMax
	p.X.Tick.Marker = plot.ConstantTicks(percentileTicks())
	p.Y.Scale = plot.LogScale{}
	p.Y.Min, p.Y.Max = math.Pow(10, math.Floor(math.Log10(p.Y.Min))), math.Pow(10, math.Ceil(math.Log10(p.Y.Max)))
	p.Y.Tick.Marker = plot.TickerFunc(decadeTicks)
	p.X.Label.Text = "percentile of the deliveries"
	return &picture{s.Name, latencyHeight + 38 + keyHeight + 2*pictureMargin, func(canvas draw.Canvas) {
		rest := key(heading(canvas, plain(s.Name+": "+s.Title), "from the intended send time; the typical run of each peer; lower is better"), peers, names(c), pens(c))
		stack(rest, []*plot.Plot{p})
	}}
}

func xys(x, y []rounded) plotter.XYs {
	points := make(plotter.XYs, len(x))
	for i := range x {
		points[i] = plotter.XY{X: float64(x[i]), Y: float64(y[i])}
	}
	return points
}

// newPanel draws the tracks, ours last so that it is on top.
func newPanel(title string, tracks []track, all []pen) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = gridColor, gridColor
	p.Add(grid)
	for _, ours := range []bool{false, true} {
		for _, t := range tracks {
			if (all[t.peer].Width > 2) == ours {
				p.Add(&plotter.Line{XYs: t.points, LineStyle: all[t.peer].stroke()})
			}
		}
	}
	p.Title.Text = title
	p.Title.Padding = 4
	p.Title.TextStyle = style(bold, textSize, black, draw.XCenter)
	p.Title.TextStyle.YAlign = draw.YTop
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle = hairline(gridColor)
		a.Tick.Length = 0
		a.Padding = 0
		a.Tick.Label.Font, a.Tick.Label.Color = font.From(regular, smallSize), faint
		a.Label.TextStyle.Font, a.Label.TextStyle.Color = font.From(regular, smallSize), faint
	}
	return p
}

// timePanel begins at 0 and shows time as it was sampled.
func timePanel(title string, tracks []track, all []pen) *plot.Plot {
	p := newPanel(title, tracks, all)
	s := linearScale(p.Y.Max)
	p.Y.Min, p.Y.Max = 0, s.most*1.04
	var ticks []plot.Tick
	for _, v := range s.ticks {
		ticks = append(ticks, plot.Tick{Value: v, Label: short(v)})
	}
	p.Y.Tick.Marker = plot.ConstantTicks(ticks)
	p.X.Tick.Marker = plot.TickerFunc(func(least, most float64) []plot.Tick {
		step := niceStep((most - least) / 8)
		var ticks []plot.Tick
		for i := int(math.Ceil(least / step)); float64(i)*step <= most; i++ {
			ticks = append(ticks, plot.Tick{Value: float64(i) * step, Label: short(float64(i) * step)})
		}
		return ticks
	})
	return p
}

func percentileTicks() []plot.Tick {
	return []plot.Tick{
		{Value: nines(50), Label: "50 %"}, {Value: 1, Label: "90 %"}, {Value: 2, Label: "99 %"}, {Value: 3, Label: "99.9 %"},
		{Value: 4, Label: "99.99 %"}, {Value: 5, Label: "99.999 %"}, {Value: nineMax, Label: "max"},
	}
}

func decadeTicks(least, most float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Round(math.Log10(least)); e <= math.Log10(most)+1e-9; e++ {
		ticks = append(ticks, plot.Tick{Value: math.Pow(10, e), Label: short(math.Pow(10, e))})
	}
	return ticks
}

// stack draws panels one below the other with their axes in line.
func stack(c draw.Canvas, panels []*plot.Plot) {
	column := make([][]*plot.Plot, len(panels))
	for i, p := range panels {
		column[i] = []*plot.Plot{p}
	}
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadY: 10, PadRight: 14, PadTop: 8}
	for i, row := range plot.Align(column, tiles, c) {
		panels[i].Draw(row[0])
	}
}

func names(c *compare.Comparison) []string {
	all := make([]string, len(c.Peers))
	for i, p := range c.Peers {
		all[i] = plain(p.Name)
	}
	return all
}

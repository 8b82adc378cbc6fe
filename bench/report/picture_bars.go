package report

import (
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"mqttd/bench"
	"mqttd/bench/compare"
)

// Lengths of a bar picture, in points.
const (
	barRowHeight = 20
	barHeight    = 12
	barNameWidth = 112 // of mosquitto-persistent, the longest
	barTextWidth = 76  // of the value, at the right
	barAxis      = 18
)

// barPicture shows the scenario's first figure for all peers; nil when no peer has it.
func barPicture(c *compare.Comparison, s *compare.Scenario) *picture {
	all := entries(c, s)
	f := s.Figures()[0]
	var chart barChart
	linear, log := chart.scales(all, f)
	if len(linear.ticks) < 2 {
		return nil
	}
	on, title := linear, s.Name+": "+titled(f)
	below := "median of " + bench.Plural(c.Rounds, "round") + ", whisker from least to most; " + sense(f)
	if chart.StartsLog {
		on, below = log, below+"; logarithmic scale"
	}
	height := vg.Length(len(all))*barRowHeight + 38 + barAxis + 2*pictureMargin
	return &picture{s.Name, height, func(canvas draw.Canvas) {
		rest := heading(canvas, plain(title), below)
		b := barArea{draw.Crop(rest, barNameWidth, -barTextWidth, barAxis, 0), on}
		b.grid()
		winner := best(all, f)
		for i, e := range all {
			b.row(e, f, pens(c)[e.index], e.index == winner, b.Max.Y-(vg.Length(i)+0.5)*barRowHeight)
		}
	}}
}

// barArea is where the bars are; names stand to its left and values to its right.
type barArea struct {
	draw.Canvas
	scale scale
}

func (b barArea) x(v float64) vg.Length { return b.X(b.scale.place(v)) }

func (b barArea) grid() {
	for _, v := range b.scale.ticks {
		b.StrokeLine2(hairline(gridColor), b.x(v), b.Min.Y, b.x(v), b.Max.Y)
		b.FillText(style(regular, smallSize, faint, draw.XCenter), vg.Point{X: b.x(v), Y: b.Min.Y - 9}, short(v))
	}
}

func (b barArea) row(e entry, f compare.Figure, p pen, best bool, y vg.Length) {
	face := regular
	if best {
		face = bold
	}
	b.FillText(style(face, textSize, black, draw.XLeft), vg.Point{X: b.Min.X - barNameWidth, Y: y}, e.name())
	v, ok := e.median(f)
	if !ok {
		b.FillText(style(regular, smallSize, alarm, draw.XLeft), vg.Point{X: b.Min.X + 3, Y: y}, clip(plain(e.why(f)), 96))
		return
	}
	fill(b.Canvas, p.ink(), b.Min.X, y-barHeight/2, max(b.x(v), b.Min.X+0.5), y+barHeight/2)
	b.whisker(e, f, y)
	b.FillText(style(face, textSize, black, draw.XRight), vg.Point{X: b.Max.X + barTextWidth, Y: y}, figure(f, v))
}

func (b barArea) whisker(e entry, f compare.Figure, y vg.Length) {
	if len(e.cell.Runs) < 2 {
		return
	}
	const half = 3
	low, high, _ := e.cell.Range(f)
	least, most := b.x(low), b.x(high)
	b.StrokeLine2(hairline(black), least, y, most, y)
	b.StrokeLine2(hairline(black), least, y-half, least, y+half)
	b.StrokeLine2(hairline(black), most, y-half, most, y+half)
}

// clip shortens a text that a picture has no room for.
func clip(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return s
}

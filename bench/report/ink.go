package report

import (
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Colours of a picture, which has a white ground on a dark page too.
var (
	paper     = hex("#ffffff")
	black     = hex("#1d1f21")
	faint     = hex("#63676b")
	gridColor = hex("#e6e5df")
	alarm     = hex("#a3200d")
)

// Sizes of text, in points.
const (
	titleSize = 12
	textSize  = 9.5
	smallSize = 8.5
)

// weightBold is WeightBold of golang.org/x/image/font.
const weightBold = 3

var (
	regular = font.Font{Typeface: "Liberation", Variant: "Sans"}
	bold    = font.Font{Typeface: "Liberation", Variant: "Sans", Weight: weightBold}
)

// style of text that begins, or with draw.XRight ends, at its point, and is centred on it in height.
func style(f font.Font, size vg.Length, c color.Color, x draw.XAlignment) text.Style {
	return text.Style{Font: font.From(f, size), Color: c, XAlign: x, YAlign: draw.YCenter, Handler: plot.DefaultTextHandler}
}

func hairline(c color.Color) draw.LineStyle { return draw.LineStyle{Color: c, Width: 0.75} }

// stroke is the pen as a line.
func (p pen) stroke() draw.LineStyle {
	s := draw.LineStyle{Color: p.ink(), Width: vg.Length(p.Width * 0.75)}
	for _, d := range p.Dash {
		s.Dashes = append(s.Dashes, vg.Length(d)*0.75)
	}
	return s
}

func fill(c draw.Canvas, colour color.Color, left, bottom, right, top vg.Length) {
	c.SetColor(colour)
	c.Fill(vg.Rectangle{Min: vg.Point{X: left, Y: bottom}, Max: vg.Point{X: right, Y: top}}.Path())
}

// heading writes a picture's title and what is below it, and returns the rest of the canvas.
func heading(c draw.Canvas, title, below string) draw.Canvas {
	const height = 38
	c.FillText(style(bold, titleSize, black, draw.XLeft), vg.Point{X: c.Min.X, Y: c.Max.Y - 7}, title)
	c.FillText(style(regular, smallSize, faint, draw.XLeft), vg.Point{X: c.Min.X, Y: c.Max.Y - 22}, below)
	return draw.Crop(c, 0, 0, 0, -height)
}

// key names the peers of a picture with their pens, in lines as long as the canvas is wide, and
// returns the rest of the canvas.
func key(c draw.Canvas, peers []int, names []string, all []pen) draw.Canvas {
	const sample, gap, lineHeight = 18, 16, 14
	x, y := c.Min.X, c.Max.Y-lineHeight/2
	for _, i := range slices.Sorted(slices.Values(peers)) {
		s := style(regular, textSize, black, draw.XLeft)
		width := sample + 5 + s.Width(names[i])
		if x > c.Min.X && x+width > c.Max.X {
			x, y = c.Min.X, y-lineHeight
		}
		c.StrokeLine2(all[i].stroke(), x, y, x+sample, y)
		c.FillText(s, vg.Point{X: x + sample + 5, Y: y}, names[i])
		x += width + gap
	}
	return draw.Crop(c, 0, 0, 0, y-lineHeight/2-c.Max.Y)
}

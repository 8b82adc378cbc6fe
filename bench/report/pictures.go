package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"mqttd/bench/compare"
)

// Formats of a picture, which are the extensions of its file too.
const (
	SVG = "svg"
	PNG = "png"
)

// pictureWidth of every picture, in points; chosen: 860 pixels, what GitHub gives a README.
const pictureWidth = 645 * vg.Length(1)

// picture is a file for a README.
type picture struct {
	name   string // of the file, without its extension
	height vg.Length
	draw   func(draw.Canvas)
}

// WritePictures writes the pictures that a README shows, of those scenarios that the comparison has
// and that have something to show, and returns the names of the files with their directory. Formats
// are SVG, which is the default, and PNG. The directory is made when it is not there.
func WritePictures(dir string, c *compare.Comparison, formats ...string) ([]string, error) {
	if len(formats) == 0 {
		formats = []string{SVG}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	var files []string
	for _, p := range pictures(c) {
		for _, format := range formats {
			file := filepath.Join(dir, p.name+"."+format)
			if err := p.save(file, format); err != nil {
				return files, fmt.Errorf("report: %w", err)
			}
			files = append(files, file)
		}
	}
	return files, nil
}

// pictures chooses what is shown of each scenario.
func pictures(c *compare.Comparison) []picture {
	var all []picture
	for i := range c.Scenarios {
		s := &c.Scenarios[i]
		var p *picture
		switch s.Name {
		case "fanout-50-50", "fanout-50-50-qos1", "fanout-50-50-qos2":
			p = barPicture(c, s)
		case "seed-0", "seed-2", "seed-100":
			p = timePicture(c, s)
		case "latency-100k":
			p = latencyPicture(c, s)
		}
		if p != nil {
			all = append(all, *p)
		}
	}
	return all
}

func (p picture) save(file, format string) error {
	canvas, err := newCanvas(p.height, format)
	if err != nil {
		return err
	}
	c := draw.New(canvas)
	c.SetColor(paper)
	c.Fill(c.Path())
	p.draw(draw.Crop(c, pictureMargin, -pictureMargin, pictureMargin, -pictureMargin))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	return os.WriteFile(file, withFallbackFonts(b.Bytes(), format), 0o644)
}

// withFallbackFonts names fonts of the same widths for readers who lack Liberation Sans; an SVG file
// has its text as text.
func withFallbackFonts(file []byte, format string) []byte {
	if format != SVG {
		return file
	}
	const family = "font-family:Liberation Sans;"
	return bytes.ReplaceAll(file, []byte(family), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
}

// pictureMargin keeps text off the edge.
const pictureMargin = 10 * vg.Length(1)

// pngDPI makes a PNG sharp on a screen of double density; chosen.
const pngDPI = 192

func newCanvas(height vg.Length, format string) (vg.CanvasWriterTo, error) {
	switch format {
	case SVG:
		return vgsvg.New(pictureWidth, height), nil
	case PNG:
		return vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(pngDPI))}, nil
	}
	return nil, fmt.Errorf("no such format of a picture: %q", format)
}

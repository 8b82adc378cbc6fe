package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/bench/compare"
)

func TestPicturesAreWellFormed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "anew")
	files, err := WritePictures(dir, madeUp())
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(file))
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		requireXML(t, text)
		assert.Contains(t, string(text), "mosquitto")
	}
	assert.Equal(t, []string{"fanout-50-50.svg", "seed-0.svg", "seed-2.svg", "seed-100.svg", "latency-100k.svg"}, names)
}

func requireXML(t *testing.T, text []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestPicturesAsPNGHaveAWhiteGround(t *testing.T) {
	c := madeUp()
	c.Scenarios = c.Scenarios[:3]
	files, err := WritePictures(t.TempDir(), c, PNG)
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		f, err := os.Open(file)
		require.NoError(t, err)
		image, err := png.Decode(f)
		require.NoError(t, f.Close())
		require.NoError(t, err)
		r, g, b, a := image.At(0, 0).RGBA()
		assert.Equal(t, []uint32{0xffff, 0xffff, 0xffff, 0xffff}, []uint32{r, g, b, a})
	}
}

func TestAPictureOfNothingIsNotDrawn(t *testing.T) {
	c := madeUp()
	for i := range c.Scenarios {
		for j, cell := range c.Scenarios[i].Cells {
			c.Scenarios[i].Cells[j] = compare.Cell{Peer: cell.Peer, Failures: []compare.Failure{{Round: 1, Error: hostile}}}
		}
	}
	files, err := WritePictures(t.TempDir(), c)
	require.NoError(t, err)
	assert.Empty(t, files)
}

func TestAnUnknownFormatIsAnError(t *testing.T) {
	_, err := WritePictures(t.TempDir(), madeUp(), "gif")
	assert.ErrorContains(t, err, "gif")
}

package report

import (
	"image/color"
	"strings"

	"mqttd/bench/compare"
)

// Names that every report knows.
const (
	floorName     = "floor"     // copies packets and does nothing else: the limit of this machine
	referenceName = "mosquitto" // the broker that everybody knows
	oursName      = "mqttd"     // alone or, with its number of loops, as mqttd:2
)

// pen draws one peer in every picture.
type pen struct {
	Light, Dark string // #rrggbb, on a white and on a dark ground
	Dash        []int  // pixels on and off; empty: solid
	Width       float64
}

// Pens after Okabe and Ito, whose colours people with colour-blindness can tell apart; dashes help
// where there are more peers than colours.
var (
	oursPens  = []pen{{"#d55e00", "#ff8f45", nil, 2.6}, {"#a63c06", "#ffb380", []int{6, 3}, 2.4}}
	floorPen  = pen{"#8a8a86", "#96968f", []int{4, 4}, 1.6}
	mosquitto = pen{"#0072b2", "#58aef0", nil, 1.8}
	otherPens = []pen{
		{"#009e73", "#2fcf9f", nil, 1.8},
		{"#b0478a", "#e797c8", nil, 1.8},
		{"#dba000", "#f2c14e", nil, 1.8},
		{"#56b4e9", "#9adcff", nil, 1.8},
		{"#5b4a9c", "#a99cf0", []int{8, 3}, 1.8},
		{"#6b7a1f", "#bccb5f", []int{8, 3, 2, 3}, 1.8},
		{"#222222", "#e8e8e8", []int{2, 3}, 1.8},
	}
)

// pens gives each peer of a comparison its pen, in the order of Comparison.Peers.
func pens(c *compare.Comparison) []pen {
	var all []pen
	ours, others := 0, 0
	for _, p := range c.Peers {
		switch {
		case p.Name == floorName:
			all = append(all, floorPen)
		case p.Name == referenceName:
			all = append(all, mosquitto)
		case isOurs(p.Name):
			all = append(all, oursPens[ours%len(oursPens)])
			ours++
		default:
			all = append(all, otherPens[others%len(otherPens)])
			others++
		}
	}
	return all
}

func isOurs(name string) bool { return name == oursName || strings.HasPrefix(name, oursName+":") }

// ink is the pen's colour on white.
func (p pen) ink() color.Color { return hex(p.Light) }

// hex reads #rrggbb; anything else is our own bug.
func hex(s string) color.RGBA {
	digit := func(i int) uint8 {
		return uint8(strings.IndexByte("0123456789abcdef", s[i]))
	}
	return color.RGBA{digit(1)<<4 | digit(2), digit(3)<<4 | digit(4), digit(5)<<4 | digit(6), 255}
}

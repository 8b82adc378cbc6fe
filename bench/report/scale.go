package report

import "math"

// A scale of a chart; a value's place on it is from 0 to 1.
type scale struct {
	log         bool
	least, most float64 // least < most; of a logarithmic scale both are above 0
	ticks       []float64
}

// farApart is the quotient of the largest and the smallest value from which a chart begins
// logarithmic: a bar of a thirtieth is a few pixels long; chosen.
const farApart = 30

// linearScale begins at 0 and has room for the largest value.
func linearScale(most float64) scale {
	if most <= 0 {
		return scale{most: 1, ticks: []float64{0}}
	}
	const ticksAbout = 4
	step := niceStep(most / ticksAbout)
	s := scale{most: most * 1.02}
	for i := 0.0; i*step <= s.most; i++ {
		s.ticks = append(s.ticks, i*step)
	}
	return s
}

// logScale begins at the power of ten below the least value, so that every bar has a length.
func logScale(least, most float64) scale {
	low := math.Floor(math.Log10(least))
	if least < 1.5*math.Pow(10, low) {
		low--
	}
	s := scale{log: true, least: math.Pow(10, low), most: most * 1.05}
	decades := math.Log10(s.most) - low
	every := math.Ceil(decades / 6)
	for e := low; math.Pow(10, e) <= s.most; e += every {
		s.ticks = append(s.ticks, math.Pow(10, e))
	}
	return s
}

// place returns where a value stands, from 0 to 1.
func (s scale) place(v float64) float64 {
	if !s.log {
		return min(max(v/s.most, 0), 1)
	}
	if v <= s.least {
		return 0
	}
	return min(math.Log(v/s.least)/math.Log(s.most/s.least), 1)
}

// niceStep returns 1, 2 or 5 times a power of ten, at least about.
func niceStep(about float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(about)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= about {
			return m * power
		}
	}
	return 10 * power
}

// bounds returns the smallest and the largest of the values above 0, or 0 and 0.
func bounds(values []float64) (least, most float64) {
	for _, v := range values {
		if v > 0 && (least == 0 || v < least) {
			least = v
		}
		most = max(most, v)
	}
	return least, most
}

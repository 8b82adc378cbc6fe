package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rs/zerolog"

	"mqttd/reactor"
)

// The kinds of values, each of which writes to a field and reads and prints it in one way, wherever it is given.
// What is wrong with a text is said as what is wanted. See size.go for sizes.
type (
	number   struct{ n *int }
	duration struct{ d *time.Duration }
	text     struct{ s *string }
	toggle   struct{ on *bool }
	policy   struct{ p *reactor.SlowPolicy }
	level    struct{ l *zerolog.Level }
)

var _ = []flag.Value{number{}, size{}, duration{}, text{}, toggle{}, policy{}, level{}}

func (v number) String() string { return strconv.Itoa(*v.n) }

// Set takes decimal digits only: 010 is eight to some and ten to others.
func (v number) Set(text string) error {
	n, err := strconv.Atoi(text)
	if errors.Is(err, strconv.ErrRange) {
		return errors.New("want a whole number with fewer digits")
	}
	if err != nil || strconv.Itoa(n) != text {
		return errors.New("want a whole number")
	}
	*v.n = n
	return nil
}

// String leaves out what is zero at the end: 24h, not 24h0m0s.
func (v duration) String() string {
	s := v.d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Set takes what Go takes, in which m is minutes, and whole days and weeks.
func (v duration) Set(text string) error {
	d, err := time.ParseDuration(inHours(text))
	if err != nil {
		return errors.New("want a time with its unit, as in 500ms, 10s, 24h or 7d")
	}
	*v.d = d
	return nil
}

// inHours returns a time of whole days or weeks, such as 7d or 2w, in hours, and any other text as it is.
func inHours(text string) string {
	for unit, hours := range map[string]int{"d": 24, "w": 7 * 24} {
		count, ok := strings.CutSuffix(text, unit)
		if n, err := strconv.ParseInt(count, 10, 32); ok && err == nil {
			return strconv.Itoa(int(n)*hours) + "h"
		}
	}
	return text
}

// textBytesMax is as much as the path of a file may have on Linux.
const textBytesMax = 4095

func (v text) String() string { return *v.s }

// Set takes what can be written into a configuration file and read back.
func (v text) Set(text string) error {
	if len(text) > textBytesMax {
		return fmt.Errorf("want %d bytes at most", textBytesMax)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }) {
		return errors.New("want printable text in UTF-8")
	}
	*v.s = text
	return nil
}

func (v toggle) String() string { return strconv.FormatBool(*v.on) }

func (v toggle) Set(text string) error {
	if text != "true" && text != "false" {
		return errors.New("want true or false")
	}
	*v.on = text == "true"
	return nil
}

func (v policy) String() string { return v.p.String() }

func (v policy) Set(name string) error {
	p, err := reactor.ParseSlowPolicy(name)
	if err == nil {
		*v.p = p
	}
	return err
}

func (v level) String() string { return v.l.String() }

func (v level) Set(name string) error {
	l, err := parseLevel(name)
	if err == nil {
		*v.l = l
	}
	return err
}

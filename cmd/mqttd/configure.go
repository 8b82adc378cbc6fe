package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// source is where a value can come from; a later one wins.
type source int

const (
	fromDefault source = iota
	fromFile
	fromEnvironment
	fromFlag
)

// origin is where a value stands.
type origin struct {
	source source
	name   string // of the file, the variable or the flag
	line   int    // in the file, from 1; 0: it is about no line
}

// String returns what finds it again: mqttd.yaml:3, MQTTD_LOOPS, flag -loops, or default.
func (o origin) String() string {
	switch {
	case o.source == fromFlag:
		return "flag -" + o.name
	case o.line > 0:
		return fmt.Sprintf("%s:%d", o.name, o.line)
	case o.source == fromDefault:
		return "default"
	}
	return o.name
}

// given is a value that somebody has given to a setting.
type given struct {
	setting *setting
	text    string
	origin  origin
}

// fault is something wrong with what was given.
type fault struct {
	origin origin
	text   string
}

// String returns a line that begins with the place of the fault, unless that is the command line.
func (f fault) String() string {
	if f.origin.source == fromFile || f.origin.source == fromEnvironment {
		return f.origin.String() + ": " + f.text
	}
	return f.text
}

// configuration is what all sources together ask for.
type configuration struct {
	options
	origins   map[*setting]origin // of what is no default
	overrides []override
}

// override is a value that was given and that another has beaten.
type override struct {
	setting        *setting
	winner, beaten origin
}

// configure puts together what the flags say, the file they name, and the environment. With a fault the
// configuration is of no use. It may be called again, to look whether the file has changed.
func (c *command) configure(environment []string) (configuration, []fault) {
	var fromFile, fromVariables []given
	var faults, more []fault
	if c.file != "" {
		fromFile, faults = readFile(c.file)
	}
	fromVariables, more = readEnvironment(environment)
	result, wrong := combine(slices.Concat(fromFile, fromVariables, c.flags))
	faults = slices.Concat(faults, more, wrong)
	slices.SortStableFunc(faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.origin.source, b.origin.source), cmp.Compare(a.origin.line, b.origin.line))
	})
	return result, faults
}

// combine applies what is given to the defaults, in this order.
func combine(all []given) (configuration, []fault) {
	c := configuration{options: defaultOptions(), origins: make(map[*setting]origin)}
	var faults []fault
	for _, g := range all {
		if err := g.setting.value(&c.options).Set(g.text); err != nil {
			faults = append(faults, g.fault(err))
		}
		if before, ok := c.origins[g.setting]; ok && before.source != g.origin.source {
			c.overrides = append(c.overrides, override{g.setting, g.origin, before})
		}
		c.origins[g.setting] = g.origin
	}
	if err := c.validate(); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			faults = append(faults, c.fault(line))
		}
	}
	return c, faults
}

// fault says what is wrong with the text of a value.
func (g *given) fault(err error) fault {
	if g.origin.source == fromFlag { // as the flag package does
		return fault{g.origin, fmt.Sprintf("invalid value %q for flag -%s: %v", g.text, g.setting.flag, err)}
	}
	if rest, named := strings.CutPrefix(err.Error(), g.setting.flag+" "); named {
		return fault{g.origin, g.setting.key + " " + rest}
	}
	return fault{g.origin, fmt.Sprintf("%s %s: %v", g.setting.key, shown(g.text), err)}
}

// fault finds out where the value stands that a line of validate is about: it begins with the name of a flag.
func (c *configuration) fault(line string) fault {
	end := strings.IndexAny(line, " :")
	i := slices.IndexFunc(settings, func(s *setting) bool { return end > 0 && s.flag == line[:end] })
	if i < 0 {
		return fault{origin{}, line}
	}
	at := c.origins[settings[i]]
	if at.source == fromFile || at.source == fromEnvironment {
		line = settings[i].key + line[end:]
	}
	return fault{at, line}
}

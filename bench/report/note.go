package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mqttd/bench"
	"mqttd/bench/compare"
)

// note is a doubt about a peer's figures.
type note struct {
	entry entry
	text  string
	keys  []string // of the figures it touches; empty: all of the scenario
}

// notes returns what a reader of the figures must know, in the order of the peers.
func notes(all []entry) []note {
	var found []note
	for _, e := range all {
		if e.cell == nil || e.absent != "" {
			continue
		}
		if text := failures(e.cell); text != "" {
			found = append(found, note{e, fmt.Sprintf("%s; the figures are of the other %s", text, bench.Plural(len(e.cell.Runs), "run")), nil})
		}
		if sum, _ := e.accounts(); sum.faulty() {
			found = append(found, note{e, sum.faults(), []string{compare.Lost.Key}})
		}
		found = append(found, e.unmeasured()...)
		found = append(found, e.warnings()...)
	}
	return found
}

// touches reports whether the note is about a figure.
func (n note) touches(f compare.Figure) bool {
	return len(n.keys) == 0 || slices.Contains(n.keys, f.Key)
}

// digits are what differs between the same warning of two runs.
var digits = regexp.MustCompile(`[0-9][0-9.,]*`)

// warnings returns the warnings of an entry's runs; those that differ in their numbers only are one.
func (e entry) warnings() []note {
	var order []string
	count, first := map[string]int{}, map[string]string{}
	for _, r := range e.cell.Runs {
		for _, w := range r.Warnings {
			kind := digits.ReplaceAllString(w, "0")
			if count[kind] == 0 {
				order, first[kind] = append(order, kind), w
			}
			count[kind]++
		}
	}
	var found []note
	for _, kind := range order {
		found = append(found, note{e, ofRuns(count[kind], len(e.cell.Runs)) + first[kind], touched(kind)})
	}
	return found
}

// unmeasured says why the broker's cost is not known.
func (e entry) unmeasured() []note {
	n, why := 0, ""
	for _, r := range e.cell.Runs {
		if r.Broker == nil {
			n, why = n+1, r.BrokerUnknown
		}
	}
	if n == 0 {
		return nil
	}
	keys := []string{compare.CPUPerMillion.Key, compare.CPUPercent.Key, compare.ResidentMiB.Key, compare.CPUPerConnect.Key, compare.BytesPerConnection.Key}
	return []note{{e, ofRuns(n, len(e.cell.Runs)) + "CPU and memory of the broker were not measured, " + why, keys}}
}

func ofRuns(n, all int) string {
	if all == 1 {
		return ""
	}
	if n == 1 {
		return fmt.Sprintf("1 of %d runs: ", all)
	}
	return fmt.Sprintf("%d of %d runs, the first: ", n, all)
}

// touched returns the keys of the figures that a warning of package bench is about. One that is
// not known here is about all of them.
func touched(warning string) []string {
	latency := []string{compare.LatencyP50.Key, compare.LatencyP99.Key}
	switch {
	case strings.Contains(warning, "lost deliveries"), strings.Contains(warning, "did not send them"):
		return []string{compare.Lost.Key}
	case strings.Contains(warning, "generator was saturated ("), strings.Contains(warning, "rate was not reached"),
		strings.Contains(warning, "window moved on"):
		return append(latency, compare.Deliveries.Key)
	case strings.Contains(warning, "saturated while it connected"):
		return []string{compare.ConnectsPerSecond.Key}
	}
	return nil
}

package report

import (
	"strings"

	"mqttd/bench"
)

// accounts are what all runs of an entry say of their deliveries.
type accounts struct{ bench.Accounts }

// accounts adds up the entry's runs; ok is false when nothing was expected and nothing came.
func (e entry) accounts() (sum accounts, ok bool) {
	if e.cell == nil {
		return sum, false
	}
	for i := range e.cell.Runs {
		sum.add(&e.cell.Runs[i].Deliveries)
	}
	return sum, sum.Expected > 0 || sum.Unexpected > 0
}

func (a *accounts) add(d *bench.Accounts) {
	a.MessagesSent += d.MessagesSent
	a.MessagesUnsent += d.MessagesUnsent
	a.Expected += d.Expected
	a.Received += d.Received
	a.Lost += d.Lost
	a.Duplicated += d.Duplicated
	a.OutOfOrder += d.OutOfOrder
	a.Unexpected += d.Unexpected
}

// faulty reports whether a reader of the figures must look further.
func (a accounts) faulty() bool { return a.Lost+a.Duplicated+a.OutOfOrder+a.Unexpected > 0 }

// faults says in words what went wrong.
func (a accounts) faults() string {
	var texts []string
	say := func(n uint64, what string) {
		if n > 0 {
			texts = append(texts, bench.Thousands(n)+" "+what)
		}
	}
	say(a.Lost, "lost")
	say(a.Duplicated, "duplicated")
	say(a.OutOfOrder, "out of order")
	say(a.Unexpected, "unexpected")
	return strings.Join(texts, ", ") + "; " + bench.Thousands(a.Expected) + " expected, in all runs"
}

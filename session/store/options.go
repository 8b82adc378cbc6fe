package store

import (
	"errors"
	"fmt"
	"time"
)

// Sync says when changes are saved.
type Sync uint8

const (
	// Interval saves what gathered in Options.Interval. Nobody waits for it while saving works and takes no longer
	// than that: what was acknowledged in two intervals may be lost, or come twice, when the process or the machine
	// dies.
	Interval Sync = iota
	// Always saves as soon as something changed; acknowledgements wait for it.
	Always
)

// Bounds of Options.Interval. (chosen)
const (
	IntervalMin = 10 * time.Millisecond
	IntervalMax = time.Hour
)

func (s Sync) String() string {
	if s == Always {
		return "always"
	}
	return "interval"
}

// ParseSync returns the Sync with the given name.
func ParseSync(name string) (Sync, error) {
	switch name {
	case "interval":
		return Interval, nil
	case "always":
		return Always, nil
	}
	return Interval, fmt.Errorf("store: %q is no way to save: use always or interval", name)
}

// Options of a Store. The functions are called by the writer, one at a time; they may be nil and must not block.
type Options struct {
	Sync      Sync
	Interval  time.Duration   // from the first change of a batch to its commit with Interval; IntervalMin to IntervalMax
	Committed func()          // after each batch that is on disk, and when saving begins to fail or works again
	Failed    func(err error) // at the first failure of a streak, then at most once a minute
	Recovered func()          // when a commit works after failures
}

func (o Options) validate() error {
	if o.Sync > Always {
		return errors.New("store: unknown Sync")
	}
	if o.Sync == Interval && (o.Interval < IntervalMin || o.Interval > IntervalMax) {
		return fmt.Errorf("store: an interval of %v is not within %v to %v", o.Interval, IntervalMin, IntervalMax)
	}
	return nil
}

package compare

import (
	"slices"
	"time"

	"mqttd/bench"
	"mqttd/bench/peer"
)

// Comparison is everything known about one comparison, the raw samples of every run included. Its
// JSON form is what mqttbench compare -json writes and mqttbench report reads.
type Comparison struct {
	Version     string         `json:"version"` // of this program: a tag or a commit
	Command     []string       `json:"command"`
	StartedAt   time.Time      `json:"started_at"`
	EndedAt     time.Time      `json:"ended_at"`
	Machine     bench.Machine  `json:"machine"`
	Rounds      int            `json:"rounds"`
	Interrupted bool           `json:"interrupted"` // before all rounds were played
	Peers       []peer.Peer    `json:"peers"`
	Missing     []peer.Missing `json:"missing"` // asked for, but not installed
	Scenarios   []Scenario     `json:"scenarios"`
}

// Scenario is one scenario, played by every peer.
type Scenario struct {
	Name   string       `json:"name"`
	Title  string       `json:"title"`
	About  bench.About  `json:"about"`
	Config bench.Config `json:"config"` // of every run, but for port and process
	Cells  []Cell       `json:"cells"`  // in the order of Comparison.Peers
}

// Cell is what one peer did in one scenario.
type Cell struct {
	Peer     string         `json:"peer"`
	Unable   string         `json:"unable,omitempty"` // why the peer was not asked; nothing else is set then
	Runs     []bench.Result `json:"runs"`             // that came to their end, in the order they were played
	Failures []Failure      `json:"failures,omitempty"`
}

// Failure is a run without a result.
type Failure struct {
	Round int    `json:"round"` // from 1
	Error string `json:"error"`
}

// Failed reports whether any run failed.
func (c *Comparison) Failed() bool {
	return slices.ContainsFunc(c.Scenarios, func(s Scenario) bool {
		return slices.ContainsFunc(s.Cells, func(c Cell) bool { return len(c.Failures) > 0 })
	})
}

// Peer returns the peer of a name, or nil.
func (c *Comparison) Peer(name string) *peer.Peer {
	i := slices.IndexFunc(c.Peers, func(p peer.Peer) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &c.Peers[i]
}

// Cell returns what a peer did, or nil when it did not take part in the comparison.
func (s *Scenario) Cell(name string) *Cell {
	i := slices.IndexFunc(s.Cells, func(c Cell) bool { return c.Peer == name })
	if i < 0 {
		return nil
	}
	return &s.Cells[i]
}

package peer

import (
	"context"
	"fmt"
)

// floor finds the physical limit, bench/floor: no broker, but what any broker must at least do.
func (f *finder) floor(context.Context) (Peer, error) {
	path, err := f.ownProgram("floor")
	if err != nil {
		return Peer{}, fmt.Errorf("%w: make build", err)
	}
	return Peer{
		Title:    "floor",
		Version:  moduleVersion(path),
		Command:  []string{path, "-port", placeholderPort},
		Settings: "Not a broker: what any fan-out must do on this machine, one send per subscriber, topic and epoll round.",
		Unable: map[string]string{
			FeatureWildcards: "it compares topics only; a # matches everything",
			FeatureQoS:       "it knows QoS 0 only",
		},
	}, nil
}

package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Many subscribers vanish at once, with a RST, while messages are on their way to them.
func TestFaultResets(t *testing.T) {
	f := beginFault(t, "resets", "-connect-rate", "0")
	crowd := sized(200, 5000)
	for range 2 {
		peers := make([]*peer, crowd)
		for i := range peers {
			peers[i] = newPeer(t, f.broker, 0, "crowd/#", "crowd/resets")
		}
		flood := startFlood(t, f.broker, sized(20, 100), 1024, to("crowd/resets"))
		for _, p := range peers {
			_, _, err := p.nextNumbered(1024)
			require.NoError(t, err)
		}
		for _, p := range peers {
			p.reset()
		}
		f.releases(1) // the flood
		flood.stop(t)
	}
	f.growsAtMost(crowd * 8 << 10)
	f.end()
}

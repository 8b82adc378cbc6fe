package main_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A subscriber that shuts down its sending side has ended its connection, whatever it would still read.
func TestFaultHalfClosed(t *testing.T) {
	f := beginFault(t, "half-closed")
	flood := startFlood(t, f.broker, sized(50, 200), 4096, to("half"))
	for range sized(2, 10) {
		var peers []*peer
		for range sized(50, 500) {
			p := newPeer(t, f.broker, 0, "half")
			require.NoError(t, p.CloseWrite())
			peers = append(peers, p)
		}
		for _, p := range peers {
			assert.NoError(t, p.awaitClosed(faultPatience), "a connection of which the client has closed its half")
		}
		f.releases(1) // the flood
		for _, p := range peers {
			p.Close()
		}
	}
	flood.stop(t)
	f.end()
}

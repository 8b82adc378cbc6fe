package main_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const announcedBytes = 256<<20 - 5 // with its fixed header a packet of 256 MiB

// A packet that is larger than allowed is refused when its fixed header has come, not when its bytes have, nor when the
// time to connect is over.
func TestFaultAnnouncedTooLarge(t *testing.T) {
	f := beginFault(t, "announced-too-large", "-connect-timeout", neverTimeout)
	for range sized(20, 500) {
		p := newPeer(t, f.broker, 0)
		require.NoError(t, p.send(fixedHeader(bytePublish, announcedBytes)))
		assert.NoError(t, p.awaitClosed(faultPatience), "a PUBLISH of 256 MB is announced")
		p.Close()

		p = newStranger(t, f.broker, 0)
		require.NoError(t, p.send(fixedHeader(byteConnect, announcedBytes)))
		assert.NoError(t, p.awaitClosed(faultPatience), "a CONNECT of 256 MB is announced")
		p.Close()
	}
	f.growsAtMost(0)
	f.end()
}

// Where packets of 256 MiB are allowed, announcing them costs nothing: memory grows by what has come.
func TestFaultAnnouncedAndTrickled(t *testing.T) {
	f := beginFault(t, "announced-and-trickled", "-max-packet-size", "268435456")
	const chunk = 1000
	payload := make([]byte, chunk)
	var peers []*peer
	for range 20 {
		p := newPeer(t, f.broker, 0)
		require.NoError(t, p.send(appendText(fixedHeader(bytePublish, announcedBytes), "trickle")))
		peers = append(peers, p)
	}
	chunks := sized(20, 200)
	for range chunks {
		for _, p := range peers {
			require.NoError(t, p.send(payload), "it is not refused")
		}
		time.Sleep(100 * time.Millisecond) // the pace of the trickle
	}
	f.growsAtMost(2 * len(peers) * chunks * chunk)
	f.releases(len(peers))
	assert.GreaterOrEqual(t, f.footprint(t).descriptors, f.before.descriptors+len(peers), "they are connected")
	for _, p := range peers {
		p.Close()
	}
	f.end()
}

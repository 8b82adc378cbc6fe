package peer

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReservedPortsDifferAndCanBeListenedOn(t *testing.T) {
	ports := map[int]bool{}
	for range 100 {
		r, err := reservePort()
		require.NoError(t, err)
		defer r.release()
		require.False(t, ports[r.port])
		ports[r.port] = true
		listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: r.port})
		require.NoError(t, err)
		assert.NoError(t, listener.Close())
	}
}

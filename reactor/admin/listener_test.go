package admin

import (
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// piper is a listener with always one more connection.
type piper struct{ net.Listener }

func (piper) Accept() (net.Conn, error) {
	c, _ := net.Pipe()
	return c, nil
}
func (piper) Close() error { return nil }

// Connections beyond the limit wait until others have gone.
func TestConnectionsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimitedListener(piper{}, 2)
		accepted := make(chan net.Conn, 10)
		ended := make(chan error, 1)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				accepted <- c
			}
		}()
		synctest.Wait()
		require.Len(t, accepted, 2)
		first := <-accepted
		require.NoError(t, first.Close())
		require.NoError(t, first.Close(), "makes room once")
		synctest.Wait()
		assert.Len(t, accepted, 2)
		require.NoError(t, l.Close())
		assert.ErrorIs(t, <-ended, net.ErrClosed)
	})
}

package reactor

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// sockets returns two sockets connected with one another.
func sockets(t testing.TB) (a, b int) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// A socket that has failed takes nothing: gnet finds out why and closes it.
func TestSendNowToAClosedSocket(t *testing.T) {
	a, b := sockets(t)
	assert.Equal(t, 2, sendNow(a, []byte("ok")))
	require.NoError(t, unix.Shutdown(b, unix.SHUT_RDWR))
	assert.Zero(t, sendNow(a, []byte("lost")))
	assert.Zero(t, sendNow(-1, []byte("lost")))
	assert.Zero(t, sendNow(a, nil))
}

func BenchmarkSendNow(b *testing.B) {
	for _, size := range []int{64, 1 << 10, 64 << 10} {
		for _, how := range []struct {
			name string
			send func(fd int, p []byte) int
		}{
			{"raw", sendNow},
			{"through the scheduler", func(fd int, p []byte) int { n, _ := unix.Write(fd, p); return n }},
		} {
			b.Run(fmt.Sprintf("%d B %s", size, how.name), func(b *testing.B) {
				out, in := sockets(b)
				p := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if how.send(out, p) != size {
						b.Fatal("the socket is full")
					}
					for read := 0; read < size; {
						n, err := unix.Read(in, p)
						if err != nil {
							b.Fatal(err)
						}
						read += n
					}
				}
			})
		}
	}
}

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

// onSocket is a sink with a descriptor.
type onSocket struct {
	*sink
	fd int
}

func (s onSocket) Fd() int { return s.fd }

// What the socket does not take goes through gnet, and so does all that follows while that is
// buffered there: the bytes stay in order.
func TestWriteKeepsOrderPastAFullSocket(t *testing.T) {
	s := stillServer(t, 1)
	c, out := join(t, s.loops[0], "reader")
	a, b := sockets(t)
	c.gc = onSocket{out, a}
	out.keep, out.holds = true, true
	out.written.Reset()

	var sent []byte
	for i := range 100 {
		p := fmt.Appendf(nil, "%08d", i)
		for len(p) < 32<<10 {
			p = append(p, p...)
		}
		s.loops[0].write(c, p)
		sent = append(sent, p...)
	}
	require.Positive(t, out.buffered, "the socket takes less than was sent")
	taken := len(sent) - out.buffered
	require.Positive(t, taken)
	got := make([]byte, taken)
	for read := 0; read < taken; {
		n, err := unix.Read(b, got[read:])
		require.NoError(t, err)
		read += n
	}
	got = append(got, out.written.Bytes()...)
	assert.True(t, string(sent) == string(got), "all bytes once and in order")
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

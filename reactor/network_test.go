package reactor

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"mqttd/codec"
)

// farNetwork makes a network namespace that a cable connects to this one, and returns the address of this end,
// how to dial from the other, and how to pull the plug. It needs root and Debian's iproute2.
func farNetwork(t *testing.T) (host string, dialFrom func(address string) *net.TCPConn, cut func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a network namespace")
	}
	name, cable := fmt.Sprint("mqttd-", os.Getpid()), fmt.Sprint("mq", os.Getpid())
	here, there := cable+"a", cable+"b"
	ip := func(arguments string) error { return exec.Command("ip", strings.Fields(arguments)...).Run() }
	if err := ip("netns add " + name); err != nil {
		t.Skip("no network namespaces: ", err)
	}
	t.Cleanup(func() {
		_ = ip("link del " + here) // at once; the namespace goes when its last socket has gone
		assert.NoError(t, ip("netns del "+name))
	})
	inside := "-n " + name + " "
	for _, command := range []string{
		"link add " + here + " type veth peer name " + there + " netns " + name,
		"address add 198.18.77.1/30 dev " + here, // of the range for such tests, RFC 2544
		"link set " + here + " up",
		inside + "address add 198.18.77.2/30 dev " + there,
		inside + "link set " + there + " up",
	} {
		if err := ip(command); err != nil {
			t.Skip("no virtual cable: ip ", command, ": ", err)
		}
	}
	dialFrom = func(address string) *net.TCPConn {
		dialed := make(chan net.Conn)
		failed := make(chan error)
		go func() {
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			c, err := dialInside(name, address)
			if err != nil {
				failed <- err
			} else {
				dialed <- c
			}
		}()
		select {
		case c := <-dialed:
			t.Cleanup(func() { c.Close() })
			return c.(*net.TCPConn)
		case err := <-failed:
			require.NoError(t, err)
			return nil
		}
	}
	return "198.18.77.1", dialFrom, func() { require.NoError(t, ip(inside+"link set "+there+" down")) }
}

func dialInside(namespace, address string) (net.Conn, error) {
	file, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	return net.DialTimeout("tcp4", address, patience)
}

// A client that reads, behind a cable that was cut, is told from one that does not read.
func TestVerdictOfANetworkThatIsGone(t *testing.T) {
	host, dialFrom, cut := farNetwork(t)
	s := start(t, func(c *Config) { c.Loops, c.Host = 1, host })
	far := &client{t: t, conn: dialFrom(s.Addr()), chunk: make([]byte, 64<<10)}
	far.sendConnect("far")
	require.Equal(t, codec.Accepted, far.expectConnack())
	far.subscribe("data")
	publisher := connect(t, s, "publisher")
	publisher.publish("data", "x")
	assert.Equal(t, "data x", far.expectPublish())
	cut()
	payload := strings.Repeat("x", 60_000)
	var info ClientInfo
	eventually(t, "something waits, and was sent again", func() bool {
		publisher.publish("data", payload)
		publisher.ping()
		var ok bool
		var err error
		info, ok, err = s.Client(within(t, patience), "far")
		require.NoError(t, err)
		require.True(t, ok)
		return info.Congested && info.Kernel.Retransmits > 0
	})
	assert.Equal(t, VerdictNetwork, info.Verdict, info.VerdictWhy)
	t.Log(info.VerdictWhy)
	onLoopWait(t, s.loops[0], func(l *loop) { // or the stop would wait for it
		if c := s.clients.Lookup("far"); c != nil {
			l.close(c, errStopping)
		}
	})
}

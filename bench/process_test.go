package bench

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProcessOfOurOwn(t *testing.T) {
	p, err := newProcess(os.Getpid())
	require.NoError(t, err)
	assert.NotEmpty(t, p.name)
	resident, threads := p.size()
	assert.Positive(t, resident)
	assert.Positive(t, threads)

	n := p.descriptors()
	file, err := os.Open(os.DevNull)
	require.NoError(t, err)
	assert.Greater(t, p.descriptors(), n-1, "tests beside this one may close theirs")
	require.NoError(t, file.Close())

	c := clocks{brokerPID: os.Getpid()}
	var first, second counters
	require.NoError(t, c.read(&first))
	for sum := 0; second.brokerCPU <= first.brokerCPU; sum++ {
		require.NoError(t, c.read(&second))
	}
	assert.Positive(t, second.loopCPU)
	assert.Positive(t, second.processCPU)
}

// pidAbsent is the kernel's limit: no process ever has it.
const pidAbsent = 1 << 22

func TestClocksOfAProcessThatIsGone(t *testing.T) {
	assert.ErrorContains(t, clocks{brokerPID: pidAbsent}.read(&counters{}), "process 4194304 is gone")
}

func TestFindBrokerByItsListeningSocket(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		listener, err := net.Listen("tcp4", address)
		require.NoError(t, err)
		defer func() { _ = listener.Close() }()
		remote := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: listener.Addr().(*net.TCPAddr).Port}
		p, err := findBroker(remote, remote)
		require.NoError(t, err)
		assert.Equal(t, os.Getpid(), p.pid)
	}
}

func TestFindBrokerThatIsNotHere(t *testing.T) {
	remote := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1883}
	_, err := findBroker(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 2)}, remote)
	require.ErrorIs(t, err, errRemote)
	loopback := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: absentPort(t)}
	_, err = findBroker(loopback, loopback)
	assert.ErrorIs(t, err, errNotListed)
}

func TestParseListener(t *testing.T) {
	tests := []struct{ line, address, inode string }{
		{"   0: 0100007F:4A38 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 14321 1 0000000000000000 100 0 0 10 0", "127.0.0.1:19000", "14321"},
		{"   1: 00000000000000000000000001000000:075B 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1", "[::1]:1883", "77"},
		{"   2: 00000000:075B 00000000:0000 0A 0:0 00:0 0 0 0 78 1", "0.0.0.0:1883", "78"},
		{"   3: 0100007F:4A38 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 14321 1", "", ""}, // connected
		{"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", "", ""},
		{"   4: 01:1 0 0A 0 0 0 0 0 9", "", ""},
	}
	for _, test := range tests {
		local, inode, ok := parseListener(test.line)
		assert.Equal(t, test.address != "", ok, test.line)
		if ok {
			assert.Equal(t, test.address, local.String())
			assert.Equal(t, test.inode, inode)
		}
	}
}

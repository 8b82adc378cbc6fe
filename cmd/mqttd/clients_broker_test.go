package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// brokerVariable names the environment variable with the address of a broker to aim at.
const brokerVariable = "MQTTD_TEST_BROKER"

// brokerProgram is the path of the built broker; immutable once the tests run.
var brokerProgram string

// runWithBroker builds the broker and runs the tests.
func runWithBroker(m *testing.M) int {
	if os.Getenv(brokerVariable) != "" {
		return m.Run()
	}
	folder, err := os.MkdirTemp("", "mqttd")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	brokerProgram = filepath.Join(folder, "mqttd")
	if output, err := exec.Command("go", buildArguments(brokerProgram)...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// buildArguments asks for a broker with the race detector when the test has it; a broker that saw
// a race exits with 66, which fails its test.
func buildArguments(program string) []string {
	arguments := []string{"build", "-o", program}
	if raceDetector() {
		arguments = append(arguments, "-race")
	}
	return append(arguments, ".")
}

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// broker is the broker that a test talks to.
type broker struct {
	host, port string
	*process       // nil when the broker was there before the test
	allowed    int // exit code
}

// startBroker returns a broker that listens. It is stopped, and must stop cleanly, when the test
// ends.
func startBroker(t *testing.T) *broker {
	t.Helper()
	if address := os.Getenv(brokerVariable); address != "" {
		host, port, err := net.SplitHostPort(address)
		require.NoError(t, err, brokerVariable)
		return &broker{host: host, port: port}
	}
	return startBrokerWith(t, "0", brokerProgram)
}

// startBrokerAt starts our own broker, with further arguments.
func startBrokerAt(t *testing.T, port string, arguments ...string) *broker {
	t.Helper()
	b := &broker{host: "127.0.0.1", port: port}
	arguments = append([]string{"-host", b.host, "-port", b.port, "-log-level", "debug"}, arguments...)
	b.process = startProcess(t, nil, brokerProgram, arguments...)
	t.Cleanup(func() { b.stop(t) })
	b.awaitListening(t)
	return b
}

func (b *broker) awaitListening(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort(b.host, b.port))
		if err != nil {
			return b.hasExited()
		}
		return conn.Close() == nil
	}, patience, 10*time.Millisecond, "the broker does not listen on port %s", b.port)
	require.False(t, b.hasExited(), "the broker ended at once: is port %s taken?", b.port)
}

// stop asks the broker to end and checks its exit code: 0, unless the test allowed another.
func (b *broker) stop(t *testing.T) {
	t.Helper()
	b.terminate(t)
	if code := b.cmd.ProcessState.ExitCode(); code != b.allowed {
		t.Errorf("the broker ended with exit code %d", code)
	}
}

// freePort returns a TCP port that the kernel gives to nobody else before the test ends, neither for a port of 0 nor as
// the source of a connection, whatever the address. A broker binds it all the same: both sockets have SO_REUSEADDR,
// and the test's does not listen.
func freePort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	require.NoError(t, unix.Bind(fd, new(unix.SockaddrInet4)))
	address, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return strconv.Itoa(address.(*unix.SockaddrInet4).Port)
}

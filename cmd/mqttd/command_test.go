package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// run runs the broker's program to its end.
func run(t *testing.T, arguments ...string) (stdout, stderr string, code int) {
	t.Helper()
	requireOwnBroker(t)
	cmd := exec.Command(brokerProgram, arguments...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the exit code tells
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func requireOwnBroker(t *testing.T) {
	t.Helper()
	if brokerProgram == "" {
		t.Skipf("%s is set: this is about our own program", brokerVariable)
	}
}

func TestWrongUsageExits2(t *testing.T) {
	stdout, stderr, code := run(t, "-port", "99999")
	assert.Equal(t, 2, code)
	assert.Empty(t, stdout)
	assert.Equal(t, "mqttd: port 99999: want 0 to 65535 (mqttd -h lists the flags)\n", stderr)
	_, _, code = run(t, "-port", "99999", "-test-config")
	assert.Equal(t, 2, code, "as the help says")
}

func TestHelpAndVersionExit0(t *testing.T) {
	stdout, stderr, code := run(t, "-h")
	assert.Equal(t, 0, code)
	assert.Contains(t, stdout, "Usage: mqttd [flags]")
	assert.Empty(t, stderr)
	stdout, _, code = run(t, "-version")
	assert.Equal(t, 0, code)
	assert.True(t, strings.HasPrefix(stdout, "mqttd "))
}

// A script that keeps what -dump-config prints must learn that the disk is full.
func TestDumpThatCannotBeWrittenExits1(t *testing.T) {
	requireOwnBroker(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	cmd := exec.Command(brokerProgram, "-dump-config")
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = full, &errs
	_ = cmd.Run() // the exit code tells
	assert.Equal(t, 1, cmd.ProcessState.ExitCode())
	assert.Contains(t, errs.String(), "no space left on device")
}

// The port is held by something else, then by another mqttd.
func TestPortInUseExits75(t *testing.T) {
	requireOwnBroker(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	expectInUse(t, port)
	require.NoError(t, listener.Close())
	startBrokerAt(t, port)
	expectInUse(t, port)
}

func expectInUse(t *testing.T, port string) {
	t.Helper()
	_, stderr, code := run(t, "-host", "127.0.0.1", "-port", port)
	assert.Equal(t, 75, code)
	assert.Contains(t, stderr, "port "+port+" is in use")
}

func TestHostThatIsNotOursExits1(t *testing.T) {
	_, stderr, code := run(t, "-host", "192.0.2.1", "-port", "0")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "cannot assign requested address: choose a -host that is an address of this machine")
}

func TestStartLinesAndInterrupt(t *testing.T) {
	requireOwnBroker(t)
	cmd := exec.Command(brokerProgram, "-host", "127.0.0.1", "-port", "0", "-loops", "2")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	first := make([]byte, 4096)
	n, err := stderr.Read(first)
	require.NoError(t, err)
	for _, want := range []string{`"listener":"127.0.0.1:`, `"loops":2`, `"max_clients":10000`, `"msg":"mqttd listens`} {
		assert.Contains(t, string(first[:n]), want, "JSON when it is not a terminal")
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	var rest bytes.Buffer
	_, _ = rest.ReadFrom(stderr)
	require.NoError(t, cmd.Wait(), "exit code 0")
	assert.Contains(t, rest.String(), `"msg":"stopped"`)
}

// What is still queued for a reader that does not read is told at the end.
func TestStopTellsWhatWasNotSent(t *testing.T) {
	requireOwnBroker(t)
	unsent := regexp.MustCompile(`"unsent_bytes":[1-9]`)
	require.True(t, once(func() bool { // a loop that does not get to run meanwhile does not tell
		b := startBroker(t)
		stall(t, b)
		b.stop(t)
		return unsent.MatchString(b.log.String())
	}))
}

// once tries what depends on a machine that does not stand still for seconds until it succeeds, and reports whether it
// did.
func once(try func() bool) bool {
	for range attempts {
		if try() {
			return true
		}
	}
	return false
}

// A hang-up of the terminal, a full log pipe that nobody reads, and a reader of the log that goes
// away: the broker serves on and stops as it should.
func TestLogThatNobodyReads(t *testing.T) {
	requireOwnBroker(t)
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("reader gone: %v", gone), func(t *testing.T) {
			reader, writer, err := os.Pipe()
			require.NoError(t, err)
			defer reader.Close()
			b := &broker{host: "127.0.0.1", port: freePort(t)}
			cmd := exec.Command(brokerProgram, "-host", b.host, "-port", b.port, "-log-level", "trace")
			cmd.Stderr = writer
			require.NoError(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			writer.Close()
			if gone {
				reader.Close()
			}
			require.Eventually(t, func() bool { return serves(b) }, patience, 10*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(syscall.SIGHUP))
			for range 500 { // more lines than the pipe holds
				require.True(t, serves(b))
			}
			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			require.NoError(t, cmd.Wait(), "exit code 0")
		})
	}
}

// serves reports whether the broker accepts a new client.
func serves(b *broker) bool {
	c, err := net.Dial("tcp", net.JoinHostPort(b.host, b.port))
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write([]byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01z"))
	answer := make([]byte, 4)
	_, err = io.ReadFull(c, answer)
	return err == nil && string(answer) == "\x20\x02\x00\x00"
}

// A reader that does not read keeps the stop waiting; a second signal ends that.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	requireOwnBroker(t)
	require.True(t, once(func() bool { // it must not have waited long enough when the second one comes
		b := startBroker(t)
		stall(t, b)
		return endsAtTheSecondSignal(t, b)
	}))
}

// endsAtTheSecondSignal stops a broker that waits for a slow reader, twice.
func endsAtTheSecondSignal(t *testing.T, b *broker) bool {
	t.Helper()
	require.NoError(t, b.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { return turnsAway(b) }, patience, time.Millisecond, "it stops accepting")
	_ = b.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended already
	await(t, b.exited, "the broker to end")
	if !strings.Contains(b.log.String(), "stopped at once by a second signal") {
		return false
	}
	b.allowed = 1
	return b.cmd.ProcessState.ExitCode() == b.allowed
}

// stall connects a subscriber that reads nothing and publishes more to it than sockets hold.
func stall(t *testing.T, b *broker) {
	t.Helper()
	stalled := dialRaw(t, b)
	raw(t, stalled, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01s") // CONNECT
	raw(t, stalled, "\x82\x06\x00\x01\x00\x01a\x00")                 // SUBSCRIBE a
	publisher := dialRaw(t, b)
	raw(t, publisher, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01p")
	_, err := stalled.Read(make([]byte, 9)) // CONNACK and perhaps SUBACK
	require.NoError(t, err)
	for range 200 {
		raw(t, publisher, "\x30\x83\x80\x04\x00\x01a"+strings.Repeat("x", 65536))
	}
	raw(t, publisher, "\xc0\x00") // PINGREQ: its answer comes after all the rest was handled
	_, err = publisher.Read(make([]byte, 4))
	require.NoError(t, err)
	_, err = publisher.Read(make([]byte, 2))
	require.NoError(t, err)
}

// turnsAway reports whether the broker closes a new connection at once.
func turnsAway(b *broker) bool {
	c, err := net.Dial("tcp", net.JoinHostPort(b.host, b.port))
	if err != nil {
		return true
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err = c.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func dialRaw(t *testing.T, b *broker) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort(b.host, b.port))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func raw(t *testing.T, c net.Conn, packet string) {
	t.Helper()
	_, err := c.Write([]byte(packet))
	require.NoError(t, err)
}

// The broker has fewer descriptors than clients want: it takes what fits, turns the rest away,
// and has room again when some leave.
func TestOutOfDescriptors(t *testing.T) {
	requireOwnBroker(t)
	port := freePort(t)
	b := &broker{host: "127.0.0.1", port: port}
	b.process = startProcess(t, nil, "prlimit", "--nofile=200", brokerProgram, "-host", b.host, "-port", port, "-loops", "2",
		"-connect-timeout", neverTimeout)
	t.Cleanup(func() { b.stop(t) })
	b.awaitListening(t)
	var held []net.Conn
	for i := range 400 {
		c, err := net.Dial("tcp", net.JoinHostPort(b.host, port))
		if err != nil {
			continue
		}
		held = append(held, c)
		_, _ = fmt.Fprintf(c, "\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03%03d", i)
	}
	accepted := 0
	answer := make([]byte, 4)
	for _, c := range held {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		if _, err := c.Read(answer); err == nil && string(answer) == "\x20\x02\x00\x00" {
			accepted++
		}
	}
	assert.Greater(t, accepted, 40)
	assert.Less(t, accepted, 200)
	require.False(t, b.hasExited())
	for _, c := range held {
		c.Close()
	}
	require.Eventually(t, func() bool { return serves(b) }, patience, 10*time.Millisecond, "room again")
}

// The broker runs out of descriptors although it kept to its limits, as when the limit is lowered or
// the system has none left: those who are connected notice nothing, the others get in when there are
// some again.
func TestDescriptorsRunOutAtRunTime(t *testing.T) {
	b := startBroker(t)
	requireOwnBroker(t)
	subscriber, publisher := dialRaw(t, b), dialRaw(t, b)
	raw(t, subscriber, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01s\x82\x06\x00\x01\x00\x01a\x00")
	expectRaw(t, subscriber, "\x20\x02\x00\x00\x90\x03\x00\x01\x00")
	raw(t, publisher, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01p")
	expectRaw(t, publisher, "\x20\x02\x00\x00")

	pid, begun := b.cmd.Process.Pid, time.Now()
	var enough unix.Rlimit
	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &enough))
	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: enough.Max}, nil))
	var waiting []net.Conn
	for i := range 20 {
		c := dialRaw(t, b)
		raw(t, c, fmt.Sprintf("\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02%02d", i))
		waiting = append(waiting, c)
	}
	logged := func() int { return strings.Count(b.log.String(), cannotAccept) }
	require.Eventually(t, func() bool { return logged() > 0 }, patience, 10*time.Millisecond)
	for range 100 {
		raw(t, publisher, "\x30\x05\x00\x01amm")
		expectRaw(t, subscriber, "\x30\x05\x00\x01amm")
	}
	require.NoError(t, waiting[0].SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err := waiting[0].Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it waits")
	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &enough, nil))
	for _, c := range waiting {
		expectRaw(t, c, "\x20\x02\x00\x00")
	}
	require.True(t, serves(b))
	b.stop(t)
	assert.LessOrEqual(t, logged(), 1+int(time.Since(begun).Minutes()), "one line a minute")
	assert.Contains(t, b.log.String(), "ulimit -n")
}

func expectRaw(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// Who is killed leaves connections that the kernel has to close: the next one gets the port.
func TestStartAgainAfterAKill(t *testing.T) {
	b := startBroker(t)
	requireOwnBroker(t)
	c := dialRaw(t, b)
	raw(t, c, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01s")
	expectRaw(t, c, "\x20\x02\x00\x00")
	b.allowed = -1 // no exit code: a signal
	require.NoError(t, b.cmd.Process.Kill())
	await(t, b.exited, "the broker to end")
	require.True(t, serves(startBrokerAt(t, b.port)))
}

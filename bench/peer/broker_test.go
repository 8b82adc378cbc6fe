package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what should happen at once.
const patience = time.Minute

// brief are limits for what must not happen, within which a helper listens even on a busy machine.
var brief = limits{start: 6 * time.Second, probe: 2 * time.Second, stop: 100 * time.Millisecond}

// emptyTemporary makes brokers put their folders into one of the test, and checks that none is left.
func emptyTemporary(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Empty(t, entries, "folders left behind")
	})
}

func start(t *testing.T, p Peer) *Broker {
	t.Helper()
	b, err := p.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Stop() })
	return b
}

// awaitDeath waits until the broker's process and group are gone.
func awaitDeath(t *testing.T, b *Broker) {
	t.Helper()
	select {
	case <-b.child.ended:
	case <-time.After(patience):
		require.Fail(t, "the broker does not end")
	}
}

func listens(port int) bool {
	conn, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

func TestStartAndStop(t *testing.T) {
	for _, name := range []string{"answers", "polite"} { // ended by SIGTERM, and by itself with status 143
		emptyTemporary(t)
		b := start(t, helper(t, name))
		assert.Equal(t, name, b.Peer.Name)
		assert.NoError(t, unix.Kill(b.PID, 0))
		assert.True(t, listens(b.Port))
		assert.NoError(t, b.Err())
		assert.DirExists(t, b.dir)
		require.NoError(t, b.Stop())
		assert.False(t, listens(b.Port))
		assert.NoDirExists(t, b.dir)
		assert.NoError(t, b.Err())
		assert.NoError(t, b.Stop(), "a second time")
	}
}

func TestConfigIsWrittenWithItsPlaceholdersResolved(t *testing.T) {
	emptyTemporary(t)
	p := helper(t, "answers")
	p.Config = "port {port}\nstore {dir}/store\n"
	b := start(t, p)
	text, err := os.ReadFile(filepath.Join(b.dir, "config"))
	require.NoError(t, err)
	assert.Equal(t, "port "+strconv.Itoa(b.Port)+"\nstore "+b.dir+"/store\n", string(text))
	require.NoError(t, b.Stop())
}

func TestStartFails(t *testing.T) {
	tests := []struct{ name, want string }{
		{"ends", "peer: ends ended: exit status 3; it wrote: opening the database | the database is locked"},
		{"silent", "peer: silent does not accept CONNECT within 6s: it does not answer: read tcp4"},
		{"refuses", "peer: refuses does not accept CONNECT within 6s: it refuses: return code 5; it wrote nothing"},
		{"babbles", "peer: babbles does not accept CONNECT within 6s: it answers no CONNACK: 48 54 54 50"},
	}
	emptyTemporary(t)
	var waiting sync.WaitGroup
	for _, test := range tests {
		p := helper(t, test.name)
		waiting.Go(func() {
			_, err := p.start(t.Context(), brief)
			assert.ErrorContains(t, err, test.want)
		})
	}
	waiting.Wait()
}

func TestStartOfAProgramThatIsGone(t *testing.T) {
	emptyTemporary(t)
	_, err := Peer{Name: "gone", Command: []string{"/nowhere/gone", placeholderPort}}.Start(t.Context())
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "peer: gone: ")
}

func TestStartEndsWithItsContext(t *testing.T) {
	emptyTemporary(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := helper(t, "silent").Start(ctx)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(began), defaultLimits.start)
}

func TestBrokerThatDiesInTheMiddle(t *testing.T) {
	emptyTemporary(t)
	b := start(t, helper(t, "answers"))
	require.NoError(t, unix.Kill(b.PID, unix.SIGKILL))
	awaitDeath(t, b)
	const want = "peer: answers ended: signal: killed; it wrote nothing"
	assert.EqualError(t, b.Err(), want)
	assert.EqualError(t, b.Stop(), want)
	assert.EqualError(t, b.Err(), want, "still")
	assert.EqualError(t, b.Stop(), want, "still")
}

func TestBrokerThatIgnoresSIGTERMIsKilled(t *testing.T) {
	emptyTemporary(t)
	b, err := helper(t, "stubborn").start(t.Context(), limits{start: patience, probe: patience, stop: 100 * time.Millisecond})
	require.NoError(t, err)
	assert.NoError(t, b.Stop())
	assert.False(t, listens(b.Port))
	assert.Equal(t, "signal: killed", b.child.state.String())
}

func TestBrokerThatCrashesWhenAskedToEnd(t *testing.T) {
	emptyTemporary(t)
	b := start(t, helper(t, "crashes"))
	assert.EqualError(t, b.Stop(), "peer: crashes ended: signal: hangup; it wrote nothing")
}

func TestOutputIsBounded(t *testing.T) {
	emptyTemporary(t)
	b := start(t, helper(t, "chatty"))
	require.NoError(t, unix.Kill(b.PID, unix.SIGKILL))
	awaitDeath(t, b)
	assert.LessOrEqual(t, cap(b.child.output.bytes), 2*tailBytesMax)
	require.ErrorContains(t, b.Err(), " 9999 | that is all")
	assert.Less(t, len(b.Err().Error()), tailBytesMax+100)
	assert.Error(t, b.Stop())
}

func TestProcessGroupEndsWithItsLeader(t *testing.T) {
	emptyTemporary(t)
	b := start(t, helper(t, "family"))
	require.NoError(t, unix.Kill(b.PID, unix.SIGKILL))
	awaitDeath(t, b)
	require.Eventually(t, func() bool { return !listens(b.Port) }, patience, 5*time.Millisecond)
	assert.ErrorContains(t, b.Stop(), "signal: killed")
}

func TestStopEndsTheProcessGroup(t *testing.T) {
	emptyTemporary(t)
	b := start(t, helper(t, "family"))
	require.NoError(t, b.Stop())
	require.Eventually(t, func() bool { return !listens(b.Port) }, patience, 5*time.Millisecond)
}

func TestBrokerInheritsTheHardLimitOfDescriptors(t *testing.T) {
	emptyTemporary(t)
	b := start(t, helper(t, "answers"))
	var limit unix.Rlimit
	require.NoError(t, unix.Prlimit(b.PID, unix.RLIMIT_NOFILE, nil, &limit))
	assert.Equal(t, limit.Max, limit.Cur)
	require.NoError(t, b.Stop())
}

func TestBrokerDiesWithTheHarness(t *testing.T) {
	for _, p := range []Peer{helper(t, "answers"), findMosquitto(t)} {
		text, err := json.Marshal(p)
		require.NoError(t, err)
		h := exec.Command(os.Args[0], helperMark, "harness", string(text))
		h.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // it cannot remove its folder
		h.Stderr = os.Stderr
		output, err := h.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, h.Start())
		line, err := bufio.NewReader(output).ReadString('\n')
		require.NoError(t, err)
		port, err := strconv.Atoi(strings.TrimSpace(line))
		require.NoError(t, err)
		require.True(t, listens(port))
		require.NoError(t, h.Process.Kill())
		assert.EqualError(t, h.Wait(), "signal: killed")
		require.Eventually(t, func() bool { return !listens(port) }, patience, 5*time.Millisecond, p.Name)
	}
}

// findMosquitto finds the real one, which make clients installs.
func findMosquitto(t *testing.T) Peer {
	t.Helper()
	found, missing, err := Find(t.Context(), []string{"mosquitto"}, Options{})
	require.NoError(t, err)
	require.Empty(t, missing)
	return found[0]
}

func TestMosquitto(t *testing.T) {
	emptyTemporary(t)
	p := findMosquitto(t)
	assert.Regexp(t, `^\d+\.\d+`, p.Version)
	b := start(t, p)
	assert.NoError(t, b.Err())
	require.NoError(t, b.Stop())
}

func TestMosquittoThatCannotStartSaysWhy(t *testing.T) {
	emptyTemporary(t)
	p := findMosquitto(t)
	p.Config += "no_such_setting 1\n"
	_, err := p.Start(t.Context())
	require.ErrorContains(t, err, "peer: mosquitto ended: exit status 3")
	assert.ErrorContains(t, err, "no_such_setting")
}

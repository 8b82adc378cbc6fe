package main_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var crashKeep = flag.String("crash-keep", "", "folder in which the crash tests leave the broker's data and logs")

// crashCommand returns the command line of a broker that keeps its state in a folder.
type crashCommand func(t *testing.T, folder, host, port, loops string) []string

// crashBroker is a broker that is started again and again. It may be used by the test's goroutine only.
type crashBroker struct {
	t       *testing.T
	command crashCommand
	folder  string
	host    string
	port    string
	lives   *crashLives

	cmd      *exec.Cmd
	log      *logText      // of the life that is, or was last
	previous *logText      // of the one before
	exited   chan struct{} // closed when the process has ended
	loading  time.Duration // how long the last start that was waited for took
}

func newCrashBroker(t *testing.T, command crashCommand, lives *crashLives) *crashBroker {
	b := &crashBroker{t: t, command: command, folder: crashFolder(t), host: crashHost(), port: freePort(t), lives: lives,
		log: new(logText), loading: 20 * time.Millisecond}
	t.Cleanup(func() {
		if b.cmd != nil {
			_ = b.cmd.Process.Kill() // fails when it has ended already, which is as good
			<-b.exited
		}
		if t.Failed() {
			t.Logf("log of the broker's last life:\n%s", tail(b.log.String()))
			if b.previous != nil {
				t.Logf("log of the life before:\n%s", tail(b.previous.String()))
			}
		}
	})
	return b
}

// crashHost returns a loopback address of the broker's own: so nobody takes its port while it is dead.
func crashHost() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.N(250), rand.N(250), 1+rand.N(250))
}

// crashFolder returns a new folder for the broker's data.
func crashFolder(t *testing.T) string {
	if *crashKeep == "" {
		return t.TempDir()
	}
	require.NoError(t, os.MkdirAll(*crashKeep, 0o700))
	folder, err := os.MkdirTemp(*crashKeep, "crash")
	require.NoError(t, err)
	t.Logf("data and logs are in %s", folder)
	return folder
}

func tail(text string) string { return text[max(0, len(text)-tailBytesMax):] }

// start begins a life.
func (b *crashBroker) start(loops string) {
	b.t.Helper()
	arguments := b.command(b.t, b.folder, b.host, b.port, loops)
	b.previous, b.log = b.log, new(logText)
	b.cmd, b.exited = exec.Command(arguments[0], arguments[1:]...), make(chan struct{})
	b.cmd.Stderr = b.log
	require.NoError(b.t, b.cmd.Start())
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // the exit code is in ProcessState
		close(exited)
	}(b.cmd, b.exited)
}

// awaitListening waits until clients can connect.
func (b *crashBroker) awaitListening() {
	b.t.Helper()
	begun := time.Now()
	require.Eventually(b.t, func() bool {
		conn, err := net.Dial("tcp", net.JoinHostPort(b.host, b.port))
		if err != nil {
			return b.hasExited()
		}
		return conn.Close() == nil
	}, patience, 2*time.Millisecond, "the broker listens again")
	b.requireAlive()
	b.loading = time.Since(begun)
}

func (b *crashBroker) hasExited() bool {
	select {
	case <-b.exited:
		return true
	default:
		return false
	}
}

func (b *crashBroker) requireAlive() {
	b.t.Helper()
	require.False(b.t, b.hasExited(), "life %d of the broker ended by itself: %v", b.lives.current(), b.cmd.ProcessState)
}

// brokenLog is in the log of a program that has found a fault in itself.
var brokenLog = regexp.MustCompile(`DATA RACE|(?m)^panic: |(?m)^fatal error: |"level":"(error|fatal|panic)"`)

// end ends the life with a signal.
func (b *crashBroker) end(signal syscall.Signal) {
	b.t.Helper()
	b.requireAlive()
	e := crashEnd{signal: signal, before: b.lives.now()}
	require.NoError(b.t, b.cmd.Process.Signal(signal))
	await(b.t, b.exited, "the broker to end")
	e.after = b.lives.now()
	if signal == syscall.SIGTERM {
		require.Zero(b.t, b.cmd.ProcessState.ExitCode(), "life %d was asked to end", b.lives.current())
	}
	if *crashKeep != "" {
		file := filepath.Join(b.folder, fmt.Sprintf("life-%04d.log", b.lives.current()))
		require.NoError(b.t, os.WriteFile(file, []byte(b.log.String()), 0o600))
	}
	if broken := brokenLog.FindString(b.log.String()); broken != "" {
		require.Fail(b.t, "the broker found a fault in itself", "life %d says %s:\n%s",
			b.lives.current(), broken, b.log.String())
	}
	b.lives.end(e)
}

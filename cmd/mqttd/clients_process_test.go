package main_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	lineBytesMax = 4 << 20 // chosen: a 512 KiB payload in JSON, every byte of it escaped, fits
	tailBytesMax = 8 << 10 // chosen: of a failed test's standard error output, the end is shown
)

// process is a running program. It is killed, if need be, when the test ends.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed after the program has ended and its output is read
	log    *logText      // its standard error output so far; complete after exited is closed
}

// startProcess starts a program and calls onLine, unless nil, for each line of its standard output.
// A test that fails shows the end of the program's standard error output.
func startProcess(t *testing.T, onLine func(line []byte), name string, arguments ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, arguments...), exited: make(chan struct{}), log: new(logText)}
	p.cmd.Stderr = p.log
	stdout, output := io.Pipe()
	p.cmd.Stdout = output
	p.cmd.WaitDelay = patience // a child that the program left behind may hold the output open
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // the exit code is in ProcessState
		output.Close()
	}()
	go p.read(stdout, onLine)
	t.Cleanup(func() {
		p.kill()
		if log := p.log.String(); t.Failed() && log != "" {
			t.Logf("end of the log of %s:\n%s", name, log[max(0, len(log)-tailBytesMax):])
		}
	})
	return p
}

func (p *process) read(stdout io.Reader, onLine func(line []byte)) {
	defer close(p.exited)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, lineBytesMax)
	for lines.Scan() {
		if onLine != nil {
			onLine(lines.Bytes())
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // after a line that is too long
}

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// terminate asks the program to end and waits until it has.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended already, which is as good
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.kill()
		t.Errorf("%s did not end within %v of SIGTERM", p.cmd.Path, patience)
	}
}

// kill ends the program at once: its connections close without a DISCONNECT.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails when it has ended already, which is as good
	<-p.exited
}

// logText is what a program has written so far. Any goroutine may call its methods.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// runProgram runs a program to its end. What it said is part of the error.
func runProgram(stdin, name string, arguments ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Stdin = strings.NewReader(stdin)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, output)
	}
	return nil
}

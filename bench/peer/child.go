package peer

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lastLinesMax is how many of a program's last lines an error quotes; chosen.
const lastLinesMax = 8

// outputTime is how long a program that ended may leave its output open, which only a process that
// it moved to another process group can do; chosen.
const outputTime = time.Second

// child is a process that dies with this one, in a process group of its own.
type child struct {
	name   string // immutable
	pid    int    // immutable
	output tail
	ended  chan struct{}    // closed when the process and its group are gone
	state  *os.ProcessState // how it ended; immutable once ended is closed
}

// startChild starts a program. name is what errors call it.
func startChild(name string, argv []string) (*child, error) {
	c := &child{name: name, ended: make(chan struct{})}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &c.output, &c.output
	cmd.WaitDelay = outputTime
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go c.live(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("peer: %s: %w", name, err)
	}
	return c, nil
}

// live starts the process and waits for its end on one thread: the kernel sends the death signal
// when the thread ends that started the process, and Go ends threads that have nothing to do.
func (c *child) live(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	c.pid = cmd.Process.Pid
	started <- nil
	c.awaitEnd()
	c.signal(unix.SIGKILL) // what is left of its group; the zombie keeps the number from being used again
	_ = cmd.Wait()         // the state says how it ended
	c.state = cmd.ProcessState
	close(c.ended)
}

// awaitEnd waits until the process is a zombie, and leaves it one.
func (c *child) awaitEnd() {
	for {
		err := unix.Waitid(unix.P_PID, c.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// signal sends a signal to the process group.
func (c *child) signal(s unix.Signal) { _ = unix.Kill(-c.pid, s) }

// end asks the process to end, and kills it when it has not after patience. It returns when the
// process is gone.
func (c *child) end(patience time.Duration) {
	if c.gone() {
		return
	}
	c.signal(unix.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.ended:
		return
	case <-timer.C:
	}
	c.signal(unix.SIGKILL)
	<-c.ended
}

func (c *child) gone() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// endedAsAsked reports whether a process that was asked to end did so: with any exit status, or by
// one of the signals of end. To be called once it is gone.
func (c *child) endedAsAsked() bool {
	status := c.state.Sys().(syscall.WaitStatus)
	return !status.Signaled() || status.Signal() == unix.SIGTERM || status.Signal() == unix.SIGKILL
}

// obituary says how the process ended. To be called once it is gone.
func (c *child) obituary() error {
	return fmt.Errorf("peer: %s ended: %s%s", c.name, c.state, c.lastWords())
}

// lastWords quotes what the process wrote last, to be appended to an error.
func (c *child) lastWords() string {
	if lines := c.output.lines(lastLinesMax); lines != "" {
		return "; it wrote: " + lines
	}
	return "; it wrote nothing"
}

package bench

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/prometheus/procfs"
)

// process is the broker's, on this machine. For one goroutine at a time.
type process struct {
	pid  int
	name string
	proc procfs.Proc

	switches map[int]uint64 // by thread, when they were last counted
}

func newProcess(pid int) (*process, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return nil, fmt.Errorf("bench: no process %d: %w", pid, err)
	}
	name, err := proc.Comm()
	if err != nil {
		return nil, fmt.Errorf("bench: process %d: %w", pid, err)
	}
	return &process{pid: pid, name: name, proc: proc}, nil
}

// residentBytes returns 0 when the process is gone: its CPU clock reports that.
func (p *process) residentBytes() uint64 {
	resident, _ := p.size()
	return resident
}

// size returns the resident memory in bytes and the number of threads; zeros when the process is gone.
func (p *process) size() (residentBytes uint64, threads int) {
	stat, err := p.proc.Stat()
	if err != nil {
		return 0, 0
	}
	return uint64(stat.ResidentMemory()), stat.NumThreads
}

// descriptors returns how many are open; 0 when the process is gone or another user's.
func (p *process) descriptors() int {
	n, err := p.proc.FileDescriptorsLen()
	if err != nil {
		return 0
	}
	return n
}

// contextSwitches returns how often its threads gave up a processor, or had to, since the last call.
func (p *process) contextSwitches() (n uint64) {
	threads, err := procfs.AllThreads(p.pid)
	if err != nil {
		return 0
	}
	counted := make(map[int]uint64, len(threads))
	for _, thread := range threads {
		status, err := thread.NewStatus()
		if err != nil {
			continue // it has ended
		}
		total := status.VoluntaryCtxtSwitches + status.NonVoluntaryCtxtSwitches
		counted[thread.PID] = total
		if p.switches != nil {
			n += total - min(p.switches[thread.PID], total)
		}
	}
	p.switches = counted
	return n
}

var (
	errRemote      = errors.New("the broker runs on another machine")
	errNotListed   = errors.New("its listening socket is not in /proc/net/tcp")
	errNotReadable = errors.New("no process that may be looked at holds its listening socket")
)

// findBroker returns the process that listens on the remote end of a connection. When several do,
// as with a master and its workers, it is the one with the lowest process id.
func findBroker(local, remote *net.TCPAddr) (*process, error) {
	if !remote.IP.IsLoopback() && !remote.IP.Equal(local.IP) {
		return nil, errRemote
	}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, err
	}
	sockets := listeners(remote)
	if len(sockets) == 0 {
		return nil, errNotListed
	}
	procs, err := fs.AllProcs()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(procs, func(a, b procfs.Proc) int { return a.PID - b.PID })
	for _, proc := range procs {
		targets, _ := proc.FileDescriptorTargets() // another user's process cannot be looked at
		if slices.ContainsFunc(targets, func(target string) bool { return slices.Contains(sockets, target) }) {
			return newProcess(proc.PID)
		}
	}
	return nil, errNotReadable
}

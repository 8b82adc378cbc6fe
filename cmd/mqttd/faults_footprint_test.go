package main_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/require"
)

// footprint is what a broker's process takes.
type footprint struct {
	rss, peak   int // resident bytes: now, and the most since resetPeak
	descriptors int // open
	threads     int
	cpuSeconds  float64
}

func (b *broker) footprint(t *testing.T) footprint {
	t.Helper()
	process, err := procfs.NewProc(b.cmd.Process.Pid)
	require.NoError(t, err)
	status, err := process.NewStatus()
	require.NoError(t, err)
	stat, err := process.Stat()
	require.NoError(t, err)
	descriptors, err := process.FileDescriptorsLen()
	require.NoError(t, err)
	return footprint{
		rss:         int(status.VmRSS),
		peak:        int(status.VmHWM),
		descriptors: descriptors,
		threads:     stat.NumThreads,
		cpuSeconds:  stat.CPUTime(),
	}
}

// resetPeak makes the peak begin anew, see clear_refs in proc(5).
func (b *broker) resetPeak(t *testing.T) {
	t.Helper()
	file := fmt.Sprintf("/proc/%d/clear_refs", b.cmd.Process.Pid)
	require.NoError(t, os.WriteFile(file, []byte("5"), 0))
}

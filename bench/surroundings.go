package bench

import (
	"time"

	"github.com/prometheus/procfs"
)

// surroundings reads what belongs to no process of the run: the loopback interface, and how busy the
// machine is.
type surroundings struct{ fs procfs.FS }

func newSurroundings() surroundings {
	fs, _ := procfs.NewDefaultFS() // without /proc, read returns zeros
	return surroundings{fs}
}

// read returns the bytes that the loopback interface carried, and the CPU time used by everybody, in
// ticks of 10 ms; both since the machine started.
func (s surroundings) read() (loopbackBytes uint64, busy time.Duration) {
	if devices, err := s.fs.NetDev(); err == nil {
		loopbackBytes = devices["lo"].RxBytes
	}
	if stat, err := s.fs.Stat(); err == nil {
		c := stat.CPUTotal
		busy = time.Duration((c.User + c.Nice + c.System + c.IRQ + c.SoftIRQ) * float64(time.Second))
	}
	return loopbackBytes, busy
}

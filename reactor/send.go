package reactor

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendNow gives the socket as much of p as it takes now and returns how many bytes that were: 0 when
// it takes none, or has failed, which the next call of gnet's will find out. The descriptor must be
// that of an open connection for which gnet has nothing buffered.
//
// It does without what the Go scheduler puts around system calls that may block. That is dearer than
// its few nanoseconds: a loop that is 20 µs in such a call, as in a write of 100 KB, can have its
// processor taken away, and goes on in another thread. BenchmarkSendNow compares.
func sendNow(fd int, p []byte) int {
	if len(p) == 0 {
		return 0
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of the hot path, without the scheduler's bookkeeping around unix.Syscall: a thread that
// serves one goroutine has nobody to make room for. All but epollWait are on non-blocking sockets.

func epollWait(epoll int, events []unix.EpollEvent) (int, unix.Errno) {
	return count(unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), ^uintptr(0), 0, 0))
}

func recv(fd int, p []byte) (int, unix.Errno) {
	return count(unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0))
}

func send(fd int, p []byte) (int, unix.Errno) {
	return count(unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0))
}

func accept(listener int) (int, unix.Errno) {
	return count(unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0,
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0))
}

func closeSocket(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// count makes 0 of the -1 that comes with an error.
func count(r, _ uintptr, errno unix.Errno) (int, unix.Errno) {
	if errno != 0 {
		return 0, errno
	}
	return int(r), 0
}

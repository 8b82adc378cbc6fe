package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wakeIndex is reported by wait when wake was called.
const wakeIndex = -1

// poller is one epoll set whose members are known by an index. Loop-confined but for wake.
type poller struct {
	fd     int
	wakeFD int
	events []unix.EpollEvent
}

func newPoller(eventsMax int) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("bench: epoll_create1: %w", err)
	}
	wakeFD, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bench: eventfd: %w", err)
	}
	p := &poller{fd: fd, wakeFD: wakeFD, events: make([]unix.EpollEvent, eventsMax)}
	if err := p.add(wakeFD, wakeIndex); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// add watches fd for bytes to read; level triggered.
func (p *poller) add(fd, index int) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, index, unix.EPOLLIN)
}

// watchWrites also watches fd for room to write, or no longer does.
func (p *poller) watchWrites(fd, index int, on bool) error {
	events := uint32(unix.EPOLLIN)
	if on {
		events |= unix.EPOLLOUT
	}
	return p.control(unix.EPOLL_CTL_MOD, fd, index, events)
}

// wait returns the members that are ready, at the latest after timeout. The slice is valid until
// the next call.
func (p *poller) wait(timeout time.Duration) ([]unix.EpollEvent, error) {
	ts := unix.NsecToTimespec(max(timeout, 0).Nanoseconds())
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])),
		uintptr(len(p.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch {
	case errno == 0:
		return p.events[:n], nil
	case errno == unix.EINTR:
		return nil, nil
	case errors.Is(errno, unix.ENOSYS):
		return nil, errors.New("bench: epoll_pwait2 is missing, Linux 5.11 or later is needed")
	}
	return nil, fmt.Errorf("bench: epoll_pwait2: %w", errno)
}

// wake makes wait return. Any goroutine may call it until close.
func (p *poller) wake() { _, _ = unix.Write(p.wakeFD, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// wakeAfter wakes the poller when ctx ends. The function that it returns ends that; after it, nothing
// touches the poller any more.
func (p *poller) wakeAfter(ctx context.Context) (stop func()) {
	woken := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		p.wake()
		close(woken)
	})
	return func() {
		if !cancel() {
			<-woken
		}
	}
}

// mute stops watching a member, but for its end; listen watches it for bytes to read again.
func (p *poller) mute(fd, index int) error { return p.control(unix.EPOLL_CTL_MOD, fd, index, 0) }

func (p *poller) listen(fd, index int) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, index, unix.EPOLLIN)
}

// acknowledge makes wait sleep again after wake.
func (p *poller) acknowledge() error {
	if _, err := readSome(p.wakeFD, make([]byte, 8)); err != nil {
		return fmt.Errorf("bench: eventfd: %w", err)
	}
	return nil
}

// readSome reads once; nothing when there is nothing, io.EOF at the end of a connection.
func readSome(fd int, buffer []byte) ([]byte, error) {
	n, err := unix.Read(fd, buffer)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil, nil
	case err != nil:
		return nil, err
	case n == 0:
		return nil, io.EOF
	}
	return buffer[:n], nil
}

func (p *poller) close() {
	_ = unix.Close(p.wakeFD)
	_ = unix.Close(p.fd)
}

func (p *poller) control(op, fd, index int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(index)}
	if err := unix.EpollCtl(p.fd, op, fd, &event); err != nil {
		return fmt.Errorf("bench: epoll_ctl: %w", err)
	}
	return nil
}

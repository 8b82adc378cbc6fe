package peer

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reservation is a free port of 127.0.0.1 that the kernel gives to nobody else, neither for a port
// of 0 nor as the source of a connection, of which a load on this machine takes thousands. A broker
// binds it all the same: both sockets have SO_REUSEADDR, and this one does not listen.
type reservation struct{ fd, port int }

func reservePort() (reservation, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return reservation{}, fmt.Errorf("peer: no free port: %w", err)
	}
	r := reservation{fd: fd}
	if r.port, err = bind(fd); err != nil {
		r.release()
		return reservation{}, fmt.Errorf("peer: no free port: %w", err)
	}
	return r, nil
}

// bind binds a socket to a free port and returns it.
func bind(fd int) (port int, err error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return address.(*unix.SockaddrInet4).Port, nil
}

func (r reservation) release() { _ = unix.Close(r.fd) }

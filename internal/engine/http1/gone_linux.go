package http1

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// gone asks the kernel whether the client has closed or reset the connection.
// Bytes that wait to be read do not hide it.
func gone(raw syscall.RawConn) bool {
	left := false
	err := raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		left = err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return err == nil && left
}

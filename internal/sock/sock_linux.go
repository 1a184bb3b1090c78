package sock

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Quiet tells whether nothing waits to be read, not even the stream's end.
func Quiet(fd uintptr) bool {
	var b [1]byte
	_, err := call(syscall.SYS_RECVFROM, fd, b[:], syscall.MSG_DONTWAIT|syscall.MSG_PEEK)
	return err == syscall.EAGAIN
}

// Waits tells whether bytes wait to be read.
func Waits(fd uintptr) bool {
	var b [1]byte
	n, _ := call(syscall.SYS_RECVFROM, fd, b[:], syscall.MSG_DONTWAIT|syscall.MSG_PEEK)
	return n > 0
}

// Ended tells whether the stream's end is all that waits to be read.
func Ended(fd uintptr) bool {
	var b [1]byte
	n, err := call(syscall.SYS_RECVFROM, fd, b[:], syscall.MSG_DONTWAIT|syscall.MSG_PEEK)
	return n == 0 && err == nil
}

// Closed tells whether the other end has closed or reset the connection. Bytes
// that wait to be read do not hide it.
func Closed(fd uintptr) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(p[:], 0)
	return err == nil && n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
}

// Recv receives into p, which is not empty. It returns syscall.EAGAIN when
// nothing is there, and 0 without an error at the end of the stream.
func Recv(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_RECVFROM, fd, p, syscall.MSG_DONTWAIT)
}

// Send sends p, which is not empty. It returns how many bytes the socket took,
// and syscall.EAGAIN when it takes none.
func Send(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_SENDTO, fd, p, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

// SendTwo is Send for two pieces, of which the second one may be empty.
func SendTwo(fd uintptr, p, more []byte) (int, error) {
	if len(more) == 0 {
		return Send(fd, p)
	}
	pieces := [2]unix.Iovec{{Base: unsafe.SliceData(p)}, {Base: unsafe.SliceData(more)}}
	pieces[0].SetLen(len(p))
	pieces[1].SetLen(len(more))
	m := unix.Msghdr{Iov: &pieces[0]}
	m.SetIovlen(len(pieces))
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&m)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
			continue
		}
		return 0, errno
	}
}

// call leaves the scheduler alone: the calls never wait, and what they take,
// some microseconds, is less than a preemption would.
func call(trap, fd uintptr, p []byte, flags uintptr) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
			continue
		}
		return 0, errno
	}
}

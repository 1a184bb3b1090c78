//go:build !linux

package sock

import "syscall"

// Quiet can't tell here: a connection that is out of step shows when it is used.
func Quiet(uintptr) bool { return true }

// Waits can't tell here: bytes show when the connection is used.
func Waits(uintptr) bool { return false }

// Ended can't tell here: an end shows when the connection is used.
func Ended(uintptr) bool { return false }

// Closed can't tell here: an end shows when the connection is used.
func Closed(uintptr) bool { return false }

// Recv receives into p, which is not empty. It returns syscall.EAGAIN when
// nothing is there, and 0 without an error at the end of the stream.
func Recv(fd uintptr, p []byte) (int, error) { return call(syscall.Read, fd, p) }

// Send sends p, which is not empty. It returns how many bytes the socket took,
// and syscall.EAGAIN when it takes none.
func Send(fd uintptr, p []byte) (int, error) { return call(syscall.Write, fd, p) }

// SendTwo is Send for two pieces, of which it may send the first one alone.
func SendTwo(fd uintptr, p, _ []byte) (int, error) { return Send(fd, p) }

func call(f func(int, []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := f(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

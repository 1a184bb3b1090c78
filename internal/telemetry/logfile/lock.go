package logfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// errNoLocks tells that the file system has none, as some that reach over a network.
var errNoLocks = errors.New("the file system knows no locks")

// lock waits until nobody else holds the file's lock, or with unix.LOCK_NB fails with unix.EWOULDBLOCK.
// The kernel takes it back when the process ends.
func lock(f *os.File, how int) error {
	err := onDescriptor(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|how) })
	if errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return errNoLocks
	}
	return os.NewSyscallError("flock", err)
}

// unlock can only fail for a descriptor that is closed, which holds no lock.
func unlock(f *os.File) {
	_ = onDescriptor(f, func(fd int) error { return unix.Flock(fd, unix.LOCK_UN) })
}

// onDescriptor does something with a file's descriptor, again when a signal has interrupted it.
func onDescriptor(f *os.File, do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Control(func(fd uintptr) {
		for {
			if failed = do(int(fd)); !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, failed)
}

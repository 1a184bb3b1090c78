package local

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// allowed wants that the process at the other end is of this user, or root's. The mode of
// the socket says the same, but for the moment before it is set, and for who may change it.
func allowed(c *conn) error {
	var cred *unix.Ucred
	var failed error
	err := c.raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("whose process it is: %w", err)
	}
	return mayEnter(cred.Uid, uint32(os.Geteuid()), cred.Pid)
}

func mayEnter(theirs, ours uint32, pid int32) error {
	if theirs != ours && theirs != 0 {
		return fmt.Errorf("process %d is of user %d, the store of %d", pid, theirs, ours)
	}
	return nil
}

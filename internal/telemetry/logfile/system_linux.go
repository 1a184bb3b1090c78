package logfile

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// renameNoReplace fails with EEXIST where the new name is taken, and with EINVAL where the file system
// can't do that.
func renameNoReplace(from, to string) error {
	return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
}

// born returns when a file was made, where the file system knows.
func born(f *os.File) (time.Time, bool) {
	var st unix.Statx_t
	err := onDescriptor(f, func(fd int) error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st)
	})
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)), err == nil && st.Mask&unix.STATX_BTIME != 0
}

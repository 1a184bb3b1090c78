//go:build !linux

package logfile

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// renameNoReplace is not known here.
func renameNoReplace(string, string) error { return unix.ENOSYS }

// born is not known here.
func born(*os.File) (time.Time, bool) { return time.Time{}, false }

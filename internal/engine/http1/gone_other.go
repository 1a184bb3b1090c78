//go:build !linux

package http1

import "syscall"

// gone knows only on Linux; elsewhere a client's leaving shows when the
// answer is written.
func gone(syscall.RawConn) bool { return false }

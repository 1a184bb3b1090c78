//go:build !linux

package handover

// monotonic is of use to systemd only, which runs on Linux.
func monotonic() int64 { return 0 }

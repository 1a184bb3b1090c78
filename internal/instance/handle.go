package instance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startOf reads the moment of the start from /proc/PID/stat.
func startOf(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, ErrGone
	}
	if err != nil {
		return 0, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return parseStat(text)
}

// parseStat reads the state and the start of a line of /proc/PID/stat. The second field is the
// program's name in parentheses, which may have spaces and parentheses in it.
func parseStat(text []byte) (start uint64, err error) {
	i := bytes.LastIndexByte(text, ')')
	fields := bytes.Fields(text[i+1:])
	const state, startTime = 0, 19 // behind the name
	if i < 0 || len(fields) <= startTime {
		return 0, fmt.Errorf("%.40q is no line of /proc/PID/stat", text)
	}
	if s := fields[state][0]; s == 'Z' || s == 'X' {
		return 0, ErrGone
	}
	return strconv.ParseUint(string(fields[startTime]), 10, 64)
}

// Handle is a process that can be signalled and waited for without ever meeting one that got
// its number later.
type Handle struct {
	Process
	// fd is a pidfd, nil where the kernel has none (before 5.3, and some sandboxes).
	fd    *os.File
	close sync.Once
}

// Open returns a handle. The error is ErrGone when the process has ended.
func (p Process) Open() (*Handle, error) {
	if !p.Alive() {
		return nil, ErrGone
	}
	fd, err := unix.PidfdOpen(p.PID, unix.PIDFD_NONBLOCK)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, ErrGone
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EINVAL):
		return &Handle{Process: p}, nil
	case err != nil:
		return nil, fmt.Errorf("open process %d: %w", p.PID, err)
	}
	h := &Handle{Process: p, fd: os.NewFile(uintptr(fd), "pidfd")}
	// Whoever has the number after the opening had it before.
	if !p.Alive() {
		h.Close()
		return nil, ErrGone
	}
	return h, nil
}

// Signal sends a signal. The error is ErrGone when the process has ended.
func (h *Handle) Signal(s syscall.Signal) error {
	err := h.send(s)
	if errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	if err != nil {
		return fmt.Errorf("signal process %d: %w", h.PID, err)
	}
	return nil
}

func (h *Handle) send(s syscall.Signal) error {
	if h.fd == nil {
		if !h.Alive() {
			return unix.ESRCH
		}
		return unix.Kill(h.PID, s)
	}
	raw, err := h.fd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), s, nil, 0) }); err != nil {
		return err
	}
	return sent
}

// looking is how often a process is looked at where there is no pidfd.
const looking = 50 * time.Millisecond

// Wait returns nil when the process has ended, or the error of ctx. One call at a time.
func (h *Handle) Wait(ctx context.Context) error {
	if h.fd == nil {
		return h.look(ctx)
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		_ = h.fd.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-stopped
		}
		_ = h.fd.SetReadDeadline(time.Time{}) // for the next one who waits
	}()
	raw, err := h.fd.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for process %d: %w", h.PID, err)
	}
	err = raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (h *Handle) look(ctx context.Context) error {
	tick := time.NewTicker(looking)
	defer tick.Stop()
	for h.Alive() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Close gives the handle back. The process is left alone.
func (h *Handle) Close() {
	h.close.Do(func() {
		if h.fd != nil {
			_ = h.fd.Close()
		}
	})
}

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Upgrade implements control.Instance. First the workers are replaced by those of the program on
// disk, one at a time; when the first can't serve, nothing has changed. Then this process replaces
// itself: its number, its children and the sockets stay.
func (s *Supervisor) Upgrade(ctx context.Context) error {
	done, err := s.take(ctx)
	if err != nil {
		return err
	}
	replacing := false
	defer func() {
		if !replacing {
			done()
		}
	}()
	if err := s.runnable(); err != nil {
		return err
	}
	if err := s.renewAll(ctx, s.o.Program); err != nil {
		return fmt.Errorf("%w; the supervisor is the old one", err)
	}
	s.mu.Lock()
	keeper := s.store
	s.mu.Unlock()
	if keeper != nil {
		if err := keeper.succeed(ctx, s.o.Program); err != nil {
			return fmt.Errorf("the workers are of the new program, the supervisor and the process of the store are the old ones: %w", err)
		}
	}
	s.save("")
	// The turn is never given back: nothing changes any more until the new program has taken over.
	replacing = true
	over := s.announceReplacing()
	time.AfterFunc(answering, func() {
		err := s.replace()
		over()
		s.log.Error("the supervisor could not replace itself and goes on; its workers are new", "error", err)
		done()
	})
	return nil
}

// errReplacing is what a verb gets that waits when this program is about to be replaced.
var errReplacing = errors.New("the gateway is being upgraded; try again when it has been")

// announceReplacing has all who wait for their turn get their answer, while there is somebody to
// give it. The returned function takes that back.
func (s *Supervisor) announceReplacing() (over func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.replacing)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.replacing = make(chan struct{})
	}
}

// answering is how long who has asked for the upgrade has to get the answer.
const answering = 100 * time.Millisecond

// runnable tells whether the file is a program at all.
func (s *Supervisor) runnable() error {
	info, err := os.Stat(s.o.Program)
	if err != nil {
		return fmt.Errorf("look for the new program: %w; nothing was changed", err)
	}
	if info.IsDir() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is no program that can be run; nothing was changed", s.o.Program)
	}
	return nil
}

// replace runs the program on disk in the place of this one. It returns only when that fails.
func (s *Supervisor) replace() error {
	if s.ending() {
		return errStopping
	}
	files, _, err := s.sockets.Pass(0)
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	// The descriptors keep their numbers, unlike in a new process. Pass has to know them, so they
	// are put side by side first. A worker that was started from here on would get them too, and with the
	// lock keep the next supervisor from starting.
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	first, err := sideBySide(files)
	if err != nil {
		return err
	}
	defer closeFrom(first, len(files))
	again, env, err := s.sockets.Pass(first)
	for _, f := range again {
		_ = f.Close()
	}
	if err != nil {
		return err
	}
	if len(again) != len(files) {
		return errors.New("the sockets have changed meanwhile")
	}
	lock, err := keepOpen(s.lock.File())
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(lock) }()
	env = append(append(forNextProgram(s.o.Environ), env...), lockVariable+"="+strconv.Itoa(lock))
	exec := s.o.Exec
	if exec == nil {
		exec = syscall.Exec
	}
	return exec(s.o.Program, append([]string{s.name()}, s.o.Own...), env)
}

// sideBySide duplicates descriptors to numbers that follow each other, open for the next program.
func sideBySide(files []*os.File) (first int, err error) {
	const most = 4096
next:
	for first = 64; first < most; first += len(files) + 1 {
		for i, f := range files {
			fd, err := dupAbove(f, first+i)
			if err != nil {
				closeFrom(first, i)
				return 0, err
			}
			if fd != first+i { // somebody has that number
				_ = unix.Close(fd)
				closeFrom(first, i)
				continue next
			}
		}
		return first, nil
	}
	return 0, errors.New("there are no free numbers of files side by side")
}

// dupAbove returns a descriptor that stays open when the program is replaced.
func dupAbove(f *os.File, lowest int) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var dupErr error
	if err := raw.Control(func(n uintptr) { fd, dupErr = unix.FcntlInt(n, unix.F_DUPFD, lowest) }); err != nil {
		return 0, err
	}
	return fd, os.NewSyscallError("fcntl", dupErr)
}

func keepOpen(f *os.File) (fd int, err error) { return dupAbove(f, 3) }

func closeFrom(first, n int) {
	for fd := first; fd < first+n; fd++ {
		_ = unix.Close(fd)
	}
}

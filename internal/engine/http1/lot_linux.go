package http1

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"yett/internal/engine"
)

// Lot is where connections wait that have been idle for a while. They cost
// no goroutine and no stack there, only their place in an epoll set; when
// something comes for one, it gets a goroutine again.
type Lot struct {
	epoll int      // the epoll set
	file  *os.File // which the runtime watches as if it were a socket
	log   *slog.Logger
	done  chan struct{}
	crew  *engine.Crew[*conn] // serves those that come back

	mu     sync.Mutex
	closed bool              // epoll is no epoll set any more
	parked map[uintptr]*conn // by file descriptor
	burst  int               // parked since memory was last given back
	trim   *time.Timer
}

// A burst of connections leaves the stacks of their goroutines behind. When
// this many have parked, and none for a moment, the memory goes back to the
// system.
const (
	trimAfter = 1000
	trimPause = time.Second
)

// NewLot makes a Lot that engines share. Close ends it.
func NewLot(log *slog.Logger) (*Lot, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an epoll set: %w", err)
	}
	_ = unix.SetNonblock(epoll, true) // tells NewFile to have it watched
	file := os.NewFile(uintptr(epoll), "idle connections")
	raw, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{}) // fails when it is not watched
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watching an epoll set: %w", err), file.Close())
	}
	l := &Lot{epoll: epoll, file: file, log: log, done: make(chan struct{}), parked: make(map[uintptr]*conn)}
	l.crew = engine.NewCrew((*conn).resume, l.done)
	l.trim = time.AfterFunc(time.Hour, l.giveBack)
	l.trim.Stop()
	go l.run(raw)
	return l, nil
}

// Close ends the Lot. Connections that are parked stay where they are: engines
// close theirs before.
func (l *Lot) Close() {
	l.trim.Stop()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.file.Close() // waits for run, which needs the lock
	<-l.done
}

// park lets the connection wait without its goroutine, which has to return.
// It tells whether that was possible. Bytes that come in between are noticed.
func (l *Lot) park(c *conn) bool {
	ok := false
	err := c.raw.Control(func(fd uintptr) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.closed || c.state.Load() != idle || c.timer.Fired() { // somebody is closing it, and has looked here, or will after this
			return
		}
		c.place = fd
		l.parked[c.place] = c
		ok = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{
			Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(fd)}) == nil
		if !ok {
			delete(l.parked, c.place)
			return
		}
		if l.burst++; l.burst >= trimAfter {
			l.trim.Reset(trimPause)
		}
	})
	return ok && err == nil
}

// giveBack returns memory to the system after a burst.
func (l *Lot) giveBack() {
	l.mu.Lock()
	l.burst = 0
	l.mu.Unlock()
	debug.FreeOSMemory()
}

// wake gives the connection a goroutine again, if it is parked.
func (l *Lot) wake(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked(c)
}

func (l *Lot) wakeLocked(c *conn) {
	if c == nil || l.parked[c.place] != c {
		return
	}
	delete(l.parked, c.place)
	if !l.closed {
		_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, int(c.place), nil)
	}
	l.crew.Take(c)
}

// run wakes those for which something came. It never waits in the kernel: that would keep a
// processor of the runtime's, and all that is to run there, until the runtime notices, which is
// up to 10 ms later.
func (l *Lot) run(raw syscall.RawConn) {
	defer close(l.done)
	events := make([]unix.EpollEvent, 64)
	var failed error
	_ = raw.Read(func(uintptr) bool {
		for {
			n, err := unix.EpollWait(l.epoll, events, 0)
			switch {
			case err == unix.EINTR:
			case err != nil:
				failed = err
				return true
			case n == 0: // of what comes from here on the runtime is told
				return false
			}
			for _, ev := range events[:max(0, n)] {
				l.resume(uintptr(ev.Fd))
			}
		}
	})
	if failed != nil {
		l.log.Error("waiting for idle connections failed", "error", failed)
	}
}

func (l *Lot) resume(fd uintptr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked(l.parked[fd])
}

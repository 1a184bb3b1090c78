package http1

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Lot is where connections wait that have been idle for a while. They cost
// no goroutine and no stack there, only their place in an epoll set; when
// something comes for one, it gets a goroutine again.
type Lot struct {
	epoll, wake int // file descriptors
	log         *slog.Logger
	done        chan struct{}

	mu     sync.Mutex
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
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wake)})
	}
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("making an event to end the wait: %w", err)
	}
	l := &Lot{epoll: epoll, wake: wake, log: log, done: make(chan struct{}), parked: make(map[uintptr]*conn)}
	l.trim = time.AfterFunc(time.Hour, l.giveBack)
	l.trim.Stop()
	go l.run()
	return l, nil
}

// Close ends the Lot. Connections that are parked stay where they are: engines
// close theirs before.
func (l *Lot) Close() {
	one := [8]byte{1}
	l.trim.Stop()
	_, _ = unix.Write(l.wake, one[:])
	<-l.done
	_ = unix.Close(l.wake)
	_ = unix.Close(l.epoll)
}

// park lets the connection wait without its goroutine, which has to return.
// It tells whether that was possible. Bytes that come in between are noticed.
func (l *Lot) park(c *conn) bool {
	ok := false
	err := c.raw.Control(func(fd uintptr) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if c.state.Load() != idle || c.timer.Fired() { // somebody is closing it, and has looked here, or will after this
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

// take takes the connection out. It tells whether it was parked: then it is
// the caller's, and needs a goroutine again.
func (l *Lot) take(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.remove(c)
}

func (l *Lot) remove(c *conn) bool {
	if c == nil || l.parked[c.place] != c {
		return false
	}
	delete(l.parked, c.place)
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, int(c.place), nil)
	return true
}

func (l *Lot) run() {
	defer close(l.done)
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			l.log.Error("waiting for idle connections failed", "error", err)
			return
		}
		for _, ev := range events[:n] {
			if int(ev.Fd) == l.wake {
				return
			}
			l.resume(uintptr(ev.Fd))
		}
	}
}

func (l *Lot) resume(fd uintptr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.parked[fd]; l.remove(c) {
		go c.serve()
	}
}

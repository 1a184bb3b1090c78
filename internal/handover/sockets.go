package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
)

// Sockets are listening sockets that came from another process, and those bound here. A socket
// stays until the last listener that Listen returned for it is closed. The methods may be called
// from several goroutines.
type Sockets struct {
	mu   sync.Mutex
	held []*held
}

// held is one listening socket. The listeners that are given out are duplicates of it.
type held struct {
	asked     string // the address that it was bound for, such as 127.0.0.1:0; empty of systemd's
	at        place  // with its real port
	name      string // systemd's
	ln        *net.TCPListener
	users     int
	inherited bool
}

// passed is a socket in YETT_SOCKETS.
type passed struct {
	FD    int    `json:"fd"`
	Asked string `json:"asked"`
}

// Inherit takes the sockets that the environment tells of: those of a process of this program
// ($YETT_SOCKETS) or of systemd ($LISTEN_FDS). It clears these variables. An error says which
// socket can't be used, and closes all.
func Inherit() (*Sockets, error) {
	s := &Sockets{}
	err := s.inheritOwn()
	if err == nil {
		err = s.inheritSystemd()
	}
	if err != nil {
		return nil, errors.Join(err, s.CloseUnused())
	}
	return s, nil
}

func (s *Sockets) inheritOwn() error {
	text, ok := take(socketsVariable)
	if !ok {
		return nil
	}
	var all []passed
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return fmt.Errorf("%s=%q can't be read: %w; unset it, only yett itself sets it", socketsVariable, text, err)
	}
	for _, p := range all {
		if err := s.adopt(p.FD, p.Asked, ""); err != nil {
			return fmt.Errorf("%s: %w; unset it, only yett itself sets it", socketsVariable, err)
		}
	}
	return nil
}

// take returns a variable and removes it from the environment, so that no other process that
// this one starts believes that it was meant.
func take(variable string) (string, bool) {
	text, ok := os.LookupEnv(variable)
	if ok {
		_ = os.Unsetenv(variable) // fails for names that can't be in the environment
	}
	return text, ok
}

// adopt takes a socket by its number.
func (s *Sockets) adopt(fd int, asked, name string) error {
	if fd < 3 {
		return fmt.Errorf("%d is not the number of a socket", fd)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close() // FileListener makes a duplicate
	ln, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("file %d is no listening socket: %w", fd, err)
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		_ = ln.Close()
		return fmt.Errorf("file %d listens on %s %s, not on TCP", fd, ln.Addr().Network(), ln.Addr())
	}
	s.held = append(s.held, &held{asked: asked, at: boundTo(tcp), name: name, ln: tcp, inherited: true})
	return nil
}

func boundTo(ln *net.TCPListener) place {
	at := ln.Addr().(*net.TCPAddr) //nolint:forcetypeassert // a TCPListener has no other
	return place{hostOf(at.AddrPort().Addr().String()), at.Port}
}

// Listen returns the inherited socket of that address, or a new one. Several calls for one
// address return sockets that share one queue, but for port 0, where each call returns another.
func (s *Sockets) Listen(ctx context.Context, address string) (net.Listener, error) {
	want, ok := placeOf(address)
	var places []place
	if ok && want.port != 0 {
		places = want.resolve(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.find(want, places)
	if h == nil {
		ln, err := s.bind(ctx, address, places)
		if err != nil {
			return nil, err
		}
		h = &held{asked: address, at: boundTo(ln), ln: ln}
		s.held = append(s.held, h)
	}
	return s.share(h)
}

// find returns the held socket of one of the places. A port that the kernel chose belongs to
// whoever takes it first.
func (s *Sockets) find(want place, places []place) *held {
	i := slices.IndexFunc(s.held, func(h *held) bool {
		if want.port != 0 {
			return slices.Contains(places, h.at)
		}
		asked, ok := placeOf(h.asked)
		return ok && h.inherited && h.users == 0 && asked == want
	})
	if i < 0 {
		return nil
	}
	return s.held[i]
}

// share returns a duplicate of a socket.
func (s *Sockets) share(h *held) (net.Listener, error) {
	f, err := duplicate(h.ln)
	if err != nil {
		return nil, fmt.Errorf("sharing the socket of %s: %w", h.at, err)
	}
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("sharing the socket of %s: %w", h.at, err)
	}
	h.users++
	return &listener{TCPListener: ln.(*net.TCPListener), s: s, h: h}, nil //nolint:forcetypeassert // as it was
}

// listener is one user of a socket.
type listener struct {
	*net.TCPListener
	s    *Sockets
	h    *held
	once sync.Once
}

// Close closes this listener, and the socket with the last one.
func (l *listener) Close() error {
	err := l.TCPListener.Close()
	l.once.Do(func() { err = errors.Join(err, l.s.release(l.h)) })
	return err
}

func (s *Sockets) release(h *held) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.users--; h.users > 0 {
		return nil
	}
	s.held = slices.DeleteFunc(s.held, func(other *held) bool { return other == h })
	return h.ln.Close()
}

// Pass returns what a new process needs to inherit all sockets: files to hand over, of which the first
// becomes number first, and variables for its environment. The caller closes the files.
func (s *Sockets) Pass(first int) (files []*os.File, env []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []passed{}
	for _, h := range s.held {
		f, err := duplicate(h.ln)
		if err != nil {
			closeAll(files)
			return nil, nil, fmt.Errorf("handing over the socket of %s: %w", h.at, err)
		}
		all = append(all, passed{FD: first + len(files), Asked: h.asked})
		files = append(files, f)
	}
	text, err := json.Marshal(all)
	if err != nil {
		closeAll(files)
		return nil, nil, err
	}
	return files, []string{socketsVariable + "=" + string(text)}, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // nothing was written
	}
}

// Unused names the inherited sockets that no Listen has asked for.
func (s *Sockets) Unused() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.held {
		if h.users == 0 && h.name != "" {
			all = append(all, fmt.Sprintf("%s (%s)", h.at, h.name))
		} else if h.users == 0 {
			all = append(all, h.at.String())
		}
	}
	return all
}

// CloseUnused closes inherited sockets that no Listen has asked for.
func (s *Sockets) CloseUnused() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	s.held = slices.DeleteFunc(s.held, func(h *held) bool {
		if h.users > 0 {
			return false
		}
		errs = append(errs, h.ln.Close())
		return true
	})
	return errors.Join(errs...)
}

package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// From takes sockets that Pass(first) of another process has returned, and which came in another
// way than by the start of this one. The files are closed.
func From(files []*os.File, env []string, first int) (*Sockets, error) {
	defer closeAll(files)
	s := &Sockets{}
	for _, entry := range env {
		name, text, _ := strings.Cut(entry, "=")
		if name != socketsVariable {
			continue
		}
		if err := s.from(files, text, first); err != nil {
			return nil, errors.Join(err, s.CloseUnused())
		}
	}
	return s, nil
}

func (s *Sockets) from(files []*os.File, text string, first int) error {
	var all []passed
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return fmt.Errorf("read which sockets were handed over: %w", err)
	}
	for _, p := range all {
		i := p.FD - first
		if i < 0 || i >= len(files) {
			return fmt.Errorf("the socket of %s was not handed over", p.Asked)
		}
		ln, err := net.FileListener(files[i])
		if err != nil {
			return fmt.Errorf("the file for %s is no listening socket: %w", p.Asked, err)
		}
		tcp, ok := ln.(*net.TCPListener)
		if !ok {
			return errors.Join(fmt.Errorf("what came for %s does not listen on TCP", p.Asked), ln.Close())
		}
		s.held = append(s.held, &held{asked: p.Asked, at: boundTo(tcp), ln: tcp, inherited: true})
	}
	return nil
}

// duplicate returns another descriptor of a socket. That of ln.File would make the socket a
// blocking one when it is asked for its number, as exec does, and with it those of all processes
// that share it: one that drains would then hang in accept.
func duplicate(ln *net.TCPListener) (*os.File, error) {
	raw, err := ln.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, dupErr := -1, error(nil)
	if err := raw.Control(func(n uintptr) { fd, dupErr = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("fcntl", dupErr)
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

package engine

import (
	"net"
	"os"
	"syscall"
)

// mostWaiting bounds how many connections are taken from a queue, so that somebody who opens
// them without end doesn't keep Unbind. It is more than the kernel lets wait.
const mostWaiting = 1 << 16

// takeWaiting serves the connections that wait in the kernel's queue, as long as there is room.
func (s *Server) takeWaiting() {
	source, ok := s.ln.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := source.SyscallConn()
	if err != nil {
		return
	}
	for range mostWaiting {
		if s.room.take() != nil {
			return
		}
		nc := takeOne(raw)
		if nc == nil {
			s.room.leave()
			return
		}
		s.shaking.Add(1)
		go s.serve(nc)
	}
}

// takeOne returns the next connection of the queue, or nil when there is none. The socket
// doesn't block, as all of Go's.
func takeOne(raw syscall.RawConn) net.Conn {
	fd := -1
	err := raw.Control(func(listening uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		for {
			n, _, err := syscall.Accept(int(listening))
			if err == syscall.EINTR || err == syscall.ECONNABORTED {
				continue
			}
			if err == nil {
				fd = n
				syscall.CloseOnExec(fd)
			}
			return
		}
	})
	if err != nil || fd < 0 {
		return nil
	}
	f := os.NewFile(uintptr(fd), "connection")
	defer f.Close() // FileConn makes a duplicate
	nc, err := net.FileConn(f)
	if err != nil {
		return nil
	}
	return nc
}

package handover

import (
	"net"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func blocking(t *testing.T, c syscall.Conn) (is bool) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		is = err != nil || flags&unix.O_NONBLOCK == 0
	})
	return is
}

// Giving sockets to a process changes nothing for those that accept from them.
func TestPassingDoesNotBlock(t *testing.T) {
	s := &Sockets{}
	ln := listenOn(t, s, "127.0.0.1:0")
	defer ln.Close()
	files, _, err := s.Pass(3)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(files)
	cmd := exec.Command("true")
	cmd.ExtraFiles = files
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if blocking(t, ln.(syscall.Conn)) {
		t.Error("the socket has become a blocking one")
	}
}

func TestFrom(t *testing.T) {
	s := &Sockets{}
	ln := listenOn(t, s, "127.0.0.1:0")
	defer ln.Close()
	files, env, err := s.Pass(3)
	if err != nil {
		t.Fatal(err)
	}
	other, err := From(files, env, 3)
	if err != nil {
		t.Fatal(err)
	}
	again := listenOn(t, other, "127.0.0.1:0")
	defer again.Close()
	if again.Addr().String() != ln.Addr().String() {
		t.Errorf("%s, want %s", again.Addr(), ln.Addr())
	}
	if _, err := From(nil, env, 3); err == nil {
		t.Error("a socket that is missing is not missed")
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Error(err)
	}
}
